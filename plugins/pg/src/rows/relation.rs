//! What the catalog says about tables: their files, columns, keys and references.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{server::identifier::TableName, wal::waldump::Filenode};

/// A table and the file that its rows are in today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// The table; a leaf where it is partitioned.
    pub table: TableName,
    /// Its main file.
    pub file: Filenode,
    /// Whether what is done to its rows is in the WAL: it is not where the table is unlogged or temporary.
    pub logged: bool,
}

/// The files of a table and of all that inherit from it: the leaves of a partitioned one, the children of another. The name is
/// read as in a query: with the search path, and folded to lower case where it is not quoted.
pub fn files_of(connection: &impl Connection, table: &str) -> Result<Vec<TableFile>, Failure> {
    let rows = connection.query(
        "WITH RECURSIVE root AS (SELECT to_regclass($1::text)::oid AS oid),
              wanted AS (SELECT oid FROM root UNION SELECT i.inhrelid FROM wanted JOIN pg_inherits i ON i.inhparent = wanted.oid)
         SELECT n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind, c.oid = root.oid AS is_root,
                c.relpersistence = 'p' AS logged, coalesce(nullif(c.reltablespace, 0), d.dattablespace)::bigint AS tablespace,
                d.oid::bigint AS database, coalesce(pg_relation_filenode(c.oid), 0)::bigint AS node
           FROM root CROSS JOIN wanted JOIN pg_class c ON c.oid = wanted.oid JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_database d ON d.datname = current_database()
          ORDER BY 1, 2",
        &[Value::from(table)],
    )?;
    if rows.is_empty() {
        let message =
            format!("there is no table `{table}` today: was it dropped, or is its schema missing in the name?");
        return Err(Failure::permanent("pg-no-table", message));
    }
    let mut files = Vec::new();
    for row in rows.iter() {
        match row.get::<String>("kind")?.as_str() {
            "r" => {
                files.push(TableFile { table: table_name(&row)?, file: filenode(&row)?, logged: row.get("logged")? });
            }
            "p" => {}
            // A partition or a child that is a foreign table keeps its rows elsewhere.
            "f" if !row.get::<bool>("is_root")? => {}
            _ => return Err(Failure::invalid_input("pg-no-table", format!("`{table}` is not a table"))),
        }
    }
    if files.is_empty() {
        return Err(Failure::permanent("pg-no-table", format!("the partitioned table `{table}` has no partition")));
    }
    Ok(files)
}

fn table_name(row: &lifeboat_plugin::postgres::Row<'_>) -> Result<TableName, Failure> {
    Ok(TableName { schema: row.get("schema")?, name: row.get("name")? })
}

fn filenode(row: &lifeboat_plugin::postgres::Row<'_>) -> Result<Filenode, Failure> {
    Ok(Filenode { tablespace: row.get("tablespace")?, database: row.get("database")?, node: row.get("node")? })
}

/// What the files of a database are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllFiles {
    /// Ordinary tables of users.
    pub tables: BTreeMap<Filenode, TableName>,
    /// Files with rows that belong to the server itself: catalogs and TOAST. They come back by themselves, but for `objects`.
    pub internal: BTreeSet<Filenode>,
    /// Those of large objects.
    pub objects: Option<LargeObjects>,
}

/// Where large objects are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LargeObjects {
    /// A row for each object (`pg_largeobject_metadata`).
    pub metadata: Filenode,
    /// A row for each 2 kB of one (`pg_largeobject`).
    pub data: Filenode,
}

impl LargeObjects {
    /// Whether it is one of the two.
    pub fn has(&self, file: Filenode) -> bool {
        self.metadata == file || self.data == file
    }
}

/// Every file with rows in the connection's database.
pub fn all_files(connection: &impl Connection) -> Result<AllFiles, Failure> {
    let rows = connection.query(
        "SELECT n.nspname::text AS schema, c.relname::text AS name,
                c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AS is_table,
                n.nspname = 'pg_catalog' AS is_catalog,
                coalesce(nullif(c.reltablespace, 0), d.dattablespace)::bigint AS tablespace,
                (CASE WHEN c.relisshared THEN 0 ELSE d.oid END)::bigint AS database, pg_relation_filenode(c.oid)::bigint AS node
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_database d ON d.datname = current_database()
          WHERE c.relkind IN ('r', 't', 'm') AND pg_relation_filenode(c.oid) IS NOT NULL",
        &[],
    )?;
    let mut files = AllFiles::default();
    let (mut metadata, mut data) = (None, None);
    for row in rows.iter() {
        let file = filenode(&row)?;
        if row.get("is_table")? {
            files.tables.insert(file, table_name(&row)?);
            continue;
        }
        files.internal.insert(file);
        match row.get::<String>("name")?.as_str() {
            "pg_largeobject_metadata" if row.get("is_catalog")? => metadata = Some(file),
            "pg_largeobject" if row.get("is_catalog")? => data = Some(file),
            _ => {}
        }
    }
    files.objects = metadata.zip(data).map(|(metadata, data)| LargeObjects { metadata, data });
    Ok(files)
}

/// A column that holds data of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its number in the table, which a new name does not change.
    pub number: i64,
    /// As `format_type` writes it, with its schema where that is not `pg_catalog`.
    pub ty: String,
    /// The type under a domain, whose own rules hold only where a row is written into its table.
    pub base: Option<String>,
    /// Computed by the server from other columns.
    pub generated: bool,
    /// A row that gives it no value is refused: `NOT NULL`, and neither default nor identity.
    pub required: bool,
    /// `GENERATED ALWAYS AS IDENTITY`: an UPDATE cannot set it.
    pub always: bool,
    /// The sequence that it draws from (identity or serial), as a quoted name.
    pub sequence: Option<String>,
}

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Columns here.
    pub columns: Vec<String>,
    /// The table that is referenced.
    pub parent: TableName,
    /// Columns there.
    pub parent_columns: Vec<String>,
    /// It can be checked at the end of a transaction.
    pub deferrable: bool,
    /// Columns that change when the referenced row goes.
    pub cleared: Vec<String>,
    /// What they become.
    pub clearing: Clearing,
}

/// What happens to a foreign key when the referenced row is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clearing {
    /// `ON DELETE SET NULL`.
    #[default]
    Null,
    /// `ON DELETE SET DEFAULT`.
    Default,
}

/// A user trigger that fires when a row is inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// `ENABLE ALWAYS`: a session that replays for a replica fires it too.
    pub always: bool,
}

/// A table as far as putting rows back is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// In their order.
    pub columns: Vec<Column>,
    /// Columns by which a row is recognised: of the primary key, else of a unique index without nulls; empty without one.
    pub key: Vec<String>,
    /// Foreign keys that are not copies of a partitioned table's own.
    pub references: Vec<Reference>,
    /// Enabled user triggers on INSERT.
    pub insert_triggers: Vec<Trigger>,
    /// Enabled user triggers on UPDATE.
    pub update_triggers: Vec<Trigger>,
    /// Rules on INSERT.
    pub insert_rules: Vec<String>,
    /// Rules on UPDATE.
    pub update_rules: Vec<String>,
    /// Unique and exclusion constraints that can be checked at the end of a transaction: `ON CONFLICT` knows none of them.
    pub deferrable: Vec<String>,
}

impl Table {
    /// Columns that are written when a row is put back.
    pub fn written(&self) -> Vec<String> {
        self.columns.iter().filter(|column| !column.generated).map(|column| column.name.clone()).collect()
    }

    /// Whether one of its foreign keys points at the table itself.
    pub fn references_itself(&self) -> bool {
        self.references.iter().any(|reference| reference.parent == self.name)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// What the catalog says about a table, and its OID; none where there is no such table.
pub fn describe(connection: &impl Connection, name: &TableName) -> Result<Option<(i64, Table)>, Failure> {
    let found = connection.query("SELECT to_regclass($1::text)::oid::bigint AS oid", &[Value::from(name.sql())])?;
    match found.one()?.get::<Option<i64>>("oid")? {
        Some(oid) => Ok(by_oid(connection, oid)?.map(|table| (oid, table))),
        None => Ok(None),
    }
}

/// What the catalog says about the table with that OID, whatever it is called: a copy has the OIDs of its original.
pub fn by_oid(connection: &impl Connection, oid: i64) -> Result<Option<Table>, Failure> {
    let oid = [Value::from(oid)];
    let rows = connection.query(NAME, &oid)?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Table {
        name: table_name(&row)?,
        columns: columns(connection, &oid)?,
        key: names(connection, KEY, &oid)?,
        references: references(connection, &oid)?,
        insert_triggers: triggers(connection, &oid, 4)?,
        update_triggers: triggers(connection, &oid, 16)?,
        insert_rules: rules(connection, &oid, "3")?,
        update_rules: rules(connection, &oid, "2")?,
        deferrable: names(connection, DEFERRABLE, &oid)?,
    }))
}

const NAME: &str = "SELECT n.nspname::text AS schema, c.relname::text AS name
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::bigint::oid AND c.relkind = 'r'";

// Types of other schemas are always written with theirs: whether they would be is a matter of the search path, which is another one
// on a copy. What an array is made of lies in the schema of the array.
const COLUMNS: &str = "SELECT a.attname::text AS name, a.attnum::bigint AS number,
        (SELECT CASE WHEN n.nspname <> 'pg_catalog' AND pg_type_is_visible(CASE WHEN t.typlen = -1 AND t.typelem <> 0 THEN t.typelem ELSE t.oid END)
                     THEN quote_ident(n.nspname) || '.' ELSE '' END || format_type(a.atttypid, a.atttypmod)
           FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = a.atttypid) AS type,
        (SELECT CASE WHEN n.nspname <> 'pg_catalog' AND pg_type_is_visible(CASE WHEN b.typlen = -1 AND b.typelem <> 0 THEN b.typelem ELSE b.oid END)
                     THEN quote_ident(n.nspname) || '.' ELSE '' END || format_type(t.typbasetype, t.typtypmod)
           FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype JOIN pg_namespace n ON n.oid = b.typnamespace
          WHERE t.oid = a.atttypid AND t.typtype = 'd') AS base,
        a.attidentity = 'a' AS always,
        a.attgenerated <> '' AS generated, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required,
        pg_get_serial_sequence(a.attrelid::regclass::text, a.attname::text) AS sequence
   FROM pg_attribute a
  WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

// The primary key, else the index that replication recognises rows by, else any that is unique and knows no nulls.
const KEY: &str = "WITH best AS (
        SELECT i.indexrelid FROM pg_index i
         WHERE i.indrelid = $1::bigint::oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
           AND NOT EXISTS (SELECT FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
                             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                            WHERE k.position <= i.indnkeyatts AND NOT a.attnotnull)
         ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indimmediate DESC, i.indnkeyatts, i.indexrelid LIMIT 1)
 SELECT a.attname::text AS name
   FROM best JOIN pg_index i ON i.indexrelid = best.indexrelid
  CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE k.position <= i.indnkeyatts ORDER BY k.position";

const TRIGGERS: &str = "SELECT tgname::text AS name, tgenabled = 'A' AS always FROM pg_trigger
  WHERE tgrelid = $1::bigint::oid AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & $2::int <> 0 ORDER BY tgname";

const RULES: &str = "SELECT rulename::text AS name FROM pg_rewrite
  WHERE ev_class = $1::bigint::oid AND ev_type = $2::text AND ev_enabled IN ('O', 'A') ORDER BY rulename";

const DEFERRABLE: &str = "SELECT conname::text AS name FROM pg_constraint
  WHERE conrelid = $1::bigint::oid AND contype IN ('p', 'u', 'x') AND condeferrable ORDER BY conname";

// A foreign key to a partitioned table is listed once for the table and once more for each partition: the copies say
// nothing of their own. Those that a partition has from its parent are the partition's.
const REFERENCES: &str = "SELECT n.nspname::text AS schema, p.relname::text AS name, c.condeferrable AS deferrable,
        (SELECT array_agg(a.attname::text ORDER BY k.position) FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
           JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns,
        (SELECT array_agg(a.attname::text ORDER BY k.position) FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
           JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum) AS parent_columns,
        (SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a
          WHERE c.confdeltype IN ('n', 'd') AND a.attrelid = c.conrelid
            AND a.attnum = ANY (coalesce(c.confdelsetcols, c.conkey))) AS cleared,
        c.confdeltype = 'd' AS to_default
   FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
  WHERE c.conrelid = $1::bigint::oid AND c.contype = 'f'
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.oid = c.conparentid AND o.conrelid = c.conrelid)
  ORDER BY c.conname";

fn columns(connection: &impl Connection, oid: &[Value]) -> Result<Vec<Column>, Failure> {
    let rows = connection.query(COLUMNS, oid)?;
    let column = |row: lifeboat_plugin::postgres::Row<'_>| {
        Ok(Column {
            name: row.get("name")?,
            number: row.get("number")?,
            ty: row.get("type")?,
            base: row.get("base")?,
            always: row.get("always")?,
            generated: row.get("generated")?,
            required: row.get("required")?,
            sequence: row.get("sequence")?,
        })
    };
    rows.iter().map(column).collect()
}

fn names(connection: &impl Connection, sql: &str, parameters: &[Value]) -> Result<Vec<String>, Failure> {
    connection.query(sql, parameters)?.iter().map(|row| row.get("name")).collect()
}

/// `event`: `2` for UPDATE and `3` for INSERT.
fn rules(connection: &impl Connection, oid: &[Value], event: &str) -> Result<Vec<String>, Failure> {
    names(connection, RULES, &[oid[0].clone(), Value::from(event)])
}

/// `event`: the bit of `tgtype`, 4 for INSERT and 16 for UPDATE.
fn triggers(connection: &impl Connection, oid: &[Value], event: i64) -> Result<Vec<Trigger>, Failure> {
    let rows = connection.query(TRIGGERS, &[oid[0].clone(), Value::from(event)])?;
    let trigger =
        |row: lifeboat_plugin::postgres::Row<'_>| Ok(Trigger { name: row.get("name")?, always: row.get("always")? });
    rows.iter().map(trigger).collect()
}

fn references(connection: &impl Connection, oid: &[Value]) -> Result<Vec<Reference>, Failure> {
    let rows = connection.query(REFERENCES, oid)?;
    let reference = |row: lifeboat_plugin::postgres::Row<'_>| {
        Ok(Reference {
            columns: row.get("columns")?,
            parent: table_name(&row)?,
            parent_columns: row.get("parent_columns")?,
            deferrable: row.get("deferrable")?,
            cleared: row.get("cleared")?,
            clearing: if row.get("to_default")? { Clearing::Default } else { Clearing::Null },
        })
    };
    rows.iter().map(reference).collect()
}

/// The leaves of the partitioned tables among these parents: a row that references `orders` lies in one of its leaves.
pub fn leaves(connection: &impl Connection, parent: &TableName) -> Result<Vec<TableName>, Failure> {
    let rows = connection.query(
        "SELECT n.nspname::text AS schema, c.relname::text AS name
           FROM pg_partition_tree(to_regclass($1::text)) AS t JOIN pg_class c ON c.oid = t.relid
           JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.isleaf ORDER BY 1, 2",
        &[Value::from(parent.sql())],
    )?;
    rows.iter().map(|row| table_name(&row)).collect()
}

/// Tables with parents before children; ties by name. `parents` gives, for each table, the tables it references.
/// References to itself and to tables outside do not count. Fails with the tables of a circle where there is one.
pub fn parents_first(parents: &BTreeMap<TableName, Vec<TableName>>) -> Result<Vec<TableName>, Vec<TableName>> {
    let mut order: Vec<TableName> = Vec::new();
    let mut left: BTreeSet<&TableName> = parents.keys().collect();
    while !left.is_empty() {
        let ready =
            left.iter().find(|table| parents[**table].iter().all(|parent| parent == **table || !left.contains(parent)));
        match ready.copied() {
            Some(table) => {
                left.remove(table);
                order.push(table.clone());
            }
            None => return Err(left.into_iter().cloned().collect()),
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(name: &str) -> TableName {
        TableName { schema: "public".to_owned(), name: name.to_owned() }
    }

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<TableName, Vec<TableName>> {
        edges.iter().map(|(child, parents)| (table(child), parents.iter().map(|name| table(name)).collect())).collect()
    }

    #[test]
    fn parents_come_first() {
        let check = |edges: &[(&str, &[&str])], expect: Result<&[&str], &[&str]>| {
            let names = |names: &[&str]| names.iter().map(|name| table(name)).collect::<Vec<_>>();
            assert_eq!(parents_first(&graph(edges)), expect.map(names).map_err(names));
        };
        check(&[("a", &["b"]), ("b", &["c"]), ("c", &[])], Ok(&["c", "b", "a"]));
        check(&[("a", &["a", "elsewhere"])], Ok(&["a"]));
        check(&[("a", &["b"]), ("b", &["a"]), ("c", &[])], Err(&["a", "b"]));
    }

    proptest! {
        #[test]
        fn every_table_follows_its_parents(edges in prop::collection::vec((0_u8..12, 0_u8..12), 0..40)) {
            let mut parents: BTreeMap<TableName, Vec<TableName>> = BTreeMap::new();
            for (child, parent) in edges {
                // Children have the larger number: no circle.
                let (parent, child) = (child.min(parent), child.max(parent));
                parents.entry(table(&parent.to_string())).or_default();
                parents.entry(table(&child.to_string())).or_default().push(table(&parent.to_string()));
            }
            let order = parents_first(&parents).expect("no circle");
            prop_assert_eq!(order.len(), parents.len());
            for (position, child) in order.iter().enumerate() {
                for parent in parents[child].iter().filter(|parent| *parent != child) {
                    prop_assert!(order[..position].contains(parent));
                }
            }
        }
    }
}
