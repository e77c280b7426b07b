//! `pg/rotate-passwords`: a new password for every role that may log in and has none, kept where its users fetch it.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Machine, Outcome, machine, postgres::Value};
use serde::Deserialize;
use serde_json::json;

use crate::{
    copy::marker,
    server::{
        Capabilities,
        identifier::{quote_identifier, quote_literal},
    },
};

/// The folder of the binding in which passwords are kept.
const CREDENTIALS: &str = "credentials";
/// Two random identifiers: 244 random bits.
const RANDOM: &str =
    "SELECT replace(pg_catalog.gen_random_uuid()::text || pg_catalog.gen_random_uuid()::text, '-', '') AS password";

/// The statement that sets a password has it in its text: nothing on the server may write that down, neither its log nor what counts
/// statements.
const QUIET: &str = "SELECT pg_catalog.set_config(name, value, false) AS set FROM (VALUES
        ('log_statement', 'none'), ('log_min_duration_statement', '-1'), ('log_min_duration_sample', '-1'),
        ('log_min_error_statement', 'panic'), ('log_parameter_max_length', '0'), ('pg_stat_statements.track', 'none')
    ) AS settings (name, value)";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    roles: Vec<String>,
    #[serde(default)]
    keep: Vec<String>,
    instance: Option<String>,
    credentials: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "rotate-passwords",
        Effect::Mutate,
        "Gives roles that may log in new random passwords and writes each into a file of its own, by the name of the \
         role and readable by its owner alone, before the server gets it. The server must keep SCRAM verifiers: others \
         are passwords themselves.",
    )
    .parameter("server", "target<postgres:write>", "The server.")
    .parameter("machine", "target<machine:write>", "Where the files are written.")
    .parameter("roles", "list<string>", "The roles; those that may not log in are left as they are.")
    .optional(
        "keep",
        "list<string>",
        "Roles that keep the password that they have in a copy, because their clients cannot be given another one yet: \
         who has stolen it can log in (none).",
    )
    .optional("instance", "string", "The copy, as `pg/restore` named it; needed with `keep`.")
    .optional("credentials", "string", "Folder of the binding for the files (`credentials`).")
    .output("rotated", "list<string>", "The roles with a new password.")
    .output("kept", "list<string>", "The roles that kept theirs.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let connection = caps.open(&parameters.server)?;
    check_encryption(&connection)?;
    connection.query(QUIET, &[])?;
    let folder = caps.folder(machine, parameters.credentials.as_deref().unwrap_or(CREDENTIALS))?;
    let (mut rotated, mut kept) = (Vec::new(), Vec::new());
    for role in logins(&connection, &parameters.roles)? {
        if parameters.keep.contains(&role) {
            keep(caps, &parameters, &connection, &role)?;
            kept.push(role);
            continue;
        }
        let password = password(caps, &connection, machine, &path(&folder, &role)?)?;
        set(&connection, &role, &password)?;
        rotated.push(role);
    }
    let mut summary = format!("{} roles have a new password, each in {folder}", rotated.len());
    if !kept.is_empty() {
        summary = format!("{summary}; the old password still opens: {}", kept.join(", "));
    }
    Outcome::new(json!({ "rotated": rotated, "kept": kept }), summary)
}

fn check_encryption(connection: &impl Connection) -> Result<(), Failure> {
    let sql = "SELECT pg_catalog.current_setting('password_encryption') AS value";
    let value: String = connection.query(sql, &[])?.one()?.get("value")?;
    if value == "scram-sha-256" {
        return Ok(());
    }
    let message = format!(
        "password_encryption is {value}: what the server would keep is as good as the password; set scram-sha-256"
    );
    Err(Failure::permanent("pg-weak-verifiers", message))
}

/// Those of the roles that may log in.
fn logins(connection: &impl Connection, roles: &[String]) -> Result<Vec<String>, Failure> {
    let rows = connection.query(
        "SELECT rolname::text AS name FROM pg_catalog.pg_roles WHERE rolcanlogin AND rolname = ANY ($1::text[]) ORDER BY 1",
        &[Value::from(roles.to_vec())],
    )?;
    rows.iter().map(|row| row.get("name")).collect()
}

fn path(folder: &str, role: &str) -> Result<String, Failure> {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"_-".contains(&letter);
    if role.bytes().all(plain) {
        return Ok(format!("{folder}/{role}"));
    }
    let message = format!("no file can be named after the role `{role}`: give it a password by hand");
    Err(Failure::invalid_input("pg-role-name", message))
}

/// The password in the file; a new one where there is none. An earlier attempt may have ended before the server got it.
fn password(caps: &impl Machine, connection: &impl Connection, machine: &str, path: &str) -> Result<String, Failure> {
    let new: String = connection.query(RANDOM, &[])?.one()?.get("password")?;
    match caps.create_file(machine, path, format!("{new}\n").as_bytes()) {
        Ok(()) => Ok(new),
        Err(machine::Error::Denied(reason)) if reason.code == "machine-exists" => {
            let content = caps.read_file(machine, path)?;
            Ok(String::from_utf8_lossy(&content).trim().to_owned())
        }
        Err(error) => Err(error.into()),
    }
}

fn set(connection: &impl Connection, role: &str, password: &str) -> Result<(), Failure> {
    let sql = format!("ALTER ROLE {} PASSWORD {}", quote_identifier(role), quote_literal(password));
    connection.execute(&sql, &[])?;
    Ok(())
}

/// Sets the verifier that the role has in the copy.
fn keep<C: Capabilities>(
    caps: &C,
    parameters: &Parameters,
    connection: &C::Connection,
    role: &str,
) -> Result<(), Failure> {
    let instance = parameters.instance.as_deref().ok_or_else(|| {
        Failure::invalid_input("pg-which-server", "`keep` needs `instance`, the copy that has the passwords")
    })?;
    let machine = parameters.machine.as_str();
    let copy = marker::read(caps, machine, instance)?.open(caps, machine, &marker::folder(caps, machine, instance)?)?;
    let sql = "SELECT coalesce(rolpassword, '') AS verifier FROM pg_catalog.pg_authid WHERE rolname = $1::text";
    let verifier: String = copy.query(sql, &[Value::from(role)])?.one()?.get("verifier")?;
    set(connection, role, &verifier)
}
