//! A primary in one region and a standby in another one, for tests of what a failover does on real servers, an action at a time.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use lifeboat_simulator::testbed::{Door, Testbed, TestbedOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::{
    finding::Outcome,
    lifeboat, repository,
    stand::{connect, files_below},
};

const HEAD: &str = r#"lifeboat: 1
id: FAILOVER-001
name: Part of a failover
targets:
  primary: { kind: postgres, access: write, description: "The primary" }
  standby: { kind: postgres, access: write, description: "The standby" }
  old_host: { kind: machine, access: destroy, description: "The host of the primary" }
  standby_host: { kind: machine, access: destroy, description: "The host of the standby" }
  recovery: { kind: machine, access: write, description: "The machine beside the standby" }
  app: { kind: endpoint, access: write, description: "The endpoint" }
  application: { kind: postgres, access: write, description: "The application's way" }
steps:
"#;

/// The servers, and a home for the engine.
pub struct TwoRegions {
    /// The systems: `east`, `west`, their hosts, `recovery` beside west, `app` and `application`.
    pub testbed: Testbed,
    home: TempDir,
    parent: TempDir,
}

impl TwoRegions {
    /// Builds them. Segments of the WAL have a mebibyte, so that a full one is soon written.
    pub async fn start() -> Result<Self> {
        let (home, parent) = (tempfile::tempdir()?, tempfile::tempdir()?);
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o755))?;
        let systems = json!({
            "east": { "kind": "postgres", "region": "east", "archive": { "interval": "60s", "in_production": "5m" } },
            "west": { "kind": "standby", "of": "east", "region": "west", "mode": "async" },
            "old_host": { "kind": "host", "of": "east" },
            "standby_host": { "kind": "host", "of": "west" },
            "recovery": { "kind": "machine", "of": "west", "region": "west" },
            "app": { "kind": "switch", "to": "east" },
            "application": { "kind": "client", "through": "app" },
        });
        let options = TestbedOptions {
            systems: serde_json::from_value(systems)?,
            folder: Some(parent.path().to_owned()),
            wal_segment_mib: Some(1),
            ..TestbedOptions::default()
        };
        let testbed = Testbed::start(options).await?;
        let roles = [("primary", "east"), ("standby", "west")].map(|(role, name)| (role.to_owned(), name.to_owned()));
        fs::write(home.path().join("bindings.yaml"), testbed.bindings(&BTreeMap::from(roles)))?;
        Ok(Self { testbed, home, parent })
    }

    /// A superuser's connection to a server, which no fault reaches.
    pub async fn server(&self, name: &str) -> Result<Client> {
        connect(&self.testbed.login(name, Door::Observer).context("a server")?).await
    }

    /// A folder of a system, as this process sees it.
    pub fn folder(&self, system: &str, name: &str) -> PathBuf {
        self.testbed.folder_of(system, name)
    }

    /// Runs these steps; the outputs by step, or what was said where the run failed.
    pub fn run(&self, steps: &str) -> Result<Outcome> {
        let path = self.home.path().join("failover.yaml");
        fs::write(&path, format!("{HEAD}{steps}"))?;
        let state = self.home.path().join("state");
        let journals = || files_below(&state).into_iter().filter(|file| file.ends_with("journal.jsonl"));
        let known: Vec<PathBuf> = journals().collect();
        let mut command = Command::new(lifeboat());
        command.arg("run").arg(&path).arg("--bindings").arg(self.home.path().join("bindings.yaml"));
        let output = command.env("LIFEBOAT_HOME", &state).current_dir(repository()).output()?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let journal = journals().find(|file| !known.contains(file)).context("the run has a journal")?;
        let text = fs::read_to_string(journal)?;
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ends = records.filter(|record| record["event"] == "step_succeeded");
        let named = |record: Value| (record["step"].as_str().unwrap_or_default().to_owned(), record["outputs"].clone());
        Ok(Ok(ends.map(named).collect()))
    }

    /// Tears everything down.
    pub async fn stop(self) -> Result<()> {
        let Self { testbed, home, parent } = self;
        testbed.stop().await?;
        drop((home, parent));
        Ok(())
    }
}

/// One number.
pub async fn number(server: &Client, sql: &str) -> Result<i64> {
    Ok(server.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
}

/// Waits until the server answers the question with true.
pub async fn until(server: &Client, sql: &str) -> Result<()> {
    while !server.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Waits until the standby has received everything that the primary has written.
pub async fn received(east: &Client, west: &Client) -> Result<()> {
    let written: String = east.query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).await?.get(0);
    until(west, &format!("SELECT pg_last_wal_receive_lsn() >= '{written}'")).await
}
