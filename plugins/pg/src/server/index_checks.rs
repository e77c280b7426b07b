//! What the extension `amcheck` can check in a database, and whether it exists.
//!
//! Checking an index for an entry of each row evaluates its expressions and its predicate with the rights of its owner, and every
//! check of an index calls its comparison functions. Functions that users wrote can do anything, so they are not run: the check
//! leaves out the part that needs them and says so.

use lifeboat_plugin::{Connection, Failure, postgres, postgres::Value};

use crate::server::identifier::quote_identifier;

/// The extension in a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    /// The schema of its functions.
    pub schema: String,
    /// Whether the copy is still in recovery: then an index is checked without the relation of its pages to their parents.
    pub in_recovery: bool,
}

impl Extension {
    /// The schema for a statement.
    pub fn schema_sql(&self) -> String {
        quote_identifier(&self.schema)
    }
}

/// How far an index is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Not at all.
    None,
    /// Its own structure.
    Structure,
    /// Its structure, and an entry for every row.
    EveryRow,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its OID.
    pub oid: i64,
    /// Its name with its schema.
    pub name: String,
    /// How far it is checked.
    pub depth: Depth,
    /// Why not farther.
    pub left_out: Option<String>,
}

/// A table, or the one beside it with its large values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedTable {
    /// Its OID.
    pub oid: i64,
    /// Its name with its schema.
    pub name: String,
}

/// The tables of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Those that are checked.
    pub checked: Vec<CheckedTable>,
    /// Those that are not, with the reason.
    pub left_out: Vec<String>,
}

/// Finds the extension, or makes it where the copy can be written.
pub fn prepare(connection: &impl Connection, database: &str) -> Result<Extension, Failure> {
    const FIND: &str = "SELECT n.nspname::text AS schema, pg_catalog.pg_is_in_recovery() AS in_recovery,
            e.extversion::text AS version, a.default_version::text AS newest
       FROM (SELECT) AS one
       LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = 'amcheck'
       LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
       LEFT JOIN pg_catalog.pg_available_extensions AS a ON a.name = 'amcheck'";
    let rows = connection.query(FIND, &[])?;
    let row = rows.one()?;
    let in_recovery: bool = row.get("in_recovery")?;
    let (schema, version): (Option<String>, Option<String>) = (row.get("schema")?, row.get("version")?);
    let newest: Option<String> = row.get("newest")?;
    let missing = |why: &str| {
        let message = format!("the database {database} has no extension amcheck, {why}");
        Failure::permanent("pg-amcheck-missing", message)
    };
    let statement = match (&version, &newest) {
        (None, None) => {
            return Err(missing("and its machine does not offer it: install PostgreSQL's contrib package there"));
        }
        (None, Some(_)) if in_recovery => {
            return Err(missing(
                "and none can be created while the copy is in recovery: restore it with `promote: true`",
            ));
        }
        (None, Some(_)) => Some("CREATE EXTENSION amcheck WITH SCHEMA pg_catalog"),
        // Tables are checked from version 1.3 on.
        (Some(version), Some(newest)) if version != newest && !in_recovery => Some("ALTER EXTENSION amcheck UPDATE"),
        (Some(_), _) => None,
    };
    if let Some(statement) = statement {
        without_event_triggers(connection).and_then(|()| connection.execute(statement, &[])).map_err(|error| {
            match Failure::from(error) {
                Failure::Permanent(reason) => missing(&format!("and it cannot be created: {}", reason.message)),
                other => other,
            }
        })?;
    }
    Ok(Extension { schema: schema.unwrap_or_else(|| "pg_catalog".to_owned()), in_recovery })
}

/// A statement that makes or changes an extension would run the event triggers of the copy, which users wrote.
fn without_event_triggers(connection: &impl Connection) -> Result<(), postgres::Error> {
    connection
        .query("SELECT pg_catalog.set_config('session_replication_role', 'replica', false) AS role", &[])
        .map(drop)
}

/// Every table with rows of its own, catalogs and large values too.
pub fn tables(connection: &impl Connection) -> Result<Tables, Failure> {
    let rows = connection.query(
        "SELECT c.oid::bigint AS oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
                CASE WHEN c.relpersistence = 'u' THEN 'is unlogged'
                     WHEN a.amname <> 'heap' THEN 'is kept by the access method ' || a.amname END AS left_out
           FROM pg_catalog.pg_class AS c
           JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
          WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't'
          ORDER BY 2",
        &[],
    )?;
    let mut found = Tables::default();
    for row in rows.iter() {
        let name: String = row.get("name")?;
        match row.get::<Option<String>>("left_out")? {
            Some(why) => found.left_out.push(format!("{name} {why}")),
            None => found.checked.push(CheckedTable { oid: row.get("oid")?, name }),
        }
    }
    Ok(found)
}

/// Every index that has pages, with how far it can be checked without running what users wrote.
pub fn indexes(connection: &impl Connection) -> Result<Vec<Index>, Failure> {
    // A dependency on a function or an operator is recorded where it is not one of the server's own.
    let rows = connection.query(
        "SELECT c.oid::bigint AS oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, a.amname::text AS method,
                c.relpersistence = 'u' AS unlogged, i.indisvalid AND i.indisready AS valid,
                EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                           AND d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass,
                                                'pg_catalog.pg_operator'::pg_catalog.regclass)) AS evaluates,
                EXISTS (SELECT FROM pg_catalog.unnest(i.indclass) AS k(class)
                          JOIN pg_catalog.pg_opclass AS o ON o.oid = k.class
                          JOIN pg_catalog.pg_amproc AS f ON f.amprocfamily = o.opcfamily
                          JOIN pg_catalog.pg_proc AS p ON p.oid = f.amproc
                          JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
                         WHERE l.lanname NOT IN ('internal', 'c')) AS compares
           FROM pg_catalog.pg_index AS i
           JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
           JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
          WHERE c.relkind = 'i' AND c.relpersistence <> 't'
          ORDER BY 2",
        &[],
    )?;
    rows.iter()
        .map(|row| {
            let method: String = row.get("method")?;
            let (depth, left_out) =
                depth(&method, row.get("unlogged")?, row.get("valid")?, row.get("evaluates")?, row.get("compares")?);
            Ok(Index { oid: row.get("oid")?, name: row.get("name")?, depth, left_out })
        })
        .collect()
}

/// Checks an index; one that is wrong is an error of the server. `strictly`: how its pages hang together too, which locks writers out.
pub fn check(
    connection: &impl Connection,
    extension: &Extension,
    index: &Index,
    strictly: bool,
) -> Result<(), Failure> {
    let function = if strictly { "bt_index_parent_check" } else { "bt_index_check" };
    let every_row = index.depth == Depth::EveryRow;
    let sql = format!(
        "SELECT {}.{function}(index => $1::bigint::oid::regclass, heapallindexed => {every_row})::text AS checked",
        extension.schema_sql()
    );
    connection.query(&sql, &[Value::from(index.oid)]).map(drop).map_err(Failure::from)
}

fn depth(method: &str, unlogged: bool, valid: bool, evaluates: bool, compares: bool) -> (Depth, Option<String>) {
    let left = |depth: Depth, why: &str| (depth, Some(why.to_owned()));
    if method != "btree" {
        return (Depth::None, Some(format!("is an index of the kind {method}, which amcheck cannot check")));
    }
    match (unlogged, valid, compares, evaluates) {
        (true, ..) => left(Depth::None, "belongs to an unlogged table"),
        (_, false, ..) => left(Depth::None, "is not valid on the original either: its creation was interrupted"),
        (_, _, true, _) => {
            left(Depth::None, "compares with functions that are not PostgreSQL's own; these are not run")
        }
        (_, _, _, true) => left(
            Depth::Structure,
            "was not checked for an entry for each row, because that would run functions that are not PostgreSQL's own",
        ),
        _ => (Depth::EveryRow, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_wrote_is_not_run() {
        let check = |flags: (bool, bool, bool, bool), expected: Depth| {
            let (unlogged, valid, evaluates, compares) = flags;
            let (found, why) = depth("btree", unlogged, valid, evaluates, compares);
            assert_eq!((found, why.is_none()), (expected, expected == Depth::EveryRow), "{flags:?}");
        };
        check((false, true, false, false), Depth::EveryRow);
        check((false, true, true, false), Depth::Structure);
        check((false, true, false, true), Depth::None);
        check((false, true, true, true), Depth::None);
        check((false, false, false, false), Depth::None);
        check((true, true, false, false), Depth::None);
        assert_eq!(depth("gin", false, true, false, false).0, Depth::None);
    }
}
