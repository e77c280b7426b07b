//! The machine capability against this machine.

mod fetched;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    action::Effect,
    bindings::{Folder, Machine, Program, System, Via},
    event::Mode,
};
use tempfile::TempDir;

use super::{files, parts, place::Place, process, server, trial};
use crate::{
    call::CallContext,
    fixture::{self, Fixture},
    wit::lifeboat::machine::machine::{EntryKind, Error, Server},
};

/// A machine with a work folder, a read-only archive and a few programs.
struct Here {
    folder: TempDir,
    fixture: Fixture,
}

impl Here {
    fn new(identity: Option<&str>) -> Self {
        Self::made(identity, None)
    }

    /// With a `pg_ctl` that lies there, and the servers' program beside it.
    fn with_control(path: &str) -> Self {
        Self::made(None, Some(path))
    }

    fn made(identity: Option<&str>, control: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let allowed = |name: &str, access| {
            fs::create_dir(folder.path().join(name)).unwrap();
            (name.to_owned(), Folder::new(folder.path().join(name).display().to_string(), access))
        };
        let control = control.map_or("/bin/echo".to_owned(), |path| folder.path().join(path).display().to_string());
        let program = |name: &str, path: &str, effect| (name.to_owned(), Program { path: path.to_owned(), effect });
        let machine = Machine {
            via: Via::Local,
            user: None,
            programs: BTreeMap::from([
                program("sh", "/bin/sh", Effect::Mutate),
                program("echo", "/bin/echo", Effect::Read),
                program("sleep", "/bin/sleep", Effect::Read),
                program("seq", "/usr/bin/seq", Effect::Read),
                program("cat", "/bin/cat", Effect::Read),
                program("pg_ctl", &control, Effect::Mutate),
            ]),
            folders: BTreeMap::from([allowed("work", Effect::Destroy), allowed("archive", Effect::Read)]),
            ports: BTreeMap::from([(5444, "127.0.0.9:5444".to_owned())]),
            identity: identity.map(str::to_owned),
        };
        let fixture = Fixture::new(fixture::bindings([("here", System::Machine(machine))]));
        Self { folder, fixture }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn context(&self, effect: Effect) -> CallContext {
        self.fixture.context(&[("here", effect)])
    }
}

fn code(error: &Error) -> &str {
    match error {
        Error::Denied(reason) | Error::Unreachable(reason) | Error::Failed(reason) => &reason.code,
        Error::NotFound(_) => "not-found",
        Error::NoSpace(_) => "no-space",
        Error::TimedOut(_) => "timed-out",
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, expect: &str) {
    assert_eq!(code(&result.unwrap_err()), expect);
}

fn words(text: &[&str]) -> Vec<String> {
    text.iter().map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn files_are_written_read_listed_and_removed() {
    let here = Here::new(Some("lab-7"));
    fs::write(here.path("work/.lifeboat-identity"), "lab-7\n").unwrap();
    let context = here.context(Effect::Destroy);
    let file = here.path("work/a/b.txt");
    refused(files::write(&context, "here", &file, b"1".to_vec()).await, "not-found");
    files::create_folder(&context, "here", &here.path("work/a")).await.unwrap();
    files::create(&context, "here", &file, vec![0, 255, b'\n']).await.unwrap();
    refused(files::create(&context, "here", &file, vec![1]).await, "machine-exists");
    assert_eq!(files::read(&context, "here", &file).await.unwrap(), [0, 255, b'\n']);
    files::write(&context, "here", &file, b"two".to_vec()).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "two");

    let listed = files::list(&context, "here", &here.path("work/a")).await.unwrap();
    let [entry] = &listed[..] else { panic!("one file: {listed:?}") };
    assert_eq!((entry.name.as_str(), entry.kind, entry.size), ("b.txt", EntryKind::File, 3));
    assert!(entry.modified_ms > 1_600_000_000_000, "{}", entry.modified_ms);
    assert!(files::free_space(&context, "here", &here.path("work/not/there/yet")).await.unwrap() > 0);

    files::remove(&context, "here", &here.path("work/a")).await.unwrap();
    files::remove(&context, "here", &here.path("work/a")).await.unwrap();
    refused(files::read(&context, "here", &file).await, "not-found");
    refused(files::list(&context, "here", &here.path("work/a")).await, "not-found");
}

#[tokio::test]
async fn parts_come_in_order_and_a_bad_file_is_named() {
    let here = Here::new(None);
    let context = here.context(Effect::Read);
    for (name, content) in [("a", "first"), ("b c", "second"), ("short", "x")] {
        fs::write(here.path(&format!("archive/{name}")), content).unwrap();
    }
    fs::create_dir(here.path("archive/folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", here.path("archive/link")).unwrap();
    let archive = here.path("archive");
    let heads = async |names: &[&str]| parts::read(&context, "here", &archive, &words(names), (0, 3)).await;
    let tails = async |names: &[&str]| parts::read(&context, "here", &archive, &words(names), (2, 3)).await;
    assert_eq!(tails(&["b c", "a"]).await.unwrap(), [b"con", b"rst"]);
    refused(tails(&["a", "short"]).await, "machine-file");
    refused(tails(&["a", "link"]).await, "machine-path");
    assert_eq!(heads(&["b c", "a"]).await.unwrap(), [b"sec", b"fir"]);
    assert!(heads(&[]).await.unwrap().is_empty());
    refused(heads(&["a", "link"]).await, "machine-path");
    for bad in ["short", "missing", "folder", "../work", "", "a\nb"] {
        refused(heads(&["a", bad]).await, "machine-file");
    }
    let Err(Error::Failed(reason)) = heads(&["a", "missing"]).await else { panic!("refused") };
    assert!(reason.message.contains("missing does not exist"), "{}", reason.message);
    let gone = parts::read(&context, "here", &here.path("archive/gone"), &words(&["a"]), (0, 3)).await;
    refused(gone, "not-found");
}

#[tokio::test]
async fn a_folder_is_looked_through_without_following_its_links() {
    use std::os::unix::fs::symlink;
    let here = Here::new(None);
    let context = here.context(Effect::Read);
    let path = |name: &str| here.path(&format!("work/{name}"));
    fs::create_dir_all(path("b/base")).unwrap();
    fs::write(path("b/base/1"), vec![0; 5000]).unwrap();
    fs::write(here.path("outside"), vec![0; 1 << 20]).unwrap();
    symlink(here.path("outside"), path("b/base/a link\nof two lines")).unwrap();
    symlink("base", path("b/inside")).unwrap();
    symlink("b", path("latest")).unwrap();
    let tree = files::survey(&context, "here", &path("latest")).await.unwrap();
    let real = fs::canonicalize(path("b")).unwrap().display().to_string();
    assert_eq!(tree.real, real, "a link to the folder itself is followed: copied as it is, it would stay a link");
    let links: Vec<_> = tree.links.iter().map(|it| (it.path.as_str(), it.target.as_str(), it.real.as_str())).collect();
    let outside = here.path("outside");
    let inside = format!("{real}/base");
    assert_eq!(links, [("base/a link\nof two lines", outside.as_str(), outside.as_str()), ("inside", "base", &inside)]);
    assert!((5000..100_000).contains(&tree.bytes), "{}", tree.bytes);
    refused(files::survey(&context, "here", &path("none")).await, "not-found");
    refused(files::survey(&context, "here", "/etc").await, "machine-path");
}

#[tokio::test]
async fn a_folder_is_cleared_and_nothing_behind_its_links() {
    use std::os::unix::fs::symlink;
    let here = Here::new(Some("lab-7"));
    fs::write(here.path("work/.lifeboat-identity"), "lab-7").unwrap();
    let context = here.context(Effect::Destroy);
    let path = |name: &str| here.path(&format!("work/data/{name}"));
    fs::create_dir_all(path("slots/one")).unwrap();
    fs::create_dir_all(here.path("live/kept")).unwrap();
    symlink(here.path("live"), path("wal")).unwrap();
    fs::write(path("pid"), "7").unwrap();
    let clear = async |names: &[&str]| files::clear(&context, "here", &here.path("work/data"), &words(names)).await;
    refused(clear(&["wal/kept/"]).await, "machine-path");
    refused(clear(&["../data2"]).await, "machine-path");
    refused(clear(&["/etc/passwd"]).await, "machine-path");
    refused(clear(&["."]).await, "machine-path");
    refused(clear(&["slots"]).await, "machine-file");
    clear(&["pid", "none", "slots/", "wal/", "new/deep/"]).await.unwrap();
    assert!(!Path::new(&path("pid")).exists() && fs::read_dir(path("slots")).unwrap().next().is_none());
    assert!(!fs::symlink_metadata(path("wal")).unwrap().is_symlink() && Path::new(&path("new/deep")).is_dir());
    assert!(Path::new(&here.path("live/kept")).is_dir(), "what a link leads to stays");
}

#[tokio::test]
async fn a_port_with_any_listener_is_not_free() {
    let here = Here::new(None);
    let context = here.context(Effect::Read);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(!server::port_is_free(&context, "here", port).await.unwrap());
    drop(listener);
    assert!(server::port_is_free(&context, "here", port).await.unwrap());
}

/// A program that is named `postgres`, works in the folder it is given and waits there.
fn scripted_server(here: &Here) -> Server {
    let script = "#!/usr/bin/perl\n$SIG{QUIT} = 'DEFAULT';\nchdir $ARGV[1] or die;\nopen F, '>postmaster.pid' or die;\n\
                  print F \"\\n\" x 7, \"ready\\n\";\nclose F;\nsleep 1 while 1;\n";
    fs::create_dir_all(here.path("pg/bin")).unwrap();
    fs::write(here.path("pg/bin/postgres"), script).unwrap();
    fs::set_permissions(here.path("pg/bin/postgres"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(here.path("work/lb-1/data")).unwrap();
    let settings = vec![("hba_file".to_owned(), here.path("work/lb-1/data/pg_hba.conf"))];
    let reads = vec![here.path("archive")];
    Server { data: here.path("work/lb-1/data"), settings, reads, replaces: Vec::new() }
}

/// As the walls by another user need it.
fn open_to_all(here: &Here) {
    for name in ["", "work", "archive"] {
        fs::set_permissions(here.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn a_server_is_started_found_and_ended_by_its_folder() {
    let here = Here::with_control("pg/bin/pg_ctl");
    let context = here.context(Effect::Mutate);
    let mut subject = scripted_server(&here);
    let other = here.path("work/lb-2/data");
    fs::create_dir_all(&other).unwrap();
    let runs = async |data: &str| server::runs(&context, "here", data).await.unwrap();
    open_to_all(&here);
    let best = trial::wall(&context, "here", &subject, None).await.unwrap();
    for wall in ["none", "bwrap", "user-net", "user"] {
        match trial::wall(&context, "here", &subject, Some(wall)).await {
            Err(Error::Failed(reason)) => {
                assert!(reason.code == "machine-wall" && best.name != wall, "{reason:?}");
                eprintln!("SKIPPED: {}", reason.message);
                continue;
            }
            found => assert_eq!(found.unwrap().name, wall),
        }
        server::start(&context, "here", &subject, wall).await.unwrap();
        assert!(runs(&subject.data).await && !runs(&other).await, "{wall}");
        // As a copied backup would have it: the number of another server.
        fs::copy(format!("{}/postmaster.pid", subject.data), format!("{other}/postmaster.pid")).unwrap();
        server::stop(&context, "here", &other).await.unwrap();
        assert!(runs(&subject.data).await, "{wall}: the other one's end ended this one");
        refused(server::start(&context, "here", &subject, wall).await, "machine-file");
        server::stop(&context, "here", &subject.data).await.unwrap();
        assert!(!runs(&subject.data).await, "{wall}");
        let owner = |path: &str| fs::metadata(path).unwrap().uid();
        assert_eq!(owner(&subject.data), owner(&here.path("work")), "{wall}: the files are given back");
    }
    refused(server::start(&context, "here", &subject, "bwrap --bind / /").await, "machine-wall");
    subject.replaces = vec!["/usr/lib".to_owned()];
    refused(trial::wall(&context, "here", &subject, None).await, "machine-wall");
    subject.replaces.clear();
    subject.settings = vec![("hba_file".to_owned(), "/etc/passwd".to_owned())];
    refused(server::start(&context, "here", &subject, "none").await, "machine-argument");
    subject.data = here.path("work/data");
    refused(trial::wall(&context, "here", &subject, None).await, "machine-path");
}

#[tokio::test]
async fn what_is_not_granted_is_refused() {
    let here = Here::new(None);
    let (reading, changing) = (here.context(Effect::Read), here.context(Effect::Mutate));
    let (work, archive) = (here.path("work/x"), here.path("archive/x"));
    refused(files::write(&reading, "here", &work, vec![]).await, "host-refused-effect");
    refused(files::write(&changing, "here", &archive, vec![]).await, "machine-path");
    refused(files::read(&changing, "here", "/etc/passwd").await, "machine-path");
    refused(files::read(&changing, "there", &work).await, "host-refused-role");
    refused(files::remove(&changing, "here", &work).await, "host-refused-effect");
    refused(files::remove(&here.context(Effect::Destroy), "here", &work).await, "host-identity-missing");
    refused(process::run(&reading, "here", "sh", &words(&["-c", "true"]), None).await, "host-refused-effect");
    refused(process::run(&changing, "here", "rm", &words(&["x"]), None).await, "machine-program");
    refused(process::run(&changing, "here", "echo", &words(&["/etc/passwd"]), None).await, "machine-argument");

    let dry =
        Fixture { mode: Mode::DryRun, bindings: here.fixture.bindings.clone(), ..Fixture::new(Default::default()) };
    let context = dry.context(&[("here", Effect::Destroy)]);
    let Err(Error::Denied(reason)) = files::write(&context, "here", &work, vec![]).await else { panic!("refused") };
    assert!(reason.message.contains("dry-run"), "{}", reason.message);
    assert!(fs::read_dir(here.path("work")).unwrap().next().is_none());
}

#[tokio::test]
async fn a_link_does_not_lead_out() {
    let here = Here::new(Some("lab-7"));
    fs::write(here.path("work/.lifeboat-identity"), "lab-7").unwrap();
    let outside = here.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s").unwrap();
    std::os::unix::fs::symlink(&outside, here.path("work/link")).unwrap();
    let context = here.context(Effect::Destroy);
    refused(files::read(&context, "here", &here.path("work/link/secret")).await, "machine-path");
    refused(files::write(&context, "here", &here.path("work/link/new"), vec![]).await, "machine-path");
    refused(files::remove(&context, "here", &here.path("work/link/secret")).await, "machine-path");
    files::remove(&context, "here", &here.path("work/link")).await.unwrap();
    assert!(outside.join("secret").exists() && !Path::new(&here.path("work/link")).exists());
}

#[tokio::test]
async fn a_machine_proves_that_it_is_the_one_meant() {
    let here = Here::new(Some("lab-7"));
    let work = here.path("work/x");
    refused(files::remove(&here.context(Effect::Destroy), "here", &work).await, "host-identity-missing");
    fs::write(here.path("work/.lifeboat-identity"), "lab-8").unwrap();
    refused(files::read(&here.context(Effect::Read), "here", &work).await, "host-identity-mismatch");
    refused(files::remove(&here.context(Effect::Destroy), "here", &work).await, "host-identity-mismatch");
    fs::write(here.path("work/.lifeboat-identity"), "lab-7\n").unwrap();
    files::remove(&here.context(Effect::Destroy), "here", &work).await.unwrap();
}

#[tokio::test]
async fn a_program_runs_with_input_output_and_exit_code() {
    let here = Here::new(None);
    let context = here.context(Effect::Mutate);
    let script = words(&["-c", "cat; echo problem >&2; exit 3"]);
    let output = process::run(&context, "here", "sh", &script, Some("input".to_owned())).await.unwrap();
    assert_eq!((output.exit, output.stdout.as_str(), output.stderr.as_str()), (3, "input", "problem\n"));
    let without = process::run(&context, "here", "sh", &words(&["-c", "cat; kill -9 $$"]), None).await.unwrap();
    assert_eq!((without.exit, without.stdout.as_str()), (137, ""));
    let full = words(&["-c", "echo 'x: No space left on device' >&2; exit 1"]);
    refused(process::run(&context, "here", "sh", &full, None).await, "no-space");
    let place = Place::of(&context, "here", Effect::Read).unwrap();
    assert_eq!((place.ports(), place.listen_address().as_str()), (vec![5444], "127.0.0.9"));
}

#[tokio::test]
async fn a_program_starts_in_the_folder_work_and_no_link_leads_it_out() {
    let here = Here::new(None);
    let outside = here.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s").unwrap();
    fs::write(here.path("work/mine"), "m").unwrap();
    std::os::unix::fs::symlink(&outside, here.path("work/link")).unwrap();
    std::os::unix::fs::symlink(outside.join("secret"), here.path("work/short")).unwrap();
    std::os::unix::fs::symlink(here.path("work/mine"), here.path("work/inside")).unwrap();
    let context = here.context(Effect::Mutate);
    let cat = async |argument: &str| process::run(&context, "here", "cat", &words(&[argument]), None).await;
    for fine in ["mine", "inside", &here.path("work/mine")] {
        assert_eq!(cat(fine).await.unwrap().stdout, "m", "{fine}");
    }
    assert_eq!(cat("etc/passwd").await.unwrap().exit, 1, "it does not run in the root folder");
    for out in ["link/secret", "short", "-nshort", "--x=link/secret", &here.path("work/link/secret")] {
        refused(cat(out).await, "machine-path");
    }
    let mut spawned = process::spawn(&context, "here", "cat", &words(&["short"]), &[]).await.unwrap();
    assert!(spawned.read_lines(&context, 1).await.unwrap().is_empty());
    refused(spawned.wait(&context).await, "machine-path");

    let start = |data: String| words(&["start", "-D", &data]);
    let pg_ctl = async |data: &str| process::run(&context, "here", "pg_ctl", &start(here.path(data)), None).await;
    assert!(pg_ctl("work/copy").await.is_ok());
    refused(pg_ctl("archive/copy").await, "machine-argument");
    refused(pg_ctl("outside").await, "machine-argument");

    fs::remove_dir_all(here.path("work")).unwrap();
    refused(cat("mine").await, "machine-command");
}

#[tokio::test]
async fn kept_lines_are_read_while_the_program_runs() {
    let here = Here::new(None);
    let context = here.context(Effect::Read);
    let keep = [vec!["99".to_owned(), "1".to_owned()]];
    let mut process = process::spawn(&context, "here", "seq", &words(&["20000"]), &keep).await.unwrap();
    let mut lines = Vec::new();
    loop {
        let more = process.read_lines(&context, 7).await.unwrap();
        assert!(more.len() <= 7);
        if more.is_empty() {
            break;
        }
        lines.extend(more);
    }
    let expect: Vec<_> =
        (1..=20_000).map(|n| n.to_string()).filter(|line| line.contains("99") && line.contains('1')).collect();
    assert_eq!(lines, expect);
    assert_eq!(process.wait(&context).await.unwrap().exit, 0);
}

/// Whether any process still has the text in its command line.
fn is_running(mark: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark)
    })
}

async fn until_gone(mark: &str) {
    while is_running(mark) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_deadline_ends_the_program_with_all_its_children() {
    let mut here = Here::new(None);
    let mark = format!("3600.{}1", std::process::id());
    here.fixture.deadline = Some(Timestamp::now() + SignedDuration::from_millis(300));
    let context = here.context(Effect::Mutate);
    let script = format!("sleep {mark} & sleep {mark}; true");
    refused(process::run(&context, "here", "sh", &words(&["-c", &script]), None).await, "timed-out");
    assert!(context.is_uncertain());
    until_gone(&mark).await;
}

#[tokio::test]
async fn a_cancelled_or_dropped_program_ends() {
    let here = Here::new(None);
    let mark = format!("3600.{}2", std::process::id());
    let context = here.context(Effect::Read);
    let mut process = process::spawn(&context, "here", "sleep", &words(&[&mark]), &[]).await.unwrap();
    let dropped = process::spawn(&context, "here", "sleep", &words(&[&mark]), &[]).await.unwrap();
    here.fixture.cancel.cancel();
    refused(process.read_lines(&context, 1).await, "timed-out");
    assert!(!context.is_uncertain());
    drop((process, dropped));
    until_gone(&mark).await;
}
