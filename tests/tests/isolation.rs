//! A restored copy and the world outside of it: one cluster that holds what a backup, its WAL and its catalogs can bring along at
//! once, looked at before and after.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Output,
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    bindings,
    stand::{Stand, connect, files_below},
};
use tokio_postgres::Client;

/// Restores a backup with all of its WAL, and looks at it.
const RESTORE: &str = r#"lifeboat: 1
id: RESTORE-002
name: Restore a copy
inputs:
  backup: { type: string, description: "The backup" }
  promote: { type: bool, description: "Promote it" }
  accept: { type: "list<string>", description: "What it may reach" }
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the copy is made" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
    timeout: 2m
  - id: restore
    uses: pg/restore
    with:
      machine: recovery
      server: primary
      backup: "${{ inputs.backup }}"
      target: { latest: true }
      promote: "${{ inputs.promote }}"
      accept: "${{ inputs.accept }}"
    timeout: 5m
    undo:
      uses: pg/destroy-instance
      with: { machine: recovery }
  - id: look
    uses: pg/check
    with:
      machine: recovery
      instance: "${{ steps.restore.outputs.instance }}"
      assertions:
        - { name: early, sql: "SELECT count(*) FROM public.early", expect: 1000 }
        - { name: late, sql: "SELECT count(*) FROM public.late WHERE v = 'third'", expect: 1000 }
        - { name: no workers, sql: "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication%'", expect: 0 }
        - { name: no slots, sql: "SELECT count(*) FROM pg_replication_slots", expect: 0 }
    timeout: 1m
"#;

/// The cluster, and what must not change.
struct Fixture {
    stand: Stand,
    server: Client,
    runbook: PathBuf,
}

impl Fixture {
    async fn new() -> Result<Self> {
        let stand = Stand::loaded(20).await?;
        let server = connect(&stand.testbed.observer()).await?;
        for setting in ["wal_level = logical", "autovacuum = off"] {
            server.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await?;
        }
        stand.testbed.stop_primary().await?;
        stand.testbed.start_primary().await?;
        let server = connect(&stand.testbed.observer()).await?;
        let runbook = stand.home.path().join("restore.yaml");
        fs::write(&runbook, RESTORE)?;
        let fixture = Self { stand, server, runbook };
        fixture.fill().await?;
        Ok(fixture)
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.stand.testbed.folder().join("primary").join(name)
    }

    /// Runs a command as the user of the server.
    async fn shell(&self, command: &str) -> Result<()> {
        let quoted = command.replace('\'', "''");
        // A program that does not read what it is given may end before that is written, which is an error.
        Ok(self.server.batch_execute(&format!("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; {quoted}'")).await?)
    }

    async fn sql(&self, statements: &[&str]) -> Result<()> {
        for statement in statements {
            self.server.batch_execute(statement).await.with_context(|| (*statement).to_owned())?;
        }
        Ok(())
    }

    /// Everything that a backup of files takes along, the backup, and what only the WAL knows.
    async fn fill(&self) -> Result<()> {
        let at = |name: &str| self.folder(name).display().to_string();
        let (early, late, marks) = (at("early"), at("late"), at("marks"));
        self.shell(&format!(
            "mkdir -m 700 {early} {late} {marks}; echo 7 >{marks}/other.pid; echo line >{marks}/other.log"
        ))
        .await?;
        let port = self.stand.testbed.observer().get_ports()[0];
        let password = fs::read_to_string(self.stand.binding("password: file:")?)?;
        let upstream = format!("host=127.0.0.1 port={port} user=lifeboat password={} dbname=app", password.trim());
        self.sql(&[
            &format!("CREATE TABLESPACE early LOCATION '{early}'"),
            "CREATE TABLE early (id int PRIMARY KEY, v text) TABLESPACE early",
            "INSERT INTO early SELECT i, 'first' FROM generate_series(1, 1000) i",
            "CREATE UNLOGGED TABLE scratch TABLESPACE early AS SELECT generate_series(1, 100) AS id",
            &format!(
                "CREATE FUNCTION leave(int) RETURNS int LANGUAGE plpgsql AS
                 $$BEGIN COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; touch {marks}/evaluated'; RETURN $1; END$$"
            ),
            "CREATE FUNCTION mark(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
             $$BEGIN RETURN public.leave($1); END$$",
            "CREATE TABLE marked (id int); CREATE INDEX ON marked (mark(id))",
            "SELECT pg_create_physical_replication_slot('standby', true)",
            "CREATE TABLE feed (id int PRIMARY KEY); CREATE PUBLICATION feed FOR TABLE feed",
            "SELECT pg_create_logical_replication_slot('feed', 'pgoutput')",
            &format!(
                "CREATE SUBSCRIPTION feed CONNECTION '{upstream}' PUBLICATION feed
                 WITH (create_slot = false, slot_name = 'feed', copy_data = false, enabled = false)"
            ),
            "ALTER SUBSCRIPTION feed ENABLE",
            &format!("ALTER SYSTEM SET archive_cleanup_command = 'touch {marks}/cleanup'"),
            &format!("ALTER SYSTEM SET recovery_end_command = 'touch {marks}/end'"),
            &format!("ALTER SYSTEM SET external_pid_file = '{marks}/other.pid'"),
            &format!("ALTER SYSTEM SET primary_conninfo = '{upstream}'"),
            "ALTER SYSTEM SET primary_slot_name = 'standby'",
        ])
        .await?;
        self.back_up_files("files").await?;
        self.sql(&[
            "ALTER SUBSCRIPTION feed DISABLE",
            "INSERT INTO marked SELECT generate_series(1, 10)",
            &format!("CREATE TABLESPACE late LOCATION '{late}'"),
            "CREATE TABLE late (id int PRIMARY KEY, v text) TABLESPACE late",
            "INSERT INTO late SELECT i, 'first' FROM generate_series(1, 1000) i",
            "CHECKPOINT",
            "UPDATE late SET v = 'second'; UPDATE early SET v = 'second'",
            "CHECKPOINT",
            "UPDATE late SET v = 'third'; UPDATE early SET v = 'third'",
            "INSERT INTO feed SELECT generate_series(1, 100)",
            // What is read later changes no page any more.
            "VACUUM early",
            "VACUUM late",
            "SELECT count(*) FROM scratch",
            "CHECKPOINT",
        ])
        .await?;
        let active = "SELECT count(*)::text FROM pg_replication_slots WHERE active";
        while self.stand.value(&self.server, active).await? != "0" {}
        self.shell(&format!("rm -f {marks}/evaluated*")).await
    }

    /// As scripts and snapshots do it: the files of a running server, its pid file and its slots among them.
    async fn back_up_files(&self, name: &str) -> Result<()> {
        let data = self.folder("data").display().to_string();
        let backup = self.stand.testbed.backups_folder().join(name).display().to_string();
        self.server.batch_execute("SELECT pg_backup_start('files', true)").await?;
        self.shell(&format!("cp -a {data} {backup}")).await?;
        let label: String = self.server.query_one("SELECT labelfile FROM pg_backup_stop(true)", &[]).await?.get(0);
        let label = label.replace('\'', "''");
        self.shell(&format!("printf %s \"{}\" >{backup}/backup_label", label.replace('"', "\\\""))).await
    }

    /// Gives the backup a folder of its own for the tablespace that the server uses.
    async fn mend_backup(&self, name: &str) -> Result<()> {
        let backup = self.stand.testbed.backups_folder().join(name).display().to_string();
        let early = self.folder("early").display().to_string();
        self.shell(&format!("cp -a {early} {backup}-early && ln -sfn {backup}-early {backup}/pg_tblspc/*")).await
    }

    fn run(&self, bindings: &Path, promote: bool, accept: &str) -> Result<Output> {
        let mut command = self.stand.lifeboat(&["run"]);
        command.arg(&self.runbook).arg("--bindings").arg(bindings).args(["--input", "backup=files"]);
        command.args(["--input", &format!("promote={promote}"), "--input", &format!("accept={accept}")]);
        Ok(command.output()?)
    }

    /// Everything that a copy could have changed: files by checksum, slots, who is connected, marks.
    async fn world(&self) -> Result<BTreeMap<String, String>> {
        let mut world = BTreeMap::new();
        for folder in
            [self.folder("early"), self.folder("late"), self.folder("marks"), self.stand.testbed.backups_folder()]
        {
            for file in files_below(&folder) {
                world.insert(file.display().to_string(), checksum(&fs::read(&file)?));
            }
        }
        let archive = fs::read_dir(self.stand.testbed.archive_folder())?;
        let later: Vec<_> = archive
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with("00000001"))
            .collect();
        world.insert("files of other timelines in the archive".to_owned(), later.join(" "));
        let facts = [
            "SELECT string_agg(concat_ws(' ', slot_name, active, confirmed_flush_lsn), ', ' ORDER BY slot_name)
               FROM pg_replication_slots",
            "SELECT pg_postmaster_start_time()::text",
            "SELECT count(*)::text FROM pg_stat_replication",
            "SELECT count(*) || ' ' || count(*) FILTER (WHERE v = 'third') FROM (TABLE early UNION ALL TABLE late) AS t",
            "SELECT count(*)::text FROM scratch",
            "SELECT pg_is_in_recovery()::text",
        ];
        for fact in facts {
            world.insert(fact.to_owned(), self.stand.value(&self.server, fact).await?);
        }
        Ok(world)
    }

    async fn unchanged(&self, before: &BTreeMap<String, String>, what: &str) -> Result<()> {
        let after = self.world().await?;
        let changed: Vec<_> = before.iter().filter(|(name, value)| after.get(*name) != Some(*value)).collect();
        let new: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
        ensure!(changed.is_empty() && new.is_empty(), "{what} changed {changed:#?}, made {new:#?}");
        Ok(())
    }

    /// A binding whose work folder has so long a path that no socket fits into it: no wall can be built.
    async fn without_a_wall(&self) -> Result<PathBuf> {
        let work = self.stand.testbed.work_folder().display().to_string();
        let long = format!("{work}/{}", "long".repeat(20));
        self.shell(&format!("mkdir -m 700 {long} && cp {work}/.lifeboat-identity {long}/")).await?;
        let path = self.stand.home.path().join("without-a-wall.yaml");
        bindings::with_long_work_folder(&self.stand.bindings, &path, &long)?;
        Ok(path)
    }
}

fn checksum(content: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{} bytes, {:x}", content.len(), hasher.finish())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn refused(output: &Output, code: &str) -> Result<()> {
    let said = said(output);
    // 6: refused by a guard.
    ensure!(matches!(output.status.code(), Some(1 | 6)), "{}, expected {code}:\n{said}", output.status);
    ensure!(said.contains(code), "no {code}:\n{said}");
    Ok(())
}

fn has_wall() -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|folder| folder.join("bwrap").exists())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_changes_nothing_outside_of_its_folder() -> Result<()> {
    let fixture = Fixture::new().await?;
    let before = fixture.world().await?;
    for promote in [false, true] {
        refused(&fixture.run(&fixture.stand.bindings, promote, "[]")?, "pg-tablespaces")?;
        fixture.unchanged(&before, "a refused copy").await?;
    }
    fixture.mend_backup("files").await?;
    let before = fixture.world().await?;
    let bare = fixture.without_a_wall().await?;
    for promote in [false, true] {
        refused(&fixture.run(&bare, promote, "[]")?, "pg-not-isolated")?;
        fixture.unchanged(&before, "a copy without a wall").await?;
    }
    if !has_wall() {
        eprintln!("SKIPPED: there is no bubblewrap, so no copy ran behind a wall");
        return fixture.stand.stop().await;
    }
    for promote in [false, true] {
        let run = fixture.run(&fixture.stand.bindings, promote, "[]")?;
        ensure!(run.status.success(), "promote: {promote}: {}", said(&run));
        fixture.unchanged(&before, &format!("a copy, promoted: {promote}")).await?;
    }
    fixture.stand.stop().await
}
