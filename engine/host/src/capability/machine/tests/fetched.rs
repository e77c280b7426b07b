//! Files that the `restore_command` of a folder fetches.

use super::*;
use crate::capability::machine::fetch;

const COMMAND: &str = "gunzip <'ARCHIVE/%f.gz' >%p";

/// A machine whose archive has that command; `ARCHIVE` in it is the archive's path.
fn here(command: &str) -> Here {
    let mut here = Here::new(None);
    let command = command.replace("ARCHIVE", &here.path("archive"));
    let machine = here.fixture.bindings.targets.values_mut().next().unwrap();
    let System::Machine(machine) = &mut machine.system else { panic!("a machine") };
    machine.folders.get_mut("archive").unwrap().restore_command = Some(command);
    here
}

/// Puts a file into the archive, compressed.
fn pack(here: &Here, name: &str, content: &str) {
    let path = here.path(&format!("archive/{name}"));
    fs::write(&path, content).unwrap();
    assert!(std::process::Command::new("gzip").arg(&path).status().unwrap().success());
}

fn kept(here: &Here) -> usize {
    let entries = fs::read_dir(here.path("work")).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(".lifeboat-fetched"))
        .count()
}

#[tokio::test]
async fn a_packed_file_is_read_and_what_was_fetched_goes_with_the_call() {
    let here = here(COMMAND);
    pack(&here, "0A", "plain");
    pack(&here, "00000002.history", "history");
    let context = here.context(Effect::Read);
    assert!(fetch::is_fetched(&context, "here", "archive").unwrap());
    assert!(!fetch::is_fetched(&context, "here", "work").unwrap());
    let fetched = fetch::fetch(&context, "here", "archive", &words(&["0A", "00000002.history"]), None).await.unwrap();
    assert_eq!(fetched.sizes, [5, 7]);
    assert_eq!(files::read(&context, "here", &format!("{}/0A", fetched.path)).await.unwrap(), b"plain");
    // What is there already is not fetched again.
    fs::remove_file(here.path("archive/0A.gz")).unwrap();
    assert_eq!(fetch::fetch(&context, "here", "archive", &words(&["0A"]), None).await.unwrap().sizes, [5]);
    fetch::discard(&context, "here", &words(&["0A"])).await.unwrap();
    refused(fetch::fetch(&context, "here", "archive", &words(&["0A"]), None).await, "machine-fetch");
    assert_eq!(kept(&here), 1);
    context.own.let_go().await;
    assert_eq!(kept(&here), 0);
}

#[tokio::test]
async fn a_folder_of_the_copy_takes_what_the_call_has_already() {
    let here = here(COMMAND);
    pack(&here, "0A", "plain");
    let context = here.context(Effect::Destroy);
    fetch::fetch(&context, "here", "archive", &words(&["0A"]), None).await.unwrap();
    fs::remove_file(here.path("archive/0A.gz")).unwrap();
    files::create_folder(&context, "here", &here.path("work/wal")).await.unwrap();
    let into = Some(here.path("work/wal"));
    fetch::fetch(&context, "here", "archive", &words(&["0A"]), into).await.unwrap();
    context.own.let_go().await;
    assert_eq!(fs::read_to_string(here.path("work/wal/0A")).unwrap(), "plain");
    let into = Some(here.path("archive"));
    refused(fetch::fetch(&context, "here", "archive", &words(&["0A"]), into).await, "machine-path");
    let reading = here.context(Effect::Read);
    let into = Some(here.path("work/wal"));
    refused(fetch::fetch(&reading, "here", "archive", &words(&["0A"]), into).await, "host-refused-effect");
}

#[tokio::test]
async fn a_command_that_does_not_do_its_work_is_told() {
    let said = async |command: &str| {
        let here = here(command);
        pack(&here, "0A", "plain");
        fs::write(here.path("archive/0A.gz"), &fs::read(here.path("archive/0A.gz")).unwrap()[..12]).unwrap();
        let context = here.context(Effect::Read);
        let error = fetch::fetch(&context, "here", "archive", &words(&["0A"]), None).await.unwrap_err();
        let left: Vec<_> = fs::read_dir(context.own.machine.fetched.path("here").await.unwrap()).unwrap().collect();
        assert!(left.is_empty(), "{command}: {left:?}");
        context.own.let_go().await;
        match error {
            Error::Failed(reason) => format!("{}: {}", reason.code, reason.message),
            Error::NoSpace(what) => format!("no space: {what}"),
            other => panic!("{command}: {other:?}"),
        }
    };
    for (command, expect) in [
        (COMMAND, "machine-fetch: 0A: the restore_command of `archive` ended with 1: "),
        (COMMAND, "unexpected end of file"),
        ("echo no such stanza >&2; exit 7 # %f %p", "ended with 7: no such stanza"),
        ("true # %f %p", "ended with 0 and wrote no file"),
        ("ln -s /etc/passwd %p # %f", "ended with 0 and wrote no file"),
        ("mkdir %p # %f", "ended with 0 and wrote no file"),
        ("kill -KILL $$ # %f %p", "was killed"),
        ("echo 'No space left on device' >&2; exit 1 # %f %p", "no space: fetching 0A"),
        ("yes 'a long line' | head -c 1000000 >&2; exit 3 # %f %p", "ended with 3: "),
    ] {
        let said = said(command).await;
        assert!(said.contains(expect) && said.len() < 800, "{command}: {said}");
    }
}

#[tokio::test]
async fn a_command_that_hangs_ends_with_the_call() {
    let mut here = here("sleep 3600 # %f %p");
    here.fixture.deadline = Some(Timestamp::now() + SignedDuration::from_secs(1));
    let context = here.context(Effect::Read);
    refused(fetch::fetch(&context, "here", "archive", &words(&["0A"]), None).await, "timed-out");
    context.own.let_go().await;
    assert_eq!(kept(&here), 0);
}

#[tokio::test]
async fn names_and_folders_are_checked() {
    let here = here(COMMAND);
    let context = here.context(Effect::Read);
    for name in ["../x", "a b", "$(id)", ""] {
        refused(fetch::fetch(&context, "here", "archive", &words(&[name]), None).await, "machine-file");
    }
    refused(fetch::fetch(&context, "here", "work", &words(&["0A"]), None).await, "machine-fetch");
    assert_eq!(kept(&here), 0);
}
