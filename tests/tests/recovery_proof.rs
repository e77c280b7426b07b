//! What a restore and a verification say is so: with every kind of damage in the archive or among the backups they are red and
//! name it, and without any they are green. One server is loaded; copies of its folders are damaged in turn.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    scene::{RESTORE, Scene, VERIFY, superuser},
    stand::{Stand, files_below},
};

const LATEST: &str = ", target: { latest: true }";

fn flip(file: &Path, at: u64) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(file)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x55], at)?;
    Ok(())
}

/// Every kind of damage that a file of an archive can have.
fn damage(kind: &str, file: &Path) -> Result<()> {
    match kind {
        "flip" => flip(file, 1_000_000)?,
        "zero" => fs::write(file, vec![0; usize::try_from(fs::metadata(file)?.len())?])?,
        "hole" => fs::File::options().write(true).open(file)?.write_all_at(&[0; 65_536], 81_920)?,
        "short" => fs::File::options().write(true).open(file)?.set_len(1 << 20)?,
        "foreign" => flip(file, 24)?,
        "timeline" => flip(file, 4)?,
        "elsewhere" => flip(file, 11)?,
        "unreadable" => {
            drop(std::os::unix::fs::chown(file, Some(0), Some(0)));
            fs::set_permissions(file, fs::Permissions::from_mode(0o000))?;
        }
        "missing" => fs::remove_file(file)?,
        other => anyhow::bail!("no such damage: {other}"),
    }
    Ok(())
}

/// Where in the segment its thousandth record begins.
fn begin_of_a_record(scene: &Scene, segment: &str) -> Result<u64> {
    let program = Path::new(&scene.stand.binding("postgres_bin: ")?).join("pg_waldump");
    let archive = scene.stand.testbed.archive_folder();
    let output = Command::new(program).arg("-p").arg(archive).args(["-n", "1000", segment, segment]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (_, lsn) = text.lines().last().and_then(|line| line.split_once("lsn: ")).context("a record")?;
    let (_, low) = lsn.split(',').next().and_then(|lsn| lsn.split_once('/')).context("a position")?;
    Ok(u64::from_str_radix(low, 16)? % (16 << 20))
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_anywhere_in_the_wal_is_red_and_named() -> Result<()> {
    let scene = Scene::load(4).await?;
    let last = scene.segments.last().context("a segment")?;

    let good = scene.variant("good")?;
    let (found, _) = good.succeeds(VERIFY, "")?;
    ensure!(found["wal"] == "read" && found["last_segment"] == last.as_str(), "{found}");
    ensure!(found["wal_bytes"].as_u64().is_some_and(|bytes| bytes > 60_000_000), "{found}");
    let (counted, _) = good.succeeds(VERIFY, ", wal: count, oldest: true")?;
    ensure!(counted["wal"] == "count" && counted["wal_bytes"] == 0, "{counted}");
    for promote in [false, true] {
        let (copy, _) = good.succeeds(RESTORE, &format!("{LATEST}, promote: {promote}"))?;
        ensure!(copy["last_segment"] == last.as_str() && copy["timeline"] == 1, "{copy}");
        ensure!(copy["reached_lsn"] == copy["expected_end"], "{copy}");
        ensure!(copy["stopped"].as_str().is_some_and(|line| line.contains("after WAL location")), "{copy}");
    }

    let kinds = [
        ("flip", "pg-wal-damaged"),
        ("zero", "pg-wal-damaged"),
        ("hole", "pg-wal-damaged"),
        ("short", "pg-wal-damaged"),
        ("elsewhere", "pg-wal-damaged"),
        ("foreign", "pg-wal-foreign"),
        ("timeline", "pg-wal-foreign"),
        ("unreadable", "pg-wal-unreadable"),
        ("missing", "pg-wal-gap"),
    ];
    for (kind, code) in kinds {
        let variant = scene.variant(kind)?;
        let middle = &scene.segments[1];
        damage(kind, &variant.archive(middle))?;
        variant.fails(VERIFY, "", code, &[middle])?;
        variant.fails(RESTORE, LATEST, code, &[middle])?;
    }
    // As if nothing had been written from a record on: the one kind that a reader could take for the end.
    let unwritten = scene.variant("unwritten")?;
    let middle = &scene.segments[1];
    let begin = begin_of_a_record(&scene, middle)?;
    let file = fs::File::options().write(true).open(unwritten.archive(middle))?;
    file.write_all_at(&vec![0; usize::try_from(file.metadata()?.len() - begin)?], begin)?;
    unwritten.fails(VERIFY, "", "pg-wal-damaged", &[middle])?;
    unwritten.fails(RESTORE, LATEST, "pg-wal-damaged", &[middle])?;
    // In the last one too, where WAL that ends there is no news for the server.
    for (kind, code) in [("flip", "pg-wal-damaged"), ("hole", "pg-wal-damaged"), ("short", "pg-wal-damaged")] {
        let variant = scene.variant(&format!("last-{kind}"))?;
        damage(kind, &variant.archive(last))?;
        variant.fails(VERIFY, "", code, &[last])?;
        variant.fails(RESTORE, LATEST, code, &[last])?;
    }
    scene.stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beside_is_told_from_what_is_meant() -> Result<()> {
    let scene = Scene::load(2).await?;
    let [first, last] = &scene.segments[..] else { anyhow::bail!("two segments: {:?}", scene.segments) };

    // Somebody promoted a copy that archived here: its timeline is named, and not followed.
    let stray = scene.variant("stray")?;
    let own = |name: &str| name.replacen("00000001", "00000002", 1);
    fs::write(stray.archive("00000002.history"), "1\t0/2000100\tno recovery target specified\n")?;
    for name in [first, last] {
        fs::copy(stray.archive(name), stray.archive(&own(name)))?;
    }
    let (copy, said) = stray.succeeds(RESTORE, LATEST)?;
    ensure!(copy["timeline"] == 1 && copy["last_segment"] == last.as_str(), "{copy}");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(said.contains("00000002.history is left out"), "{said}");
    ensure!(stray.succeeds(VERIFY, "")?.0["timeline"] == 1);
    stray.fails(RESTORE, &format!("{LATEST}, timeline: 3"), "pg-archive-empty", &["timeline 3"])?;

    // A copy of the archive has other times than its files had.
    for (kind, date) in [("old", "2001-01-01"), ("new", "now")] {
        let touched = scene.variant(kind)?;
        let files = files_below(&touched.folder);
        ensure!(Command::new("touch").args(["-d", date]).args(files).status()?.success());
        let (copy, _) = touched.succeeds(RESTORE, &format!(", target: {{ time: \"{}\" }}", scene.between))?;
        ensure!(copy["last_segment"] == last.as_str(), "{copy}");
        ensure!(copy["reached_time"].as_str().is_some_and(|time| time <= scene.between.as_str()), "{copy}");
        ensure!(copy["stopped"].as_str().is_some_and(|line| line.contains("before commit of transaction")), "{copy}");
    }

    // A moment behind the last commit: nothing shows that the archive reaches it, which is known before anything is copied.
    let idle = scene.variant("idle")?;
    let later = ", target: { time: \"2999-01-01T00:00:00Z\" }";
    idle.fails(
        RESTORE,
        later,
        "pg-target-not-reached",
        &["committed after time 2999", "the last one is of", "latest"],
    )?;
    ensure!(!files_below(&scene.stand.testbed.work_folder()).iter().any(|file| file.ends_with("PG_VERSION")));

    let packed = scene.variant("packed")?;
    fs::rename(packed.archive(last), packed.archive(&format!("{last}.gz")))?;
    for (runbook, parameters) in [(VERIFY, ""), (RESTORE, LATEST)] {
        packed.fails(runbook, parameters, "pg-archive-format", &[&format!("{last}.gz")])?;
    }
    let nested = scene.variant("nested")?;
    fs::create_dir(nested.archive("aside"))?;
    for file in files_below(&nested.folder.join("archive")) {
        fs::rename(&file, nested.archive("aside").join(file.file_name().context("a name")?))?;
    }
    fs::rename(nested.archive("aside"), nested.archive(&last[..16]))?;
    nested.fails(VERIFY, "", "pg-archive-format", &["nested"])?;

    for kind in ["no-manifest", "cut", "tar", "label"] {
        let variant = scene.variant(kind)?;
        let (old, new) = (variant.backup("nightly"), variant.backup("newer"));
        ensure!(Command::new("cp").arg("-a").arg(&old).arg(&new).status()?.success());
        let says = match kind {
            "no-manifest" => fs::remove_file(new.join("backup_manifest")).map(|()| "has no manifest"),
            "cut" => fs::write(new.join("backup_manifest"), "{\"PostgreSQL-").map(|()| "is damaged"),
            "tar" => fs::write(new.join("base.tar.gz"), "x").map(|()| "tar format; only backups in plain format"),
            _ => fs::remove_file(new.join("backup_label")).map(|()| "has no backup_label"),
        }?;
        variant.fails(VERIFY, "", "pg-backup-unusable", &["newer", says, "nightly"])?;
        // In an emergency the older one does.
        let (_, said) = variant.succeeds(VERIFY, ", oldest: true, wal: count")?;
        ensure!(said.contains("newer"), "{said}");
        fs::remove_dir_all(&old)?;
        variant.fails(VERIFY, "", "pg-no-backup", &[says])?;
    }
    scene.stand.stop().await
}

/// A limit that was larger for a while, between the backup and today: the WAL asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_the_wal_asks_for_is_given() -> Result<()> {
    let scene = Scene { stand: Stand::loaded(20).await?, segments: Vec::new(), between: String::new() };
    for limit in [300, 60] {
        let client = superuser(&scene.stand).await?;
        client.batch_execute(&format!("ALTER SYSTEM SET max_connections = {limit}")).await?;
        drop(client);
        scene.stand.testbed.stop_primary().await?;
        scene.stand.testbed.start_primary().await?;
    }
    scene.switch(&superuser(&scene.stand).await?)?;
    let variant = scene.variant("limits")?;
    for promote in [false, true] {
        let (copy, _) = variant.succeeds(RESTORE, &format!("{LATEST}, promote: {promote}"))?;
        ensure!(copy["reached_lsn"] == copy["expected_end"], "{copy}");
    }
    variant.fails(
        RESTORE,
        &format!("{LATEST}, settings: {{ max_connections: '60' }}"),
        "pg-replay-limits",
        &["max_connections = 60"],
    )?;
    scene.stand.stop().await
}

/// The server was promoted since the backup, as after a failover: both timelines are read, and the way from one to the other.
#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_is_the_one_that_the_server_writes_on() -> Result<()> {
    let mut scene = Scene::load(1).await?;
    let old = scene.segments[0].clone();
    scene.stand.testbed.stop_primary().await?;
    fs::write(scene.stand.testbed.folder().join("primary/data/standby.signal"), "")?;
    scene.stand.testbed.start_primary().await?;
    let client = superuser(&scene.stand).await?;
    client.query_one("SELECT pg_promote()", &[]).await?;
    client
        .batch_execute("INSERT INTO customers (name) SELECT 'promoted ' || n FROM generate_series(1, 20000) n")
        .await?;
    scene.segments.push(scene.switch(&client)?);
    drop(client);
    let new = scene.segments[1].clone();
    ensure!(old.starts_with("00000001") && new.starts_with("00000002"), "{old} {new}");

    let variant = scene.variant("promoted")?;
    for promote in [false, true] {
        let (copy, _) = variant.succeeds(RESTORE, &format!("{LATEST}, promote: {promote}"))?;
        ensure!(copy["timeline"] == 2 && copy["last_segment"] == new.as_str(), "{copy}");
        ensure!(copy["reached_lsn"] == copy["expected_end"], "{copy}");
    }
    let (taken, _) = variant.succeeds(RESTORE, ", backup: nightly, target: { immediate: true }")?;
    ensure!(taken["timeline"] == 1, "{taken}");
    let (read, _) = variant.succeeds(VERIFY, ", timeline: 2")?;
    ensure!(read["last_segment"] == new.as_str() && read["wal"] == "read", "{read}");
    let (own, said) = variant.succeeds(VERIFY, "")?;
    ensure!(own["timeline"] == 1 && said.contains("00000002.history"), "{own} {said}");
    for middle in [&old, &new] {
        let damaged = scene.variant("damaged")?;
        damage("flip", &damaged.archive(middle))?;
        damaged.fails(VERIFY, ", timeline: 2", "pg-wal-damaged", &[middle])?;
        damaged.fails(RESTORE, LATEST, "pg-wal-damaged", &[middle])?;
    }
    fs::remove_file(variant.archive("00000002.history"))?;
    variant.fails(RESTORE, &format!("{LATEST}, backup: nightly"), "pg-timeline", &["nightly", "timeline 2"])?;
    scene.stand.stop().await
}

/// A server that ended in the middle of a segment and was promoted: a record begins on the old timeline and ends on the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_crosses_a_change_of_timeline_is_read() -> Result<()> {
    let scene = Scene::load(1).await?;
    let client = superuser(&scene.stand).await?;
    client
        .batch_execute("INSERT INTO customers (name) SELECT repeat('long ', 20) FROM generate_series(1, 100000)")
        .await?;
    let now: String = client.query_one("SELECT pg_walfile_name(pg_current_wal_lsn())", &[]).await?.get(0);
    let before = format!("{}{:08X}", &now[..16], u32::from_str_radix(&now[16..], 16)? - 1);
    while !scene.stand.testbed.archive_folder().join(&before).exists() {
        client.query_one("SELECT pg_stat_clear_snapshot()::text", &[]).await?;
    }
    drop(client);
    scene.stand.testbed.kill_primary().await?;
    fs::write(scene.stand.testbed.folder().join("primary/data/standby.signal"), "")?;
    scene.stand.testbed.start_primary().await?;
    let client = superuser(&scene.stand).await?;
    client.query_one("SELECT pg_promote()", &[]).await?;
    client
        .batch_execute("INSERT INTO customers (name) SELECT 'promoted ' || n FROM generate_series(1, 20000) n")
        .await?;
    scene.switch(&client)?;
    drop(client);
    let crossed = now.replacen("00000001", "00000002", 1);

    let variant = scene.variant("crossed")?;
    let head = fs::read(variant.archive(&crossed))?;
    let remaining = u32::from_le_bytes(head[16..20].try_into()?);
    ensure!(remaining > 0, "no record crosses into {crossed}");
    // 0 is no timeline: it stands for the one that is followed anyway.
    let (own, _) = variant.succeeds(VERIFY, ", timeline: 0")?;
    ensure!(own["timeline"] == 1, "{own}");
    variant.succeeds(VERIFY, ", timeline: 2")?;
    // Behind the header of its first page lies the rest of the record, where no program looks.
    flip(&variant.archive(&crossed), 40)?;
    variant.fails(VERIFY, ", timeline: 2", "pg-wal-damaged", &[&before, &crossed])?;
    scene.stand.stop().await
}
