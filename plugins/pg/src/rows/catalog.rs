//! Facts of the server's catalog that decide whether rows can go back, as obstacles and warnings.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::rows::{
    obstacle::{GIVE_A_DEFAULT, Obstacle},
    relation::Table,
};

/// What was found about one table.
#[derive(Debug, Default)]
pub struct Findings {
    /// What keeps rows away.
    pub obstacles: Vec<Obstacle>,
    /// What does not.
    pub warnings: Vec<String>,
}

const SERVER: &str = "SELECT pg_is_in_recovery() AS standby,
        has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
        EXISTS (SELECT FROM pg_db_role_setting s, unnest(s.setconfig) AS c (setting)
                 WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
                   AND (s.setrole = 0 OR s.setrole = (SELECT oid FROM pg_roles WHERE rolname = current_user))
                   AND c.setting ~ '^default_transaction_read_only=(on|true|yes|1)$') AS read_only";

/// The obstacles of the server as a whole.
pub fn of_server(primary: &impl Connection) -> Result<Vec<Obstacle>, Failure> {
    let rows = primary.query(SERVER, &[])?;
    let row = rows.one()?;
    let (standby, temporary, read_only): (bool, bool, bool) =
        (row.get("standby")?, row.get("temporary")?, row.get("read_only")?);
    let mut found = Vec::new();
    if standby {
        found.push(Obstacle::new(
            "pg-read-only",
            "the server",
            "is a standby and accepts no writes",
            "bind the target to the primary, and start a new run",
        ));
    }
    if read_only {
        found.push(Obstacle::new(
            "pg-read-only",
            "the server",
            "has `default_transaction_read_only` set for this database or login",
            "reset it (`ALTER DATABASE … RESET` or `ALTER ROLE … RESET default_transaction_read_only`), then retry this step",
        ));
    }
    if !temporary {
        found.push(Obstacle::new(
            "pg-privileges",
            "the database",
            "does not let the login create temporary tables",
            "grant it TEMPORARY on the database, then retry this step",
        ));
    }
    Ok(found)
}

/// The obstacles of one table in which values go back.
pub fn of_changed_table(primary: &impl Connection, oid: i64, table: &Table) -> Result<Vec<Obstacle>, Failure> {
    let sql = "SELECT row_security_active($1::bigint::oid) AS hidden, has_table_privilege($1::bigint::oid, 'SELECT') AS may_select,
                      has_table_privilege($1::bigint::oid, 'UPDATE') AS may_update";
    let rows = primary.query(sql, &[Value::from(oid)])?;
    let row = rows.one()?;
    let name = table.name.plain();
    let mut found = Vec::new();
    if row.get("hidden")? {
        found.push(hidden(&name));
    }
    for (right, given) in [("SELECT", row.get::<bool>("may_select")?), ("UPDATE", row.get("may_update")?)] {
        if !given {
            found.push(without_right(&name, right));
        }
    }
    Ok(found)
}

fn hidden(name: &str) -> Obstacle {
    Obstacle::new(
        "pg-row-security",
        name,
        "has row-level security that hides rows from the login",
        "give the login BYPASSRLS (`ALTER ROLE … BYPASSRLS`), then retry this step; the copy has the rights of its own moment",
    )
}

fn without_right(name: &str, right: &str) -> Obstacle {
    let what = format!("does not give the login the right to {right}");
    let way_out = format!("`GRANT {right} ON {name} TO` the login, then retry this step");
    Obstacle::new("pg-privileges", name, what, &way_out)
}

const TABLE: &str = "SELECT row_security_active(c.oid) AS hidden,
        has_table_privilege(c.oid, 'SELECT') AS may_select, has_table_privilege(c.oid, 'INSERT') AS may_insert,
        (SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
            AND (t.typsend = 0 OR t.typreceive = 0)) AS text_only,
        (SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND age(a.xmin) < age($2::text::xid)) AS changed,
        coalesce((SELECT max(a.attnum) FROM pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND age(a.xmin) >= age($2::text::xid)), 0)::bigint AS last_old,
        (SELECT coalesce(array_agg(o.conname::text ORDER BY o.conname), '{}') FROM pg_constraint o
          WHERE o.conrelid = c.oid AND (NOT o.convalidated OR age(o.xmin) < age($2::text::xid))) AS newer_rules,
        (SELECT coalesce(array_agg(DISTINCT l.pid::text), '{}') FROM pg_locks l
          WHERE l.relation = c.oid AND l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')) AS lockers
   FROM pg_class c WHERE c.oid = $1::bigint::oid";

/// The obstacles of one table; `xid` is the transaction that did the damage: what the catalog got later is newer.
pub fn of_table(primary: &impl Connection, oid: i64, table: &Table, xid: u32) -> Result<Findings, Failure> {
    let rows = primary.query(TABLE, &[Value::from(oid), Value::from(xid.to_string())])?;
    let row = rows.one()?;
    let name = table.name.plain();
    let mut found = Findings::default();
    if row.get("hidden")? {
        found.obstacles.push(hidden(&name));
    }
    for (right, given) in [("SELECT", row.get::<bool>("may_select")?), ("INSERT", row.get("may_insert")?)] {
        if !given {
            found.obstacles.push(without_right(&name, right));
        }
    }
    found.obstacles.extend(sequences(primary, table)?);
    let text_only: Vec<String> = row.get("text_only")?;
    if !text_only.is_empty() {
        found.obstacles.push(Obstacle::new(
            "pg-binary-type",
            &name,
            format!("has columns of types that cannot be sent in binary ({})", text_only.join(", ")),
            "restore a copy, and put the rows back by hand with `COPY` in text format",
        ));
    }
    let last_old: i64 = row.get("last_old")?;
    found.obstacles.extend(table.columns.iter().filter(|it| it.required && it.number > last_old && last_old > 0).map(
        |column| {
            Obstacle::new(
                "pg-schema-changed",
                &name,
                format!(
                    "has a column {} that is newer than the damage, is NOT NULL and has no default: rows from before \
                     may have no value for it",
                    column.name
                ),
                GIVE_A_DEFAULT,
            )
        },
    ));
    warnings(&name, &row, &mut found.warnings)?;
    Ok(found)
}

fn warnings(name: &str, row: &lifeboat_plugin::postgres::Row<'_>, warnings: &mut Vec<String>) -> Result<(), Failure> {
    let list = |column: &str| row.get::<Vec<String>>(column).map(|names| names.join(", "));
    let (changed, rules, lockers) = (list("changed")?, list("newer_rules")?, list("lockers")?);
    if !changed.is_empty() {
        warnings.push(format!("{name}: the columns {changed} were added, renamed or altered since the damage"));
    }
    if !rules.is_empty() {
        warnings.push(format!(
            "{name}: the constraints {rules} are newer than the damage or not validated; rows that violate them will \
             be reported as conflicts"
        ));
    }
    if !lockers.is_empty() {
        warnings.push(format!("{name} is locked against writing by the sessions with process ids {lockers}"));
    }
    Ok(())
}

fn sequences(primary: &impl Connection, table: &Table) -> Result<Vec<Obstacle>, Failure> {
    let mut found = Vec::new();
    for sequence in table.columns.iter().filter_map(|column| column.sequence.as_ref()) {
        let rows = primary.query(
            "SELECT has_sequence_privilege($1::text, 'USAGE') AND has_sequence_privilege($1::text, 'UPDATE') AS allowed",
            &[Value::from(sequence.as_str())],
        )?;
        if !rows.one()?.get::<bool>("allowed")? {
            found.push(Obstacle::new(
                "pg-privileges",
                &table.name.plain(),
                format!("uses the sequence {sequence}, which the login may not advance"),
                &format!("`GRANT USAGE, UPDATE ON SEQUENCE {sequence} TO` the login, then retry this step"),
            ));
        }
    }
    Ok(found)
}
