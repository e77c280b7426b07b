//! Where in the archive a search begins is found by the times of commits. The times of the files are other ones wherever the archive
//! was copied, restored from an object store, or touched.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    finding::{find, now, outputs, superuser, transaction, xid},
    stand::Stand,
};

/// So many segments before the damage, with a commit in each.
const SEGMENTS: u64 = 36;

/// What the files of the archive say of when they were written, by their position among all.
type Touch = fn(u64, u64) -> Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_search_begins_where_commits_say_whatever_the_files_say() -> Result<()> {
    let mut stand = Stand::loaded(1).await?;
    let log = record_reading(&mut stand)?;
    let server = superuser(&stand).await?;
    server
        .batch_execute("CREATE TABLE visits (id int PRIMARY KEY); INSERT INTO visits SELECT generate_series(1, 500)")
        .await?;
    let mut late = String::new();
    for number in 0..SEGMENTS {
        server.batch_execute("UPDATE customers SET name = name WHERE id = 1").await?;
        if number == SEGMENTS - 6 {
            // From here on it is known which transactions run, and a search needs not go back further.
            server.batch_execute("CHECKPOINT").await?;
        }
        if number == SEGMENTS - 4 {
            late = now(&stand, &server).await?;
        }
        server.batch_execute("SELECT pg_switch_wal()").await?;
    }
    let mistake = transaction(&stand, &server, "DELETE FROM visits WHERE id <= 200").await?;
    // A minute before `since` a commit still counts, so the search begins with the last segments.
    let sql = format!(
        "SELECT to_char(('{late}'::timestamptz + interval '60 seconds') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    );
    let since = stand.value(&server, &sql).await?;
    let search = || -> Result<_> {
        fs::write(&log, "")?;
        let found = outputs(find(&stand, &format!("table: public.visits, since: \"{since}\""))?, "find")?;
        let answer = ["xid", "rows", "set_digest", "first_lsn"].map(|name| xid(&found[name]));
        Ok((answer, read_segments(&log)?))
    };
    let (answer, read) = search()?;
    ensure!(answer[0] == mistake && answer[1] == "200", "{answer:?}");
    let notes = || fs::read_to_string(&log).unwrap_or_default();
    ensure!(read <= 16, "{read} of {SEGMENTS} segments were read where the files have their own times: {}", notes());
    let kinds: [(&str, Touch); 4] = [
        ("all alike, written now", |_, _| Duration::ZERO),
        ("all alike, long ago", |_, _| Duration::from_secs(86_400)),
        ("reversed", |position, _| Duration::from_secs(position * 60)),
        ("shuffled", |position, count| Duration::from_secs(position * 17 % count * 60)),
    ];
    for (kind, ago) in kinds {
        touch(&stand, ago)?;
        let (found, read) = search().with_context(|| kind.to_owned())?;
        ensure!(found == answer, "{kind}: {found:?}, not {answer:?}");
        ensure!(read <= 20, "{kind}: {read} of {SEGMENTS} segments were read: {}", notes());
    }
    stand.stop().await
}

/// Gives every segment of the archive another time.
fn touch(stand: &Stand, ago: Touch) -> Result<()> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(stand.testbed.archive_folder())?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    for (position, path) in files.iter().enumerate() {
        let ago = ago(position as u64, files.len() as u64);
        fs::File::open(path)?.set_modified(SystemTime::now() - ago)?;
    }
    Ok(())
}

/// Puts a pg_waldump before the real one that notes what it is asked to read; the file with the notes.
fn record_reading(stand: &mut Stand) -> Result<PathBuf> {
    let real = PathBuf::from(stand.binding("postgres_bin: ")?);
    let folder = stand.testbed.folder().join("noting");
    fs::create_dir(&folder)?;
    let log = folder.join("read");
    fs::write(&log, "")?;
    fs::set_permissions(&log, fs::Permissions::from_mode(0o666))?;
    for entry in fs::read_dir(&real)?.flatten().filter(|entry| entry.file_name() != "pg_waldump") {
        symlink(entry.path(), folder.join(entry.file_name()))?;
    }
    let script =
        format!("#!/bin/sh\necho \"$@\" >>'{}'\nexec '{}' \"$@\"\n", log.display(), real.join("pg_waldump").display());
    let path = folder.join("pg_waldump");
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    let bindings = fs::read_to_string(&stand.bindings)?;
    let changed = bindings.replace(&real.display().to_string(), &folder.display().to_string());
    fs::write(&stand.bindings, changed)?;
    Ok(log)
}

/// How many different segments were read.
fn read_segments(log: &Path) -> Result<usize> {
    let number = |name: &str| u64::from_str_radix(name.get(8..)?.get(8..)?, 16).ok();
    let mut all = BTreeSet::new();
    for line in fs::read_to_string(log)?.lines() {
        let mut names = line.split_whitespace().rev().filter_map(number);
        let (last, first) = (names.next().context("a last segment")?, names.next().context("a first one")?);
        all.extend(first..=last);
    }
    Ok(all.len())
}
