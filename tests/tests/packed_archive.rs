//! Archives as people have them, compressed and in folders of their own, on a real server: they are read through the
//! `restore_command` of the binding, and every way in which that can fail is named.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    scene::{RESTORE, Scene, VERIFY, Variant, superuser},
    stand::{Stand, files_below},
};
use serde_json::Value;

const LATEST: &str = ", target: { latest: true }";

const FIND: &str = "
lifeboat: 1
id: PACKED
name: Find a deletion
targets:
  primary: { kind: postgres, access: read, description: The original }
  recovery: { kind: machine, access: destroy, description: Where the archive lies }
steps:
  - id: look
    uses: pg/find-damage
    with: { machine: recovery, server: primary, table: public.items PARAMETERS }
    timeout: 2m
";

const SWITCH: &str = "
lifeboat: 1
id: PACKED
name: Push the WAL and verify it
targets:
  primary: { kind: postgres, access: write, description: The original }
  recovery: { kind: machine, access: destroy, description: Where the archive lies }
steps:
  - id: push
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
    timeout: 1m
  - id: look
    uses: pg/verify-backup
    with: { machine: recovery }
    timeout: 2m
";

/// How an archive is packed: the program, where it takes one, the path of a segment, and the command that fetches it.
struct Form {
    name: &'static str,
    program: Option<&'static str>,
    path: fn(&str) -> String,
    command: &'static str,
}

const FORMS: [Form; 5] = [
    Form {
        name: "gzip",
        program: Some("gzip"),
        path: |segment| format!("{segment}.gz"),
        command: "gunzip <ARCHIVE/%f.gz >%p",
    },
    Form {
        name: "zstd",
        program: Some("zstd"),
        path: |segment| format!("{segment}.zst"),
        command: "zstd -dqc <ARCHIVE/%f.zst >\"%p\"",
    },
    Form {
        name: "lz4",
        program: Some("lz4"),
        path: |segment| format!("{segment}.lz4"),
        command: "lz4 -dqc <ARCHIVE/%f.lz4 >%p",
    },
    // As pgBackRest and Barman: a folder for each 4 GiB, and a checksum in the name.
    Form {
        name: "nested",
        program: Some("gzip"),
        path: |segment| format!("15-1/{}/{segment}-{}.gz", &segment[..16], "b3a8e0e1f9ab1bfe3a36f231f676f78bb30a519d"),
        command: "gunzip <\"$(find ARCHIVE -name '%f-*.gz')\" >%p",
    },
    Form {
        name: "by-date",
        program: None,
        path: |segment| format!("2026/11/{segment}"),
        command: "f=$(find ARCHIVE -name %f); [ -f \"$f\" ] || exit 1; cp \"$f\" %p",
    },
];

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Packs what lies plain in the archive.
fn pack(archive: &Path, form: &Form) -> Result<()> {
    for file in files_below(archive) {
        let name = file.file_name().and_then(|name| name.to_str()).context("a name")?.to_owned();
        if name.len() != 24 {
            continue;
        }
        let target = archive.join((form.path)(&name));
        fs::create_dir_all(target.parent().context("a folder")?)?;
        match form.program {
            Some(program) => {
                let packed = Command::new(program).arg("-c").arg(&file).output()?;
                ensure!(packed.status.success(), "{program}: {}", String::from_utf8_lossy(&packed.stderr));
                fs::write(&target, packed.stdout)?;
                fs::remove_file(&file)?;
            }
            None => fs::rename(&file, &target)?,
        }
    }
    let opened = Command::new("chmod").args(["-R", "a+rX"]).arg(archive).status()?;
    ensure!(opened.success(), "the archive stays closed");
    Ok(())
}

/// What depends neither on the run nor on times of files: of a restore, how far it came; of a verification, everything.
fn facts(outputs: &Value) -> Value {
    let mut facts = outputs.clone();
    for name in ["instance", "port", "stopped", "last_archived", "segments", "set_file", "set_digest"] {
        facts.as_object_mut().map(|facts| facts.remove(name));
    }
    facts
}

/// What was fetched is gone. A failed restore keeps its marker until it is taken back, and no file of a copy.
fn leaves_nothing(stand: &Stand) -> Result<()> {
    for entry in fs::read_dir(stand.testbed.work_folder())? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        ensure!(!name.starts_with(".lifeboat-fetched"), "{name} is left behind");
        let is_left = |part: &str| name.starts_with("lb-") && path.join(part).exists();
        ensure!(!is_left("wal") && !is_left("data"), "{name} is not empty");
    }
    Ok(())
}

/// Some rows go in one transaction, and that is archived.
async fn damage(scene: &mut Scene) -> Result<()> {
    let client = superuser(&scene.stand).await?;
    client.batch_execute("DELETE FROM items WHERE order_id < 20").await?;
    let last = scene.switch(&client)?;
    scene.segments.push(last);
    Ok(())
}

/// Without what the server has archived since by itself.
fn up_to_the_last<'a>(scene: &'a Scene, name: &str) -> Result<Variant<'a>> {
    let variant = scene.variant(name)?;
    let last = scene.segments.last().context("a segment")?;
    for file in files_below(&variant.archive("")) {
        let name = file.file_name().and_then(|name| name.to_str()).context("a name")?;
        if name.len() == 24 && name > last.as_str() {
            fs::remove_file(&file)?;
        }
    }
    Ok(variant)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_archive_answers_as_a_plain_one() -> Result<()> {
    let mut scene = Scene::load(3).await?;
    damage(&mut scene).await?;
    let since = format!(", since: \"{}\"", scene.stand.not_before);
    let runs = [
        (VERIFY, String::new()),
        (FIND, since),
        (RESTORE, LATEST.to_owned()),
        (VERIFY, ", wal: count".to_owned()),
        (RESTORE, format!("{LATEST}, promote: true")),
        (RESTORE, format!(", target: {{ time: \"{}\" }}", scene.between)),
    ];
    let plain = up_to_the_last(&scene, "plain")?;
    let expect: Vec<Value> =
        runs.iter().map(|(runbook, with)| Ok(facts(&plain.succeeds(runbook, with)?.0))).collect::<Result<_>>()?;
    ensure!(expect[0]["wal_bytes"].as_u64().is_some_and(|bytes| bytes > 30_000_000), "{}", expect[0]);
    ensure!(expect[1]["rows"] == 38, "{}", expect[1]);
    let mut tried = 0;
    for form in &FORMS {
        if let Some(program) = form.program.filter(|program| !is_installed(program)) {
            eprintln!("SKIPPED: {program} is not installed, so no archive packed by it was read (scripts/setup test)");
            continue;
        }
        let packed = up_to_the_last(&scene, form.name)?;
        pack(&packed.archive(""), form)?;
        // Without the command, it is refused by name.
        packed.fails(VERIFY, "", if form.name == "by-date" { "pg-archive-empty" } else { "pg-archive-format" }, &[])?;
        packed.fetched_by(form.command)?;
        // Every kind of restore once, each form read by all three actions.
        let more = if form.name == "gzip" { runs.len() } else { 3 };
        for ((runbook, with), expect) in runs.iter().zip(&expect).take(more) {
            let (found, _) = packed.succeeds(runbook, with)?;
            ensure!(facts(&found) == *expect, "{}{with}: {found} is not {expect}", form.name);
        }
        leaves_nothing(&scene.stand)?;
        tried += 1;
    }
    ensure!(tried >= 3, "gzip and find are on every machine");
    scene.stand.stop().await
}

/// An archive packed by gzip, whose middle segment is spoiled.
fn spoiled<'a>(scene: &'a Scene, name: &str, spoil: impl FnOnce(&Path) -> Result<()>) -> Result<Variant<'a>> {
    let variant = scene.variant(name)?;
    pack(&variant.archive(""), &FORMS[0])?;
    variant.fetched_by(FORMS[0].command)?;
    spoil(&variant.archive(&format!("{}.gz", scene.segments[1])))?;
    Ok(variant)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_does_not_fetch_whole_is_red_and_named() -> Result<()> {
    let scene = Scene::load(3).await?;
    let middle = &scene.segments[1];
    let both = |variant: &Variant<'_>, code: &str, says: &[&str]| -> Result<()> {
        variant.fails(VERIFY, "", code, says)?;
        variant.fails(RESTORE, LATEST, code, says)?;
        leaves_nothing(&scene.stand)
    };

    let cut = spoiled(&scene, "cut", |file| {
        Ok(fs::File::options().write(true).open(file)?.set_len(fs::metadata(file)?.len() / 2)?)
    })?;
    both(&cut, "pg-wal-unreadable", &[middle, "unexpected end of file"])?;
    let short = spoiled(&scene, "short", |file| {
        let packed = Command::new("sh").args(["-c", "head -c 100000 /dev/zero | gzip -c"]).output()?;
        Ok(fs::write(file, packed.stdout)?)
    })?;
    both(&short, "pg-wal-damaged", &[middle, "fetched 100000 bytes"])?;
    let zero = spoiled(&scene, "zero", |file| {
        let packed = Command::new("sh").args(["-c", "head -c 16777216 /dev/zero | gzip -c"]).output()?;
        Ok(fs::write(file, packed.stdout)?)
    })?;
    both(&zero, "pg-wal-damaged", &[middle])?;
    let gone = spoiled(&scene, "gone", |file| Ok(fs::remove_file(file)?))?;
    both(&gone, "pg-wal-gap", &[middle])?;

    let failing = spoiled(&scene, "failing", |_| Ok(()))?;
    failing.fetched_by("echo 'no such stanza' >&2; exit 7 # %f %p")?;
    both(&failing, "pg-wal-unreadable", &["ended with 7: no such stanza"])?;
    let idle = spoiled(&scene, "idle", |_| Ok(()))?;
    idle.fetched_by("true # %f %p")?;
    both(&idle, "pg-wal-unreadable", &["wrote no file"])?;
    let hanging = spoiled(&scene, "hanging", |_| Ok(()))?;
    hanging.fetched_by("sleep 3600 # %f %p")?;
    hanging.fails(&VERIFY.replace("timeout: 2m", "timeout: 2s"), "", "run-timed-out", &[])?;
    leaves_nothing(&scene.stand)?;
    scene.stand.stop().await
}

/// `archive_command` itself compresses.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_archives_packed_is_waited_for() -> Result<()> {
    let scene = Scene::load(1).await?;
    let archive = scene.stand.testbed.archive_folder();
    let variant = scene.variant("live")?;
    pack(&variant.archive(""), &FORMS[0])?;
    variant.fetched_by(FORMS[0].command)?;
    let client = superuser(&scene.stand).await?;
    let command = format!(
        "gzip -c %p >{0}/%f.new && chmod a+r {0}/%f.new && mv {0}/%f.new {0}/%f.gz && cp %p {1}/%f",
        variant.archive("").display().to_string().trim_end_matches('/'),
        archive.display()
    );
    ensure!(Command::new("chmod").arg("a+rwx").arg(variant.archive("")).status()?.success());
    client.batch_execute(&format!("ALTER SYSTEM SET archive_command = '{command}'")).await?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    client.batch_execute("DELETE FROM items WHERE order_id < 20").await?;
    // What was still archived by the old command is packed by hand.
    let known = scene.switch(&client)?;
    for file in files_below(&archive) {
        let name = file.file_name().and_then(|name| name.to_str()).context("a name")?;
        if name.len() == 24 && !variant.archive(&format!("{name}.gz")).exists() {
            fs::copy(&file, variant.archive(name))?;
        }
    }
    pack(&variant.archive(""), &FORMS[0])?;
    client.batch_execute("DELETE FROM items WHERE order_id < 30").await?;
    let (found, _) = variant.succeeds(SWITCH, "")?;
    let last = found["last_segment"].as_str().context("a segment")?;
    ensure!(last > known.as_str() && variant.archive(&format!("{last}.gz")).exists(), "{found}");
    leaves_nothing(&scene.stand)?;
    scene.stand.stop().await
}
