//! What the catalog says about tables: their files, columns, keys and references.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{identifier::TableName, waldump::Filenode};

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
pub struct Files {
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
pub fn all_files(connection: &impl Connection) -> Result<Files, Failure> {
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
    let mut files = Files::default();
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
    /// As `format_type` writes it.
    pub ty: String,
    /// Computed by the server from other columns.
    pub generated: bool,
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
}

/// A table as far as putting rows back is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// In their order.
    pub columns: Vec<Column>,
    /// Columns of the primary key; empty without one.
    pub key: Vec<String>,
    /// Foreign keys that are not copies of a partitioned table's own.
    pub references: Vec<Reference>,
    /// Names of enabled user triggers on INSERT.
    pub insert_triggers: Vec<String>,
}

impl Table {
    /// Columns that are written when a row is put back.
    pub fn written(&self) -> Vec<String> {
        self.columns.iter().filter(|column| !column.generated).map(|column| column.name.clone()).collect()
    }
}

/// What the catalog says about a table; none where there is no such table.
pub fn describe(connection: &impl Connection, name: &TableName) -> Result<Option<Table>, Failure> {
    let sql = Value::from(name.sql());
    let found = connection.query("SELECT to_regclass($1::text)::oid::bigint AS oid", std::slice::from_ref(&sql))?;
    let Some(oid) = found.one()?.get::<Option<i64>>("oid")? else { return Ok(None) };
    let oid = [Value::from(oid)];
    Ok(Some(Table {
        name: name.clone(),
        columns: columns(connection, &sql)?,
        key: names(connection, KEY, &oid)?,
        references: references(connection, &oid)?,
        insert_triggers: names(connection, TRIGGERS, &oid)?,
    }))
}

const COLUMNS: &str = "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type,
        a.attgenerated <> '' AS generated, pg_get_serial_sequence($1::text, a.attname::text) AS sequence
   FROM pg_attribute a
  WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";

const KEY: &str = "SELECT a.attname::text AS name
   FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  WHERE i.indrelid = $1::bigint::oid AND i.indisprimary AND k.position <= i.indnkeyatts ORDER BY k.position";

const TRIGGERS: &str = "SELECT tgname::text AS name FROM pg_trigger
  WHERE tgrelid = $1::bigint::oid AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 4 <> 0 ORDER BY tgname";

// A foreign key to a partitioned table is listed once for the table and once more for each partition: the copies say
// nothing of their own. Those that a partition has from its parent are the partition's.
const REFERENCES: &str = "SELECT n.nspname::text AS schema, p.relname::text AS name,
        (SELECT array_agg(a.attname::text ORDER BY k.position) FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, position)
           JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns,
        (SELECT array_agg(a.attname::text ORDER BY k.position) FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, position)
           JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum) AS parent_columns
   FROM pg_constraint c JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
  WHERE c.conrelid = $1::bigint::oid AND c.contype = 'f'
    AND NOT EXISTS (SELECT FROM pg_constraint o WHERE o.oid = c.conparentid AND o.conrelid = c.conrelid)
  ORDER BY c.conname";

fn columns(connection: &impl Connection, table: &Value) -> Result<Vec<Column>, Failure> {
    let rows = connection.query(COLUMNS, std::slice::from_ref(table))?;
    let column = |row: lifeboat_plugin::postgres::Row<'_>| {
        Ok(Column {
            name: row.get("name")?,
            ty: row.get("type")?,
            generated: row.get("generated")?,
            sequence: row.get("sequence")?,
        })
    };
    rows.iter().map(column).collect()
}

fn names(connection: &impl Connection, sql: &str, parameters: &[Value]) -> Result<Vec<String>, Failure> {
    connection.query(sql, parameters)?.iter().map(|row| row.get("name")).collect()
}

fn references(connection: &impl Connection, oid: &[Value]) -> Result<Vec<Reference>, Failure> {
    let rows = connection.query(REFERENCES, oid)?;
    let reference = |row: lifeboat_plugin::postgres::Row<'_>| {
        Ok(Reference {
            columns: row.get("columns")?,
            parent: table_name(&row)?,
            parent_columns: row.get("parent_columns")?,
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
