//! A real PostgreSQL with data, a base backup and a damage that DR-003 mends: what the crash and bad-input tests start from.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use lifeboat_simulator::testbed::{Backend, OneServer, TestbedOptions};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::{lifeboat, repository};

/// A segment of the WAL is archived after so many seconds.
const ARCHIVED_AFTER_S: u32 = 5;

/// Three tables; the orders and items of a customer go when the customer goes.
const SCHEMA: &str = "
    CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email text UNIQUE);
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers ON DELETE CASCADE,
        total numeric(10,2) NOT NULL, total_cents bigint GENERATED ALWAYS AS ((total * 100)::bigint) STORED);
    CREATE TABLE items (order_id bigint REFERENCES orders ON DELETE CASCADE, line int, note text, PRIMARY KEY (order_id, line));
";

/// `$1` customers with ten orders each and two items an order.
const LOAD: &str = "
    INSERT INTO customers (name, email) SELECT 'customer ' || n, n || '@example.com' FROM generate_series(1, $1) n;
    INSERT INTO orders (customer_id, total) SELECT id, id + n FROM customers, generate_series(1, 10) n ORDER BY id, n;
    INSERT INTO items SELECT id, line, 'note ' || id FROM orders, generate_series(1, 2) line ORDER BY id, line;
";

/// The servers, the data in them, and a home for the engine.
pub struct Stand {
    /// The servers.
    pub testbed: OneServer,
    /// The engine's state.
    pub home: TempDir,
    /// The bindings file.
    pub bindings: PathBuf,
    /// What `not_before` is given.
    pub not_before: String,
}

impl Stand {
    /// Servers on this machine with `customers` customers, and a base backup of them.
    pub async fn loaded(customers: u32) -> Result<Self> {
        Self::built(TestbedOptions { backend: Backend::Process, ..TestbedOptions::default() }, customers).await
    }

    /// Servers as they are asked for, with the same in them.
    pub async fn built(options: TestbedOptions, customers: u32) -> Result<Self> {
        let testbed = OneServer::start(ARCHIVED_AFTER_S, options).await?;
        let home = tempfile::tempdir()?;
        let bindings = home.path().join("bindings.yaml");
        fs::write(&bindings, testbed.bindings())?;
        let stand = Self { testbed, home, bindings, not_before: String::new() };
        let application = stand.application().await?;
        application.batch_execute(SCHEMA).await?;
        application.batch_execute(&LOAD.replace("$1", &customers.to_string())).await?;
        stand.testbed.base_backup("nightly").await?;
        let not_before = stand
            .value(&application, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            .await?;
        Ok(Self { not_before, ..stand })
    }

    /// A connection on the application's path.
    pub async fn application(&self) -> Result<Client> {
        connect(&self.testbed.application()).await
    }

    /// One text.
    pub async fn value(&self, client: &Client, sql: &str) -> Result<String> {
        Ok(client.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
    }

    /// Every row of every table as text, in the order of the keys: equal before and after means that nothing was lost,
    /// nothing came twice and nothing was changed.
    pub async fn content(&self) -> Result<Vec<String>> {
        let client = self.application().await?;
        let mut rows = Vec::new();
        for (table, key) in [("customers", "id"), ("orders", "id"), ("items", "order_id, line")] {
            let sql = format!("SELECT '{table} ' || t::text FROM {table} t ORDER BY {key}");
            rows.extend(client.query(&sql, &[]).await?.iter().map(|row| row.get::<_, String>(0)));
        }
        Ok(rows)
    }

    /// `lifeboat …` with this stand's home.
    pub fn lifeboat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(lifeboat());
        command.args(arguments).env("LIFEBOAT_HOME", self.home.path().join("state")).current_dir(repository());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `lifeboat run` of DR-003 for this stand, with the sign-off given.
    pub fn run(&self) -> Command {
        let mut command = self.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--approve", "sign_off"]);
        command.arg("--bindings").arg(&self.bindings);
        command.args(["--input", "damaged_table=public.customers"]);
        command.arg("--input").arg(format!("not_before={}", self.not_before));
        command
    }

    /// `lifeboat run` of DR-003 up to this step, which is left out with all that follow, for a table of this stand.
    pub fn run_up_to(&self, step: &str, damaged_table: &str) -> Result<Command> {
        let runbook = fs::read_to_string(repository().join("workflows/dr-003-accidental-deletion.yaml"))?;
        let (kept, _) = runbook
            .split_once(&format!("  - id: {step}\n"))
            .with_context(|| format!("the runbook has no step {step}"))?;
        let path = self.home.path().join(format!("dr-003-up-to-{step}.yaml"));
        fs::write(&path, kept)?;
        let mut command = self.lifeboat(&["run"]);
        command.arg(&path).arg("--bindings").arg(&self.bindings);
        if kept.contains("  - id: sign_off\n") {
            command.args(["--approve", "sign_off"]);
        }
        command.arg("--input").arg(format!("damaged_table={damaged_table}"));
        command.arg("--input").arg(format!("not_before={}", self.not_before));
        Ok(command)
    }

    /// The rest of the first line of the bindings that begins so: of the primary, which stands first.
    pub fn binding(&self, key: &str) -> Result<String> {
        let bindings = fs::read_to_string(&self.bindings)?;
        let mut lines = bindings.lines().map(|line| line.trim().replace('"', ""));
        lines
            .find_map(|line| line.strip_prefix(key).map(str::to_owned))
            .with_context(|| format!("no `{key}` in the bindings"))
    }

    /// The login of the engine at the copy that a run has left.
    pub fn copy(&self) -> Result<tokio_postgres::Config> {
        self.copy_of(&self.instances().into_iter().next().context("the copy is there")?)
    }

    /// The login of the engine at an instance: by its socket, or over the network where no wall stands around it.
    pub fn copy_of(&self, instance: &str) -> Result<tokio_postgres::Config> {
        let folder = self.testbed.work_folder().join(instance);
        let marker: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("lifeboat-instance.json"))?)?;
        let port = marker["port"].as_u64().context("a port")?;
        let mut login = tokio_postgres::Config::new();
        match marker["by_socket"].as_bool() {
            Some(true) => login.host_path(folder.join("socket")),
            _ => login.host("127.0.0.1"),
        };
        login.port(u16::try_from(port)?).dbname(self.binding("database: ")?);
        login.user(self.binding("user: ")?).password(fs::read_to_string(self.binding("password: file:")?)?.trim());
        Ok(login)
    }

    /// `lifeboat resume last` for this stand, with the sign-off given.
    pub fn resume(&self) -> Command {
        self.lifeboat(&["resume", "last", "--approve", "sign_off"])
    }

    /// The folder of the newest run.
    pub fn run_folder(&self) -> Result<PathBuf> {
        let runs = self.home.path().join("state/runs");
        let folders = fs::read_dir(&runs)?.flatten().filter(|entry| entry.path().is_dir());
        let made = |entry: &fs::DirEntry| entry.metadata().and_then(|it| it.created().or_else(|_| it.modified())).ok();
        let newest = folders.max_by_key(made).map(|entry| entry.path());
        newest.with_context(|| format!("no run below {}", runs.display()))
    }

    /// The names of instances that lie in the work folder.
    pub fn instances(&self) -> Vec<String> {
        let entries = fs::read_dir(self.testbed.work_folder()).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter(|name| name.starts_with("lb-")).collect()
    }

    /// Tears the servers down.
    pub async fn stop(self) -> Result<()> {
        Ok(self.testbed.stop().await?)
    }
}

/// A connection whose traffic is driven by a task of its own.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Every file below a folder.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
