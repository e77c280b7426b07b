//! What surrounds the tables of a set and decides whether rows can go back into them: collations of another version, encodings,
//! foreign tables, and a configuration file that forbids all writes.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{catalog::Findings, obstacle::Obstacle, relation::Table},
    server::identifier::TableName,
};

/// The encoding in which rows go from one server to the other.
const WIRE: &str = "UTF8";

const DATABASE: &str =
    "SELECT pg_encoding_to_char(encoding)::text AS encoding FROM pg_database WHERE datname = current_database()";

/// Superusers, and who was granted it, may read the settings of the configuration files.
const MAY_READ_FILES: &str = "SELECT has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
        AND has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE') AS allowed";

/// The last entry counts, that of ALTER SYSTEM too.
const FILES: &str =
    "SELECT sourcefile::text AS file, sourceline::bigint AS line, setting::text AS setting FROM pg_file_settings
  WHERE name = 'default_transaction_read_only' AND error IS NULL ORDER BY seqno DESC LIMIT 1";

/// Columns of the key whose collation is not the one that its indexes were built with. The recorded version is none where the
/// collation has none, such as `C`.
const COLLATIONS: &str = "SELECT a.attname::text AS name, coalesce(nullif(l.collname::text, 'default'), d.datcollate::text) AS collation,
        coalesce(CASE WHEN l.collprovider = 'd' THEN d.datcollversion ELSE l.collversion END, '') AS built,
        coalesce(CASE WHEN l.collprovider = 'd' THEN pg_database_collation_actual_version(d.oid)
                      ELSE pg_collation_actual_version(l.oid) END, '') AS present
   FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation JOIN pg_database d ON d.datname = current_database()
  WHERE a.attrelid = $1::bigint::oid AND a.attname::text = ANY ($2::text[]) ORDER BY a.attnum";

/// Foreign tables beside it below the same parents.
const FOREIGN: &str = "WITH RECURSIVE above AS (SELECT inhparent AS oid FROM pg_inherits WHERE inhrelid = $1::bigint::oid
          UNION SELECT i.inhparent FROM above JOIN pg_inherits i ON i.inhrelid = above.oid),
        below AS (SELECT oid FROM above UNION SELECT i.inhrelid FROM below JOIN pg_inherits i ON i.inhparent = below.oid)
 SELECT c.oid::regclass::text AS name FROM below JOIN pg_class c ON c.oid = below.oid WHERE c.relkind = 'f' ORDER BY 1";

/// The obstacles of the server and its database.
pub fn of_server(primary: &impl Connection) -> Result<Findings, Failure> {
    let mut found = Findings::default();
    found.obstacles.extend(read_only_file(primary)?);
    let encoding = encoding(primary)?;
    if encoding != WIRE {
        found.warnings.push(format!(
            "the database has the encoding {encoding}, and rows are sent in {WIRE}: a row with a character that \
             {WIRE} lacks cannot be put back"
        ));
    }
    Ok(found)
}

fn read_only_file(primary: &impl Connection) -> Result<Option<Obstacle>, Failure> {
    if !primary.query(MAY_READ_FILES, &[])?.one()?.get::<bool>("allowed")? {
        return Ok(None);
    }
    let rows = primary.query(FILES, &[])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (file, line, setting): (String, i64, String) = (row.get("file")?, row.get("line")?, row.get("setting")?);
    Ok(is_on(&setting).then(|| {
        Obstacle::new(
            "pg-read-only",
            "the server",
            format!("has `default_transaction_read_only = {setting}` in its configuration ({file}, line {line})"),
            "take it out (`ALTER SYSTEM RESET default_transaction_read_only`, or in the file) and `SELECT pg_reload_conf()`, then \
             retry this step",
        )
    }))
}

/// As PostgreSQL reads a boolean: every beginning of a word that is no other one's.
fn is_on(setting: &str) -> bool {
    let word = setting.to_ascii_lowercase();
    word == "1" || word == "on" || !word.is_empty() && ["true", "yes"].iter().any(|on| on.starts_with(&word))
}

fn encoding(connection: &impl Connection) -> Result<String, Failure> {
    connection.query(DATABASE, &[])?.one()?.get("encoding")
}

/// What surrounds one table.
pub fn of_table(primary: &impl Connection, oid: i64, table: &Table) -> Result<Findings, Failure> {
    let mut found = Findings::default();
    let name = table.name.plain();
    let rows = primary.query(COLLATIONS, &[Value::from(oid), Value::from(table.key.clone())])?;
    for row in rows.iter() {
        let (built, present): (String, String) = (row.get("built")?, row.get("present")?);
        if built == present || built.is_empty() || present.is_empty() {
            continue;
        }
        let (column, collation): (String, String) = (row.get("name")?, row.get("collation")?);
        found.obstacles.push(Obstacle::new(
            "pg-collation-version",
            &name,
            format!(
                "has the key column {column} with the collation {collation}, whose version is {present} and was {built} when its \
                 indexes were built: they may not find a row that is there"
            ),
            "rebuild its indexes (`REINDEX TABLE CONCURRENTLY …`) and record that (`ALTER COLLATION … REFRESH \
             VERSION`, or `ALTER DATABASE … REFRESH COLLATION VERSION`), then retry this step",
        ));
    }
    let foreign = primary.query(FOREIGN, &[Value::from(oid)])?;
    let names = foreign.iter().map(|row| row.get("name")).collect::<Result<Vec<String>, _>>()?;
    if !names.is_empty() {
        found.warnings.push(format!(
            "{name} has foreign tables beside it ({}): this server's WAL does not record what was removed there, and \
             it is not put back",
            names.join(", ")
        ));
    }
    Ok(found)
}

/// A table of the set that is another kind of relation today.
pub fn foreign_now(primary: &impl Connection, name: &TableName) -> Result<Option<Obstacle>, Failure> {
    let rows = primary.query(
        "SELECT relkind = 'f' AS is_foreign FROM pg_class WHERE oid = to_regclass($1::text)",
        &[Value::from(name.sql())],
    )?;
    let is_foreign = rows.first().map(|row| row.get::<bool>("is_foreign")).transpose()?.unwrap_or(false);
    Ok(is_foreign.then(|| {
        Obstacle::new(
            "pg-foreign-table",
            &name.plain(),
            "is a foreign table today: its rows are on another server",
            "restore a copy (`pg/restore` with `before_xid`) and put its rows back by hand where they belong",
        )
    }))
}

/// A copy whose database has another encoding than the server's: it is not the same database any more.
pub fn other_encoding(primary: &impl Connection, copy: &impl Connection) -> Result<Option<Obstacle>, Failure> {
    let (now, then) = (encoding(primary)?, encoding(copy)?);
    Ok((now != then).then(|| {
        Obstacle::new(
            "pg-encoding",
            "the database",
            format!("has the encoding {now} today and had {then} in the copy: it was created again since"),
            "put the rows back by hand, with `COPY` in text and `client_encoding` set",
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::is_on;

    #[test]
    fn a_boolean_is_read_as_the_server_does() {
        for on in ["on", "ON", "true", "t", "yes", "y", "1"] {
            assert!(is_on(on), "{on}");
        }
        for off in ["off", "false", "no", "0", "", "o"] {
            assert!(!is_on(off), "{off}");
        }
    }
}
