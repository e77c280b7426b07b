//! Seals of backups on real servers: what they see that nothing else sees, and that they are right while the server is written to.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::testbed::{Backend, PageDamage, TestbedOptions};
use lifeboat_tests::{
    bindings,
    scene::superuser,
    stand::{Stand, connect},
};
use serde_json::{Value, json};
use tokio_postgres::Client;

const RUNBOOK: &str = "workflows/backup-verification.yaml";

/// Restores a backup to a target, as a server of its own, and leaves the copy.
const RESTORE: &str = "
lifeboat: 1
id: COPY
name: A copy of a sealed backup
targets:
  primary: { kind: postgres, access: write, description: The original }
  recovery: { kind: machine, access: destroy, description: Where the copy is made }
steps:
  - id: draw
    uses: pg/pick-backup
    with: { machine: recovery }
    timeout: 1m
  - id: copy
    uses: pg/restore
    with: { machine: recovery, server: primary, backup: '${{ steps.draw.outputs.backup }}', promote: true, target: TARGET }
    timeout: 2m
";

/// Holds that copy against the seal.
const COMPARE: &str = "
lifeboat: 1
id: HOLD
name: Hold a copy against its seal
targets:
  recovery: { kind: machine, access: destroy, description: Where the copy is }
steps:
  - id: look
    uses: pg/compare-seal
    with: { machine: recovery, instance: INSTANCE, backup: nightly }
    timeout: 2m
";

/// A server with a sealed backup.
struct Sealed {
    stand: Stand,
}

impl Sealed {
    async fn new() -> Result<Self> {
        let sealed = Self { stand: Stand::loaded(500).await? };
        sealed.seal()?;
        Ok(sealed)
    }

    /// Seals the newest backup; what the run said.
    fn seal(&self) -> Result<String> {
        let (code, said) = self.run(&["workflows/backup-seal.yaml"])?;
        ensure!(code == Some(0), "{said}");
        Ok(said)
    }

    fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = self.stand.lifeboat(&["run"]);
        let run = command.args(arguments).arg("--bindings").arg(&self.stand.bindings).output()?;
        let said = String::from_utf8_lossy(&run.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((run.status.code(), said))
    }

    /// Runs a runbook of this text.
    fn run_text(&self, name: &str, text: &str) -> Result<(Option<i32>, String)> {
        let path = self.stand.home.path().join(format!("{name}.yaml"));
        fs::write(&path, text)?;
        self.run(&[&path.display().to_string()])
    }

    /// BV-001 must fail with this code and name that, and leave no copy.
    fn is_red(&self, code: &str, named: &str) -> Result<()> {
        let (exit, said) = self.run(&[RUNBOOK])?;
        ensure!(exit == Some(1) && said.contains(code) && said.contains(named), "{code} {named}: {exit:?} {said}");
        ensure!(self.stand.instances().is_empty(), "left: {:?}", self.stand.instances());
        Ok(())
    }

    fn is_green(&self) -> Result<String> {
        let (exit, said) = self.run(&[RUNBOOK])?;
        ensure!(exit == Some(0), "{said}");
        Ok(said)
    }

    fn backups(&self) -> PathBuf {
        self.stand.testbed.backups_folder()
    }

    fn seal_file(&self) -> PathBuf {
        self.backups().join("nightly.seal.json")
    }

    /// Does something to a file, sees that the verification is red, and puts the file back.
    fn with_damage(&self, file: &Path, damage: impl FnOnce() -> Result<()>, code: &str, named: &str) -> Result<()> {
        let before = fs::read(file).with_context(|| file.display().to_string())?;
        let mode = fs::metadata(file)?;
        damage()?;
        self.is_red(code, named)?;
        fs::write(file, before)?;
        std::os::unix::fs::chown(file, Some(std::os::unix::fs::MetadataExt::uid(&mode)), None)?;
        Ok(fs::set_permissions(file, mode.permissions())?)
    }

    /// A copy restored to that target, and the login there.
    async fn copy(&self, target: &str) -> Result<(String, Client)> {
        let (code, said) = self.run_text("copy", &RESTORE.replace("TARGET", target))?;
        ensure!(code == Some(0), "{said}");
        let instance = self.stand.instances().pop().context("a copy")?;
        let mut login = self.stand.copy_of(&instance)?;
        // A copy refuses writes by default; a difference is made on purpose.
        let login = login.dbname("app").options("-c default_transaction_read_only=off");
        Ok((instance, connect(login).await?))
    }

    fn compare(&self, instance: &str) -> Result<(Option<i32>, String)> {
        self.run_text("hold", &COMPARE.replace("INSTANCE", instance))
    }

    fn remove_copies(&self) -> Result<()> {
        for copy in self.stand.instances() {
            let run = self.stand.lifeboat(&["copies", "remove", &copy, "--yes"]).output()?;
            ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        }
        Ok(())
    }
}

/// A page with rows is empty and the manifest fits it: checksums, indexes and a read of every value say nothing of it. Then what else can be
/// wrong with a seal and with what it promises.
#[tokio::test(flavor = "multi_thread")]
async fn what_no_check_of_files_sees_is_found_and_named() -> Result<()> {
    let sealed = Sealed::new().await?;
    let client = superuser(&sealed.stand).await?;
    let file = sealed.stand.value(&client, "SELECT pg_relation_filepath('items')").await?;
    let shelf = sealed.stand.testbed.backups("recovery").context("a machine with backups")?;
    let aside = shelf.put_aside("nightly").await?;
    shelf.damage_page(&format!("nightly/{file}"), 3, PageDamage::Zeroed).await?;
    shelf.renew_manifest("nightly", &file).await?;
    ensure!(shelf.fits_manifest("nightly").await, "pg_verifybackup sees it");
    sealed.is_red("pg-seal-differs", "public.items: order_id")?;
    shelf.bring_back(&aside).await?;

    let path = sealed.seal_file();
    let changed = || Ok(fs::write(&path, fs::read_to_string(&path)?.replace("\"rows\":", "\"rows\":1"))?);
    sealed.with_damage(&path, changed, "pg-seal-damaged", "digest differs")?;
    sealed.with_damage(&path, || Ok(fs::remove_file(&path)?), "pg-not-sealed", "nightly has no seal")?;
    let gone = sealed.backups().join("gone.seal.json");
    fs::copy(&path, &gone)?;
    sealed.is_red("pg-backup-missing", "gone is not there, and it was there when it was sealed")?;
    fs::remove_file(&gone)?;

    // A seal is made once.
    ensure!(sealed.seal()?.contains("nightly: 15500 rows of 3 tables had been sealed"), "sealed again");
    let said = sealed.is_green()?;
    ensure!(said.contains("15500 rows of 3 tables are as they were sealed"), "{said}");
    sealed.stand.stop().await
}

/// The columns of the matrix that WAL decides: a segment that is missing or short between the backup and the seal, or behind it.
#[tokio::test(flavor = "multi_thread")]
async fn damage_of_the_archive_is_found_and_the_segment_named() -> Result<()> {
    let sealed = Sealed::new().await?;
    let application = sealed.stand.application().await?;
    for _ in 0..3 {
        application
            .batch_execute("INSERT INTO items SELECT id, 9, repeat('x', 200) FROM orders ON CONFLICT DO NOTHING")
            .await?;
        superuser(&sealed.stand).await?.batch_execute("SELECT pg_switch_wal()").await?;
        application.batch_execute("DELETE FROM items WHERE line = 9").await?;
    }
    sealed.is_green()?;
    let archive = sealed.stand.testbed.archive_folder();
    let mut segments: Vec<PathBuf> = fs::read_dir(&archive)?.flatten().map(|entry| entry.path()).collect();
    segments.retain(|path| path.file_name().is_some_and(|name| name.len() == 24));
    segments.sort();
    let segment = segments[segments.len() - 3].clone();
    let name = segment.file_name().context("a name")?.to_string_lossy().into_owned();
    sealed.with_damage(&segment, || Ok(fs::remove_file(&segment)?), "pg-wal-gap", &name)?;
    let half = || Ok(fs::File::options().write(true).open(&segment)?.set_len(8 << 20)?);
    sealed.with_damage(&segment, half, "pg-wal-damaged", &name)?;
    let flip = || {
        let mut content = fs::read(&segment)?;
        content[3_000] ^= 0x55;
        Ok(fs::write(&segment, content)?)
    };
    sealed.with_damage(&segment, flip, "pg-wal-damaged", &name)?;
    sealed.is_green()?;
    sealed.stand.stop().await
}

/// One row less, one row more and one value changed in a copy are each seen, and where; so is a copy at another point than that of the seal.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_differs_by_one_row_is_found() -> Result<()> {
    let sealed = Sealed::new().await?;
    let (instance, copy) = sealed.copy("{ xid: '${{ steps.draw.outputs.xid }}' }").await?;
    let (code, said) = sealed.compare(&instance)?;
    ensure!(code == Some(0), "{said}");
    for (change, named) in [
        (
            "DELETE FROM items WHERE order_id = 7 AND line = 1",
            "public.items: order_id 1 to 79: 157 rows instead of 158",
        ),
        (
            "UPDATE orders SET total = total + 1 WHERE id = 4999",
            "public.orders: id 4978 to 5056: 23 rows, as sealed, with other content",
        ),
        (
            "INSERT INTO customers (id, name) OVERRIDING SYSTEM VALUE VALUES (502, 'nobody')",
            "public.customers: id 497 to 504: 5 rows instead of 4",
        ),
        ("CREATE TABLE planted (id int)", "public.planted is there, and is not in the seal"),
        ("DROP TABLE items", "public.items is not there"),
    ] {
        copy.batch_execute(change).await?;
        let (code, said) = sealed.compare(&instance)?;
        ensure!(code == Some(1) && said.contains("pg-seal-differs") && said.contains(named), "{change}: {said}");
    }
    drop(copy);
    sealed.remove_copies()?;

    // Another point: a row was written between the backup and the seal.
    let application = sealed.stand.application().await?;
    fs::remove_file(sealed.seal_file())?;
    application.batch_execute("INSERT INTO customers (name) VALUES ('in between')").await?;
    sealed.seal()?;
    let (instance, _copy) = sealed.copy("{ immediate: true }").await?;
    let (code, said) = sealed.compare(&instance)?;
    ensure!(code == Some(1) && said.contains("public.customers"), "{said}");
    sealed.remove_copies()?;
    sealed.stand.stop().await
}

/// Writers that do not wait for the disk become visible in another order than they commit: whatever the seal says, a copy restored to its
/// point holds it.
#[tokio::test(flavor = "multi_thread")]
async fn a_seal_is_right_while_the_server_is_written_to() -> Result<()> {
    let stand = Stand::loaded(500).await?;
    let superuser = superuser(&stand).await?;
    superuser.batch_execute("ALTER SYSTEM SET synchronous_commit = off").await?;
    superuser.batch_execute("SELECT pg_reload_conf()").await?;
    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for writer in 0..4_i64 {
        let (client, over, written) = (stand.application().await?, Arc::clone(&over), Arc::clone(&written));
        writers.push(tokio::spawn(async move {
            let mut round = 0_i64;
            while !over.load(Ordering::Relaxed) {
                round += 1;
                let order = (round * 4 + writer) % 5_000 + 1;
                client.execute("UPDATE orders SET total = total + 1 WHERE id = $1", &[&order]).await?;
                client.execute("INSERT INTO customers (name) VALUES ($1)", &[&format!("w{writer} {round}")]).await?;
                written.fetch_add(2, Ordering::Relaxed);
            }
            Ok::<(), tokio_postgres::Error>(())
        }));
    }
    let sealed = Sealed { stand };
    for round in 0..3 {
        let before = written.load(Ordering::Relaxed);
        sealed.seal()?;
        ensure!(written.load(Ordering::Relaxed) > before, "nothing was written meanwhile");
        let (instance, copy) = sealed.copy("{ xid: '${{ steps.draw.outputs.xid }}' }").await?;
        let (code, said) = sealed.compare(&instance)?;
        ensure!(code == Some(0), "round {round}: {said}");
        drop(copy);
        sealed.remove_copies()?;
        fs::remove_file(sealed.seal_file())?;
    }
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await??;
    }
    sealed.stand.stop().await
}

/// After a promotion the server writes on another timeline: a backup of the one before is restored to its seal all the same. Segments may
/// have any size.
#[tokio::test(flavor = "multi_thread")]
async fn a_seal_of_an_earlier_timeline_holds() -> Result<()> {
    let options = TestbedOptions { backend: Backend::Process, wal_segment_mib: Some(1), ..TestbedOptions::default() };
    let sealed = Sealed { stand: Stand::built(options, 200).await? };
    sealed.seal()?;
    let testbed = &sealed.stand.testbed;
    let signal = testbed.folder_of("primary", "data").join("standby.signal");
    testbed.stop_primary().await?;
    fs::write(&signal, "")?;
    testbed.start_primary().await?;
    superuser(&sealed.stand).await?.batch_execute("SELECT pg_promote(true)").await?;
    sealed.stand.application().await?.batch_execute("DELETE FROM items WHERE line = 2").await?;
    testbed.base_backup("promoted").await?;
    sealed.is_red("pg-not-sealed", "promoted has no seal")?;
    sealed.seal()?;
    let (code, said) = sealed.run(&[RUNBOOK, "--input", "seed=a"])?;
    ensure!(code == Some(0), "{said}");
    ensure!(said.contains("nightly was drawn of 2 sealed backups by the seed a"), "{said}");
    ensure!(said.contains("6200 rows of 3 tables are as they were sealed"), "{said}");
    let (code, said) = sealed.run(&[RUNBOOK, "--input", "seed=c"])?;
    ensure!(code == Some(0) && said.contains("4200 rows of 3 tables are as they were sealed"), "{said}");
    sealed.stand.stop().await
}

/// Other databases, relations whose rows a backup does not hold, and types without a binary form.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_seal_does_not_have_is_named() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    stand
        .application()
        .await?
        .batch_execute(
            "CREATE TABLE rights (who int PRIMARY KEY, may aclitem, many aclitem[]);
             INSERT INTO rights VALUES (1, 'postgres=r/postgres', ARRAY['postgres=r/postgres'::aclitem]);
             CREATE UNLOGGED TABLE scratch (id int);
             CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA",
        )
        .await?;
    superuser(&stand).await?.batch_execute("CREATE DATABASE second").await?;
    stand.testbed.base_backup("typed").await?;
    let sealed = Sealed { stand };
    let said = sealed.seal()?;
    for named in [
        "of 4 tables sealed",
        "public.empty is a materialized view",
        "public.scratch is unlogged",
        "the database second: a seal has one database",
    ] {
        ensure!(said.contains(named), "{named}: {said}");
    }
    let content: Value = serde_json::from_slice(&fs::read(sealed.backups().join("typed.seal.json"))?)?;
    ensure!(content["seal"]["backup"] == json!("typed"), "{content}");
    sealed.is_green()?;

    // Where the folder may only be read, nothing is written.
    sealed.stand.testbed.base_backup("youngest").await?;
    bindings::changed(&sealed.stand.bindings, &sealed.stand.bindings, |targets| {
        targets["recovery"]["folders"]["backups"]["access"] = json!("read");
    })?;
    let (code, said) = sealed.run(&["workflows/backup-seal.yaml"])?;
    ensure!(code == Some(6) && said.contains("[refused, machine-path]"), "{code:?} {said}");
    ensure!(!sealed.backups().join("youngest.seal.json").exists(), "{said}");
    sealed.stand.stop().await
}
