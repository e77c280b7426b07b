//! What a failover does to a standby and to the old primary, on real servers: nothing that the standby had is lost, whatever stood in the
//! way of its replay, and the old primary stays down.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    finding::{outputs, says},
    two_regions::{TwoRegions, number, received, until},
};

const STOP: &str = "  - { id: receiver, uses: pg/stop-receiver, with: { server: standby } }\n";
const PROMOTE: &str = r#"  - { id: promote, uses: pg/promote, with: { server: standby, at_least: "${{ steps.receiver.outputs.received }}" } }
"#;
const TAIL: &str = "  - { id: tail, uses: pg/archive-tail, with: { server: standby, machine: recovery } }\n";

/// Replay that somebody paused, and replay that is an hour late on purpose: both hold back what was received, and a promotion brings it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_received_and_not_replayed_is_there_after_the_promotion() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let (east, west) = (regions.server("east").await?, regions.server("west").await?);
    east.batch_execute("ALTER ROLE app SET synchronous_commit = local; CREATE TABLE t (n int)").await?;
    until(&west, "SELECT to_regclass('t') IS NOT NULL").await?;
    west.batch_execute("ALTER SYSTEM SET recovery_min_apply_delay = '1h'").await?;
    west.batch_execute("SELECT pg_reload_conf()").await?;
    west.batch_execute("SELECT pg_wal_replay_pause()").await?;
    east.batch_execute("INSERT INTO t SELECT generate_series(1, 500)").await?;
    received(&east, &west).await?;
    ensure!(number(&west, "SELECT count(*) FROM t").await? == 0, "nothing of it is replayed");

    let hasty = "  - { id: promote, uses: pg/promote, with: { server: standby, at_least: 0/0 } }\n";
    says(&regions.run(hasty)?, &["pg-receiver-runs"])?;
    let status = "  - { id: status, uses: pg/standby-status, with: { server: standby } }\n";
    let status = outputs(regions.run(status)?, "status")?;
    ensure!(status["replay_paused"] == true && status["apply_delay_ms"] == 3_600_000, "{status:#}");
    ensure!(status["receives"] == true && status["stale"] == false, "{status:#}");
    ensure!(
        status["not_waiting"] == serde_json::json!(["role app"]),
        "commits of the application do not wait: {status:#}"
    );

    let all = regions.run(&[STOP, PROMOTE].concat())?;
    let stopped = outputs(all.clone(), "receiver")?;
    ensure!(stopped["paused"] == true && stopped["apply_delay_ms"] == 3_600_000, "{stopped:#}");
    let promoted = outputs(all, "promote")?;
    ensure!(number(&west, "SELECT count(*) FROM t").await? == 500, "everything that was received is there");
    ensure!(promoted["timeline"] == 2, "{promoted:#}");
    ensure!(promoted["fork"].as_str() >= status["end"].as_str(), "{promoted:#} after {status:#}");
    // An engine that lost the answer promotes again, and so does a person who does not know that it is done.
    let again = "  - { id: promote, uses: pg/promote, with: { server: standby, at_least: 0/0 } }\n";
    let again = outputs(regions.run(again)?, "promote")?;
    ensure!(again["fork"] == promoted["fork"] && again["timeline"] == 2, "{again:#}");
    let beyond = "  - { id: promote, uses: pg/promote, with: { server: standby, at_least: F/0 } }\n";
    says(&regions.run(beyond)?, &["pg-promotion-lost-wal"])?;
    says(&regions.run(STOP)?, &["pg-not-standby"])?;
    regions.stop().await
}

/// A receiver that was taken away comes back as it was, and the end of what was received stood still meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_can_be_taken_away_and_given_back() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let (east, west) = (regions.server("east").await?, regions.server("west").await?);
    let first = outputs(regions.run(STOP)?, "receiver")?;
    east.batch_execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS n").await?;
    let second = outputs(regions.run(STOP)?, "receiver")?;
    ensure!(first["received"] == second["received"], "{first:#} {second:#}");
    ensure!(number(&west, "SELECT count(*) FROM pg_stat_wal_receiver").await? == 0, "no receiver runs");
    let start = "  - { id: start, uses: pg/start-receiver, with: { server: standby } }\n";
    outputs(regions.run(start)?, "start")?;
    until(&west, "SELECT to_regclass('t') IS NOT NULL").await?;
    regions.stop().await
}

/// Copies a segment into the archive of the standby, as the user that owns that folder.
fn copy(regions: &TwoRegions, segment: &str, bytes: Option<u64>) -> Result<std::path::PathBuf> {
    let (from, to) = (regions.folder("east", "archive").join(segment), regions.folder("west", "archive").join(segment));
    let (part, owner) = (to.with_extension("part"), fs::metadata(regions.folder("west", "archive"))?);
    fs::copy(&from, &part)?;
    std::os::unix::fs::chown(&part, Some(std::os::unix::fs::MetadataExt::uid(&owner)), None)?;
    if let Some(bytes) = bytes {
        fs::File::options().write(true).open(&part)?.set_len(bytes)?;
    }
    fs::rename(&part, &to)?;
    Ok(to)
}

/// The stream ended before the archive did. A segment that is cut short or that the server may not read is found before the promotion,
/// which would end the server at the one and lose the other without a word.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_archive_has_is_checked_and_replayed() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let (east, west) = (regions.server("east").await?, regions.server("west").await?);
    east.batch_execute("CREATE TABLE t (n int)").await?;
    until(&west, "SELECT to_regclass('t') IS NOT NULL").await?;
    let none = outputs(regions.run(TAIL)?, "tail")?;
    ensure!(none["segments"] == 0, "{none:#}");
    outputs(regions.run(STOP)?, "receiver")?;
    east.batch_execute("INSERT INTO t SELECT generate_series(1, 800)").await?;
    let segment: String = east.query_one("SELECT pg_walfile_name(pg_switch_wal() - 1)", &[]).await?.get(0);
    until(&east, &format!("SELECT coalesce(last_archived_wal >= '{segment}', false) FROM pg_stat_archiver")).await?;

    copy(&regions, &segment, Some(60_000))?;
    says(&regions.run(TAIL)?, &["pg-archive-short", &segment])?;
    let whole = copy(&regions, &segment, None)?;
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o000))?;
    says(&regions.run(TAIL)?, &["pg-archive-unreadable", &segment])?;
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o600))?;
    says(&regions.run(TAIL)?, &["pg-archive-not-replayed", &segment])?;

    let archive = regions.folder("west", "archive");
    west.batch_execute(&format!("ALTER SYSTEM SET restore_command = 'cp {}/%f %p'", archive.display())).await?;
    west.batch_execute("SELECT pg_reload_conf()").await?;
    let tail = TAIL.replace("id: tail", "id: receiver");
    let promote = PROMOTE.replace("outputs.received", "outputs.at_least");
    let promoted = outputs(regions.run(&[tail, promote].concat())?, "promote")?;
    ensure!(number(&west, "SELECT count(*) FROM t").await? == 800, "{promoted:#}");
    regions.stop().await
}

/// Numbers that the old primary handed out and that never arrived are not handed out again; nothing waits for a standby that is not
/// there; what holds locks is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_is_prepared_before_anybody_writes() -> Result<()> {
    let regions = TwoRegions::start().await?;
    for name in ["west", "east"] {
        let server = regions.server(name).await?;
        server.batch_execute("ALTER SYSTEM SET max_prepared_transactions = 5").await?;
        let server = regions.testbed.server(name).context("a server")?;
        server.stop().await?;
        server.start().await?;
    }
    let (east, west) = (regions.server("east").await?, regions.server("west").await?);
    east.batch_execute(
        "CREATE TABLE t (n int); CREATE UNLOGGED TABLE scratch (n int); CREATE SEQUENCE up; CREATE SEQUENCE \"Down\" INCREMENT -5 MINVALUE -1000000;
         CREATE SEQUENCE small MAXVALUE 100; SELECT nextval('up') FROM generate_series(1, 6); SELECT nextval('small')",
    )
    .await?;
    east.batch_execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'booking-1'").await?;
    received(&east, &west).await?;
    outputs(regions.run(STOP)?, "receiver")?;
    // These never arrive.
    let lost = number(&east, "SELECT max(nextval('up')) FROM generate_series(1, 200)").await?;
    west.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 (nobody)'").await?;
    west.batch_execute("SELECT pg_reload_conf()").await?;
    let prepare =
        "  - { id: prepare, uses: pg/prepare-primary, with: { server: standby, forward: 1000, slots: [east] } }\n";
    says(&regions.run(prepare)?, &["pg-still-standby"])?;
    let prepared = outputs(regions.run(&[STOP, PROMOTE, prepare].concat())?, "prepare")?;
    ensure!(number(&west, "SELECT nextval('up')").await? > lost, "a number is handed out twice: {prepared:#}");
    ensure!(number(&west, "SELECT nextval('\"Down\"')").await? < -4_000, "{prepared:#}");
    ensure!(number(&west, "SELECT nextval('small')").await? <= 100, "one that would end stands where it stood");
    ensure!(prepared["sequences"] == 2 && prepared["sequences_left"][0] == "public.small", "{prepared:#}");
    ensure!(prepared["waited_for"] == "FIRST 1 (nobody)" && prepared["unlogged"][0] == "scratch", "{prepared:#}");
    ensure!(prepared["prepared"][0].as_str().is_some_and(|text| text.starts_with("booking-1 ")), "{prepared:#}");
    ensure!(number(&west, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'east'").await? == 1, "a slot");
    west.batch_execute("CREATE TABLE afterwards (n int)").await?;
    regions.stop().await
}

/// What the old primary goes on writing after the promotion is counted exactly from its WAL: only what committed, and by table.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_primary_wrote_beyond_the_fork_is_counted_exactly() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let (east, west) = (regions.server("east").await?, regions.server("west").await?);
    east.batch_execute("CREATE TABLE t (n int PRIMARY KEY, v int); CREATE TABLE u (n int); INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n")
        .await?;
    received(&east, &west).await?;
    let promoted = outputs(regions.run(&[STOP, PROMOTE].concat())?, "promote")?;
    let fork = promoted["fork"].as_str().context("a fork")?;
    let count = format!(
        "  - {{ id: count, uses: pg/count-divergence, with: {{ host: old_host, server: standby, fork: {fork}, timeline: 1 }} }}\n"
    );
    let nothing = outputs(regions.run(&count)?, "count")?;
    ensure!(nothing["transactions"] == 0 && nothing["tables"].as_array().is_some_and(Vec::is_empty), "{nothing:#}");

    for n in 101..=107 {
        east.execute("INSERT INTO t VALUES ($1, 1)", &[&n]).await?;
    }
    east.batch_execute("UPDATE t SET v = 2 WHERE n <= 10").await?;
    east.batch_execute("DELETE FROM t WHERE n BETWEEN 11 AND 13").await?;
    east.batch_execute("BEGIN; INSERT INTO t SELECT n, 3 FROM generate_series(201, 205) n; ROLLBACK").await?;
    east.batch_execute(
        "BEGIN; INSERT INTO u VALUES (1); SAVEPOINT a; INSERT INTO u VALUES (2); ROLLBACK TO a; SAVEPOINT b; \
                        INSERT INTO u VALUES (3); COMMIT",
    )
    .await?;
    east.batch_execute("COPY u FROM PROGRAM 'seq 20'").await?;
    let open = regions.server("east").await?;
    open.batch_execute("BEGIN; INSERT INTO u VALUES (4)").await?;
    east.batch_execute("ANALYZE t").await?;
    east.batch_execute("VACUUM t").await?;
    let counted = outputs(regions.run(&count)?, "count")?;
    let expected = serde_json::json!([
        { "table": "t", "made": 7, "removed": 3, "replaced": 10 },
        { "table": "u", "made": 22, "removed": 0, "replaced": 0 },
    ]);
    ensure!(counted["tables"] == expected, "{counted:#}");
    ensure!(counted["transactions"] == 11 && counted["unfinished"] == 1, "{counted:#}");
    regions.stop().await
}

/// An archive that has the history of a timeline that another server began: the promotion takes the next number where the standby reads that
/// archive, and where it does not, two servers have one timeline, which is said.
#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_another_promotion_in_the_archive_is_seen() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let archive = regions.folder("west", "archive");
    let history = archive.join("00000002.history");
    fs::write(&history, "1\t0/100028\tno recovery target specified\n")?;
    fs::set_permissions(&history, fs::Permissions::from_mode(0o644))?;
    let promoted = outputs(regions.run(&[STOP, PROMOTE].concat())?, "promote")?;
    ensure!(promoted["timeline"] == 2, "nothing reads the archive: {promoted:#}");
    let check = format!(
        "  - {{ id: history, uses: pg/check-history, with: {{ server: standby, machine: recovery, fork: {}, within: 2s }} }}\n",
        promoted["fork"].as_str().context("a fork")?
    );
    says(&regions.run(&check)?, &["pg-history-foreign"])?;
    fs::remove_file(&history)?;
    let found = outputs(regions.run(&check.replace("within: 2s", "within: 2m"))?, "history")?;
    ensure!(found["history"].as_str().is_some_and(|path| path.ends_with("/00000002.history")), "{found:#}");
    regions.stop().await?;

    let regions = TwoRegions::start().await?;
    let west = regions.server("west").await?;
    let archive = regions.folder("west", "archive");
    west.batch_execute(&format!("ALTER SYSTEM SET restore_command = 'cp {}/%f %p'", archive.display())).await?;
    west.batch_execute("ALTER SYSTEM SET recovery_target_timeline = 'current'").await?;
    let server = regions.testbed.server("west").context("a server")?;
    server.stop().await?;
    let history = archive.join("00000002.history");
    fs::write(&history, "1\t0/100028\tno recovery target specified\n")?;
    fs::set_permissions(&history, fs::Permissions::from_mode(0o644))?;
    server.start().await?;
    let promoted = outputs(regions.run(&[STOP, PROMOTE].concat())?, "promote")?;
    ensure!(promoted["timeline"] == 3, "timeline 2 is another server's: {promoted:#}");
    regions.stop().await
}

/// Whether a server runs there, by the process that it names itself.
fn runs(data: &Path) -> bool {
    let named = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    named.lines().next().is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists())
}

/// The old primary is ended where it runs, and comes back as a standby of nobody: by a reboot, an init script, or somebody who means well.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_primary_that_is_fenced_takes_no_writes_when_it_starts_again() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let east = regions.server("east").await?;
    east.batch_execute("CREATE TABLE t (n int)").await?;
    let fence = "  - { id: fence, uses: pg/fence, with: { host: old_host, server: standby } }\n";
    let wrong = fence.replace("old_host", "standby_host");
    says(&regions.run(&wrong)?, &["pg-fence-standby"])?;
    ensure!(runs(&regions.folder("west", "data")), "the standby was not touched");

    let fenced = outputs(regions.run(fence)?, "fence")?;
    ensure!(fenced["proven"] == true && fenced["was_running"] == true, "{fenced:#}");
    ensure!(!runs(&regions.folder("east", "data")), "no process of it is left");
    let server = regions.testbed.server("east").context("a server")?;
    server.start().await?;
    let east = regions.server("east").await?;
    ensure!(east.batch_execute("INSERT INTO t VALUES (1)").await.is_err(), "it takes a write");
    let again = outputs(regions.run(fence)?, "fence")?;
    ensure!(again["proven"] == true && again["was_running"] == true, "{again:#}");
    let check = "  - { id: check, uses: pg/check-fence, with: { host: old_host, proven: true } }\n";
    ensure!(outputs(regions.run(check)?, "check")?["holds"] == true, "the mark is there");
    fs::remove_file(regions.folder("east", "data").join("standby.signal"))?;
    says(&regions.run(check)?, &["pg-fence-broken"])?;
    regions.stop().await
}

/// What an application would meet: an endpoint that is closed refuses, and one that is open leads to the server that is meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_closed_or_open_by_a_write_on_it() -> Result<()> {
    let regions = TwoRegions::start().await?;
    let tried = |expected: &str| {
        format!("  - {{ id: try, uses: pg/try-write, with: {{ server: application, {expected} }} }}\n")
    };
    says(&regions.run(&tried("expected: refused"))?, &["pg-still-writable"])?;
    outputs(regions.run(&tried("timeline: 1"))?, "try")?;
    says(&regions.run(&tried("timeline: 2"))?, &["pg-other-timeline"])?;
    let close = "  - { id: close, uses: endpoint/close, with: { endpoint: app } }\n";
    let closed = outputs(regions.run(&[close, &tried("expected: refused")].concat())?, "try")?;
    ensure!(closed["accepted"] == false, "{closed:#}");
    says(&regions.run(&tried("within: 300ms"))?, &["no write within 300ms"])?;
    // It leads to the standby: what answers is not yet what takes a write.
    let to_standby = "  - { id: open, uses: endpoint/switch, with: { endpoint: app, address: \"${{ targets.standby.host }}:${{ targets.standby.port }}\" } }\n";
    says(&regions.run(&[to_standby, &tried("timeline: 1")].concat())?, &["pg-path-reads-only"])?;
    let open = to_standby.replace("standby", "primary");
    outputs(regions.run(&[open.as_str(), &tried("timeline: 1")].concat())?, "try")?;
    regions.stop().await
}
