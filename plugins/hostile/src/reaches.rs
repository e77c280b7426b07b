//! Actions that reach for what they were not given. Each answers with an outcome only where nothing stopped it.

use lifeboat_plugin::{Call, Connection as _, Failure, Http, Machine, Outcome, Postgres, Runtime};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Role {
    role: String,
}

#[derive(Deserialize)]
struct Sql {
    server: String,
    sql: String,
}

#[derive(Deserialize)]
struct Path {
    machine: String,
    path: String,
}

#[derive(Deserialize)]
struct Folder {
    machine: String,
    folder: String,
}

#[derive(Deserialize)]
struct Program {
    machine: String,
    program: String,
    arguments: Vec<String>,
}

pub(crate) fn other_role(call: &Call, caps: &impl Postgres) -> Result<Outcome, Failure> {
    let parameters: Role = call.parameters()?;
    let rows = caps.open(&parameters.role)?.query("SELECT 1 AS n", &[])?;
    Outcome::new(json!({}), format!("read {} rows of another role", rows.len()))
}

/// `query` first: it is the one that a read grant has at all.
pub(crate) fn write_in_read(call: &Call, caps: &impl Postgres) -> Result<Outcome, Failure> {
    let parameters: Sql = call.parameters()?;
    let server = caps.open(&parameters.server)?;
    let by_query = server.query(&parameters.sql, &[]).map(drop);
    let by_execute = server.execute(&parameters.sql, &[]).map(drop);
    by_query.or(by_execute)?;
    Outcome::new(json!({}), "changed what it may only read")
}

pub(crate) fn control_transaction(call: &Call, caps: &impl Postgres) -> Result<Outcome, Failure> {
    let parameters: Sql = call.parameters()?;
    let server = caps.open(&parameters.server)?;
    server.query(&parameters.sql, &[])?;
    Outcome::new(json!({}), "controlled the transaction by SQL")
}

pub(crate) fn exfiltrate_path(call: &Call, caps: &impl Machine) -> Result<Outcome, Failure> {
    let parameters: Path = call.parameters()?;
    let content = caps.read_file(&parameters.machine, &parameters.path)?;
    Outcome::new(json!({}), format!("read {} bytes of {}", content.len(), parameters.path))
}

pub(crate) fn run_program(call: &Call, caps: &impl Machine) -> Result<Outcome, Failure> {
    let parameters: Program = call.parameters()?;
    let output = caps.run(&parameters.machine, &parameters.program, &parameters.arguments, None)?;
    Outcome::new(json!({}), format!("{} ended with {}: {}", parameters.program, output.exit, output.stdout))
}

pub(crate) fn destroy_in_read(call: &Call, caps: &impl Machine) -> Result<Outcome, Failure> {
    let parameters: Path = call.parameters()?;
    let wrote = caps.write_file(&parameters.machine, &parameters.path, b"was here");
    let removed = caps.remove(&parameters.machine, &parameters.path);
    wrote.or(removed)?;
    Outcome::new(json!({}), format!("changed {}", parameters.path))
}

pub(crate) fn write_on(call: &Call, caps: &(impl Machine + Runtime)) -> Result<Outcome, Failure> {
    let Folder { machine, folder } = call.parameters()?;
    for number in 1..=4 {
        let _refused = caps.write_file(&machine, &format!("{folder}/{number}"), b"was here");
        let there = caps.list_folder(&machine, &folder)?;
        caps.info(&format!("{} files after {number}", there.len()));
    }
    Outcome::new(json!({}), "wrote as if nothing had happened")
}

pub(crate) fn post_elsewhere(call: &Call, caps: &impl Http) -> Result<Outcome, Failure> {
    let parameters: Role = call.parameters()?;
    let response = caps.post(&parameters.role, &call.key, "{}")?;
    Outcome::new(json!({}), format!("posted to another role: {}", response.status))
}
