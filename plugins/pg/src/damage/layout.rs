//! What the catalog says about the files of tables, as far as reading the WAL needs it: their tables, and the partitions between
//! which a row can move.

use std::collections::HashMap;

use lifeboat_plugin::{Connection, Failure};

use crate::{
    rows::relation::{self, AllFiles},
    server::identifier::TableName,
    wal::waldump::Filenode,
};

/// The files of a database today.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Whose they are.
    pub files: AllFiles,
    /// Those of partitions.
    pub leaves: HashMap<Filenode, Leaf>,
    /// Tables by OID, in the connection's database.
    pub names: HashMap<u32, TableName>,
}

/// A partition with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf {
    /// OID of the uppermost partitioned table.
    pub root: u32,
    /// Whether a trigger runs before a row is inserted here: it may itself write first.
    pub triggered: bool,
}

impl Layout {
    /// Whether an insertion that follows the end of a row in another file certainly is where that row went.
    pub fn is_move(&self, from: Filenode, to: Filenode) -> bool {
        match (self.leaves.get(&from), self.leaves.get(&to)) {
            (Some(old), Some(new)) => from != to && old.root == new.root && !new.triggered,
            _ => false,
        }
    }

    /// Whether what happens to the rows of a file matters: to those of users and to large objects it does.
    pub fn follows(&self, file: Filenode) -> bool {
        !self.files.internal.contains(&file) || self.files.objects.is_some_and(|objects| objects.has(file))
    }

    /// Whether a row can have come here from another partition; nothing is known about a file that no table has any more.
    pub fn may_be_moved_to(&self, file: Filenode) -> bool {
        self.leaves.contains_key(&file) || !self.files.tables.contains_key(&file)
    }
}

/// Asks the server.
pub fn read(connection: &impl Connection) -> Result<Layout, Failure> {
    let files = relation::all_files(connection)?;
    // 7: FOR EACH ROW (1), BEFORE (2), INSERT (4).
    let rows = connection.query(
        "SELECT c.oid::bigint AS table_oid, n.nspname::text AS schema, c.relname::text AS name,
                CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid::bigint END AS root,
                EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                           AND t.tgtype & 7 = 7) AS triggered,
                coalesce(nullif(c.reltablespace, 0), d.dattablespace)::bigint AS tablespace, d.oid::bigint AS database,
                pg_relation_filenode(c.oid)::bigint AS node
           FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_database AS d ON d.datname = current_database()
          WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND pg_relation_filenode(c.oid) IS NOT NULL",
        &[],
    )?;
    let mut layout = Layout { files, ..Layout::default() };
    for row in rows.iter() {
        let file =
            Filenode { tablespace: row.get("tablespace")?, database: row.get("database")?, node: row.get("node")? };
        layout.names.insert(row.get("table_oid")?, TableName { schema: row.get("schema")?, name: row.get("name")? });
        if let Some(root) = row.get::<Option<u32>>("root")? {
            layout.leaves.insert(file, Leaf { root, triggered: row.get("triggered")? });
        }
    }
    Ok(layout)
}
