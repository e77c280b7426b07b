//! A loaded server, and copies of its archive and its backups that are damaged or packed: what tests of restoring and verifying
//! start from.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio_postgres::Client;

use crate::{
    bindings,
    stand::{Stand, connect, files_below},
};

/// Verifies a backup; ` PARAMETERS` is replaced.
pub const VERIFY: &str = "
lifeboat: 1
id: PROOF
name: Verify a backup
targets:
  primary: { kind: postgres, access: read, description: The original }
  recovery: { kind: machine, access: destroy, description: Where the copy is made }
steps:
  - id: look
    uses: pg/verify-backup
    with: { machine: recovery PARAMETERS }
    timeout: 2m
";

/// Restores a copy and removes it.
pub const RESTORE: &str = "
lifeboat: 1
id: PROOF
name: Restore a copy
targets:
  primary: { kind: postgres, access: read, description: The original }
  recovery: { kind: machine, access: destroy, description: Where the copy is made }
steps:
  - id: look
    uses: pg/restore
    with: { machine: recovery, server: primary PARAMETERS }
    timeout: 2m
    undo: { uses: pg/destroy-instance, with: { machine: recovery } }
  - id: remove
    uses: pg/destroy-instance
    with: { machine: recovery, instance: \"${{ steps.look.outputs.instance }}\" }
    timeout: 1m
";

/// A loaded server, and segments that it has archived. Each holds what one transaction wrote.
pub struct Scene {
    /// The server.
    pub stand: Stand,
    /// Their names.
    pub segments: Vec<String>,
    /// After the first of them, before the second.
    pub between: String,
}

/// Copies of its archive and its backups, to be damaged, and bindings that name them.
pub struct Variant<'a> {
    scene: &'a Scene,
    /// Where they lie.
    pub folder: PathBuf,
    /// The bindings.
    pub bindings: PathBuf,
}

/// A connection that may do everything.
pub async fn superuser(stand: &Stand) -> Result<Client> {
    let mut config = stand.testbed.observer();
    config.dbname("app");
    connect(&config).await
}

impl Scene {
    /// Loads it, with so many segments.
    pub async fn load(rounds: u32) -> Result<Self> {
        let mut scene = Self { stand: Stand::loaded(20).await?, segments: Vec::new(), between: String::new() };
        let client = superuser(&scene.stand).await?;
        scene.switch(&client)?;
        let mut segments = Vec::new();
        for round in 0..rounds {
            let sql =
                format!("INSERT INTO customers (name) SELECT 'round {round} ' || n FROM generate_series(1, 20000) n");
            client.batch_execute(&sql).await?;
            segments.push(scene.switch(&client)?);
            if round == 0 {
                let now = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
                scene.between = scene.stand.value(&client, now).await?;
            }
        }
        Ok(Self { segments, ..scene })
    }

    /// Ends the current segment; its name, as soon as it is archived.
    pub fn switch(&self, client: &Client) -> Result<String> {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let name: String = client.query_one("SELECT pg_walfile_name(pg_switch_wal() - 1)", &[]).await?.get(0);
                while !self.stand.testbed.archive_folder().join(&name).exists() {
                    client.query_one("SELECT pg_stat_clear_snapshot()::text", &[]).await?;
                }
                Ok(name)
            })
        })
    }

    /// Fresh copies under this name.
    pub fn variant(&self, name: &str) -> Result<Variant<'_>> {
        let folder = self.stand.testbed.folder().join(format!("variant-{name}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        for source in [self.stand.testbed.archive_folder(), self.stand.testbed.backups_folder()] {
            let target = folder.join(source.file_name().context("a name")?);
            let copied = Command::new("cp").arg("-a").arg(&source).arg(&target).status()?;
            ensure!(copied.success(), "{} is not copied", source.display());
        }
        let bindings = folder.join("bindings.yaml");
        bindings::changed(&self.stand.bindings, &bindings, |targets| {
            for name in ["archive", "backups"] {
                targets["recovery"]["folders"][name]["path"] = folder.join(name).display().to_string().into();
            }
        })?;
        Ok(Variant { scene: self, folder, bindings })
    }
}

/// How a run of one of the runbooks ended.
pub struct EndedRun {
    /// What it said.
    pub said: String,
    /// The outputs of its step, where it succeeded.
    pub outputs: Option<Value>,
}

impl Variant<'_> {
    /// Gives the archive this `restore_command`, in which `ARCHIVE` is its folder.
    pub fn fetched_by(&self, command: &str) -> Result<()> {
        let folder = self.archive("");
        let command = command.replace("ARCHIVE", folder.display().to_string().trim_end_matches('/'));
        bindings::changed(&self.bindings, &self.bindings, |targets| {
            targets["recovery"]["folders"]["archive"]["restore_command"] = command.into();
        })
    }

    /// A file of the archive.
    pub fn archive(&self, name: &str) -> PathBuf {
        self.folder.join("archive").join(name)
    }

    /// A backup.
    pub fn backup(&self, name: &str) -> PathBuf {
        self.folder.join("backups").join(name)
    }

    /// Runs a runbook whose step `look` has these parameters too.
    pub fn run(&self, runbook: &str, parameters: &str) -> Result<EndedRun> {
        let path = self.folder.join("runbook.yaml");
        fs::write(&path, runbook.replace(" PARAMETERS", parameters))?;
        let stand = &self.scene.stand;
        let runs = || {
            let files = files_below(&stand.home.path().join("state/runs"));
            files.into_iter().filter(|file| file.ends_with("journal.jsonl")).collect::<BTreeSet<_>>()
        };
        let (known, copies) = (runs(), stand.instances());
        let mut command = stand.lifeboat(&["run"]);
        command.arg(&path).arg("--bindings").arg(&self.bindings);
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let journal = runs().difference(&known).next().with_context(|| said.clone())?.clone();
        let journal = fs::read_to_string(journal)?;
        let records = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut ends = records.filter(|record| record["event"] == "step_succeeded" && record["step"] == "look");
        let outputs = ends.next().map(|record| record["outputs"].clone()).filter(|_| output.status.success());
        ensure!(outputs.is_none() || stand.instances() == copies, "a copy is left: {:?}", stand.instances());
        Ok(EndedRun { said, outputs })
    }

    /// It succeeds: the outputs, and what was said.
    pub fn succeeds(&self, runbook: &str, parameters: &str) -> Result<(Value, String)> {
        let ended = self.run(runbook, parameters)?;
        let outputs = ended.outputs.with_context(|| format!("{}: {}", self.folder.display(), ended.said))?;
        Ok((outputs, ended.said))
    }

    /// It fails with the code, and says all of these.
    pub fn fails(&self, runbook: &str, parameters: &str, code: &str, says: &[&str]) -> Result<()> {
        let ended = self.run(runbook, parameters)?;
        // Lines are broken where the terminal ends.
        let said = ended.said.split_whitespace().collect::<Vec<_>>().join(" ");
        ensure!(ended.outputs.is_none(), "{}: it succeeded: {said}", self.folder.display());
        for text in says.iter().chain([&code]) {
            ensure!(said.contains(text), "{}: no `{text}` in {said}", self.folder.display());
        }
        Ok(())
    }
}
