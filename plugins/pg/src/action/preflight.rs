//! `pg/preflight`: what would keep the rows of an exact set from going back, read from the server's catalog before anything
//! is restored.

use std::collections::BTreeSet;

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Value};
use serde::{Deserialize, Serialize};

use crate::{
    call::parameters,
    copy::session_settings,
    rows::{
        catalog,
        obstacle::{self, Obstacle, Triggers},
        preparation,
        relation::{self, Table},
        source::WrittenSet,
        surroundings,
    },
    server::{Capabilities, identifier::TableName},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    #[serde(default)]
    triggers: Triggers,
}

#[derive(Debug, Serialize)]
struct Outputs {
    tables: usize,
    warnings: Vec<String>,
    warnings_text: String,
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "preflight",
        Effect::Read,
        "Looks in the server's catalog for everything that would keep the rows of an exact set from going back, and \
         fails with a list of all of it, each with its way out: triggers, rules, missing keys, circles of foreign \
         keys, new columns, missing rights, row-level security, a read-only server, keys whose collation has another \
         version than their indexes, foreign tables. Changes nothing, and needs no copy.",
    )
    .parameter("server", "target<postgres:read>", "The server that lost the rows.");
    WrittenSet::declare(action, "Where the exact set lies.")
        .optional(
            "triggers",
            "string",
            "What user triggers on INSERT, and on UPDATE where values go back, will mean: `refuse` (the default), `fire` or `skip`.",
        )
        .output("tables", "int", "Tables that were looked at.")
        .output("warnings", "list<string>", "What does not hold the rows back, but should be known.")
        .output("warnings_text", "string", "The same as one text; empty if there are none.")
        .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (written, parameters): (WrittenSet, Parameters) = parameters::split(call, &WrittenSet::NAMES)?;
    let set = written.read(caps)?;
    let primary = caps.open(&parameters.server)?;
    let superuser = preparation::may_skip_triggers(&primary)?;
    let around = surroundings::of_server(&primary)?;
    let (mut obstacles, mut warnings) = (catalog::of_server(&primary)?, around.warnings);
    obstacles.extend(around.obstacles);
    warnings.extend(session_settings::preloaded(&primary)?);
    let mut tables = Vec::new();
    for name in set.tables.keys() {
        let Some((oid, table)) = relation::describe(&primary, name)? else {
            obstacles.push(surroundings::foreign_now(&primary, name)?.unwrap_or_else(|| gone(name)));
            continue;
        };
        obstacles.extend(obstacle::of_table(&table, parameters.triggers, superuser));
        for found in
            [catalog::of_table(&primary, oid, &table, set.first())?, surroundings::of_table(&primary, oid, &table)?]
        {
            obstacles.extend(found.obstacles);
            warnings.extend(found.warnings);
        }
        obstacles.extend(unreadable_parents(&primary, &table)?);
        tables.push(table);
    }
    for name in set.became.keys() {
        match relation::describe(&primary, name)? {
            Some((oid, table)) => {
                obstacles.extend(obstacle::of_changed_table(&table, parameters.triggers, superuser));
                obstacles.extend(catalog::of_changed_table(&primary, oid, &table)?);
            }
            None => obstacles.push(gone(name)),
        }
    }
    obstacles.extend(preparation::order(&primary, &tables, &set)?.obstacle);
    for warning in &warnings {
        caps.warn(warning);
    }
    obstacle::refuse(&obstacles)?;
    let count = set.tables.keys().chain(set.became.keys()).collect::<BTreeSet<_>>().len();
    let summary = format!("nothing keeps rows from going back into {count} tables; {} warnings", warnings.len());
    Outcome::new(Outputs { tables: count, warnings_text: warnings.join("\n"), warnings }, summary)
}

fn gone(name: &TableName) -> Obstacle {
    Obstacle::new(
        "pg-no-table",
        &name.plain(),
        "does not exist any more",
        "restore a copy (`pg/restore` with `before_xid`) and put its rows back by hand",
    )
}

/// Rows are looked up in the tables that they reference.
fn unreadable_parents(primary: &impl Connection, table: &Table) -> Result<Vec<Obstacle>, Failure> {
    let mut found = Vec::new();
    for reference in &table.references {
        let rows = primary.query(
            "SELECT has_table_privilege(to_regclass($1::text)::oid, 'SELECT') AS readable",
            &[Value::from(reference.parent.sql())],
        )?;
        if rows.one()?.get::<Option<bool>>("readable")? != Some(true) {
            found.push(Obstacle::new(
                "pg-privileges",
                &table.name.plain(),
                format!("references {}, which the login may not read", reference.parent.plain()),
                "grant it SELECT there, then retry this step",
            ));
        }
    }
    Ok(found)
}
