//! `pg/check`: named assertions in SQL. All are evaluated before a failure is reported.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{call::parameters, copy::which::Which, server::Capabilities};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    assertions: Vec<Assertion>,
    #[serde(default)]
    may_be_empty: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Assertion {
    name: String,
    sql: String,
    expect: Option<Json>,
}

#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    value: Json,
}

pub(super) fn action() -> Action {
    Which::declare(Action::new(
        "check",
        Effect::Read,
        "Runs named SQL queries on a server or a restored copy. Each must return one value: true, or what `expect` \
         says.",
    ))
    .parameter("assertions", "list<record{name: string, sql: string, expect?: json}>", "What must hold.")
    .optional(
        "may_be_empty",
        "bool",
        "Whether there may be no assertion at all, because others prove something (false).",
    )
    .output("checks", "list<record{name: string, value: json}>", "What each answered.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (which, parameters): (Which, Parameters) = parameters::split(call, &Which::NAMES)?;
    let connection = which.open(caps)?;
    if parameters.assertions.is_empty() && !parameters.may_be_empty {
        return Err(Failure::invalid_input(
            "pg-check-empty",
            "there are no assertions; a check without assertions proves nothing",
        ));
    }
    let (mut checks, mut failed) = (Vec::new(), Vec::new());
    for assertion in &parameters.assertions {
        match ask(&connection, assertion)? {
            Ok(value) => checks.push(Checked { name: assertion.name.clone(), value }),
            Err(why) => failed.push(format!("{}: {why}", assertion.name)),
        }
    }
    if !failed.is_empty() {
        let message =
            format!("{} of {} checks failed: {}", failed.len(), parameters.assertions.len(), failed.join("; "));
        return Err(Failure::permanent("pg-check-failed", message));
    }
    let summary = match checks.len() {
        0 => "no assertion was given, so none was checked".to_owned(),
        count => format!("{count} checks hold"),
    };
    Outcome::new(json!({ "checks": checks }), summary)
}

/// The value, or why it is not the right one. A connection that is lost, or a server that stops, ends the action.
fn ask(connection: &impl Connection, assertion: &Assertion) -> Result<Result<Json, String>, Failure> {
    let rows = match connection.query(&assertion.sql, &[]) {
        Ok(rows) => rows,
        Err(error) => {
            return match Failure::from(error) {
                Failure::Permanent(reason) => Ok(Err(reason.message)),
                other => Err(other),
            };
        }
    };
    let [row] = rows.rows.as_slice() else { return Ok(Err(format!("returned {} rows instead of one", rows.len()))) };
    let [value] = row.as_slice() else { return Ok(Err(format!("returned {} columns instead of one", row.len()))) };
    let value = as_json(value);
    let expect = assertion.expect.clone().unwrap_or(Json::Bool(true));
    Ok(if is_equal(&value, &expect) { Ok(value) } else { Err(format!("returned {value}, expected {expect}")) })
}

fn as_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Boolean(it) => json!(it),
        Value::Integer(it) => json!(it),
        Value::Float(it) => json!(it),
        Value::Text(it) => json!(it),
        Value::Bytes(it) => json!(crate::call::digest::hexadecimal(it)),
        Value::Texts(it) => json!(it),
    }
}

/// Numbers are equal by value (`3` and `3.0`); a document that the server sent as text is compared as a document.
fn is_equal(value: &Json, expect: &Json) -> bool {
    match (value, expect) {
        (Json::Number(value), Json::Number(expect)) => value == expect || value.as_f64() == expect.as_f64(),
        (Json::String(text), Json::Array(_) | Json::Object(_)) => {
            serde_json::from_str::<Json>(text).is_ok_and(|value| value == *expect)
        }
        _ => value == expect,
    }
}
