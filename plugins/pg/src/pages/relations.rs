//! The relations of a database, and the files that their pages are in.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use super::checksum::PAGE_BYTES;

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// A table, a materialized view, or the table beside one that has its large values.
    Heap,
    /// An index: it can be made again from its table.
    Index,
    /// A sequence.
    Sequence,
    /// The visibility map of a table, under the table's name: it can be made again from the table.
    Map,
}

impl RelationKind {
    fn of(letter: &str) -> Self {
        match letter {
            "i" => Self::Index,
            "S" => Self::Sequence,
            _ => Self::Heap,
        }
    }

    /// The word in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::Index => "index",
            Self::Sequence => "sequence",
            Self::Map => "map",
        }
    }

    /// Whether it has what is nowhere else.
    pub fn has_rows(self) -> bool {
        matches!(self, Self::Heap | Self::Sequence)
    }
}

/// What an index is one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexOf {
    /// OID of its table.
    pub table: i64,
    /// Whether it is a B-tree.
    pub is_btree: bool,
    /// Whether it has an entry for every row: it is valid, and not only for some of them.
    pub has_every_row: bool,
}

/// A relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// With its schema, quoted where a statement needs it.
    pub name: String,
    /// Its OID; 0 for a map.
    pub oid: i64,
    /// What it is.
    pub kind: RelationKind,
    /// Of what it is an index.
    pub of: Option<IndexOf>,
    /// Its first file, below the data folder: `base/16384/16394`.
    pub file: String,
    /// The size of its main fork.
    pub bytes: u64,
    /// Its first file is not there.
    pub is_lost: bool,
}

impl Relation {
    /// How many pages it has.
    pub fn pages(&self) -> u32 {
        u32::try_from(self.bytes / PAGE_BYTES as u64).unwrap_or(u32::MAX)
    }
}

/// The relations whose pages are read, and those that are left out, with the reason.
pub fn relations(connection: &impl Connection) -> Result<(Vec<Relation>, Vec<String>), Failure> {
    // The file of a relation that is dropped meanwhile has no name any more.
    let rows = connection.query(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, c.oid::bigint AS oid, c.relkind::text AS kind,
                i.indrelid::bigint AS table_oid, coalesce(a.amname = 'btree', false) AS btree,
                coalesce(i.indisvalid AND i.indpred IS NULL, false) AS every_row,
                c.relpersistence = 'u' AS unlogged, f.path AS file,
                pg_catalog.pg_relation_size(c.oid) AS bytes,
                pg_catalog.pg_relation_size(c.oid, 'vm') AS map_bytes,
                (pg_catalog.pg_stat_file(f.path, true)).size IS NULL AS lost
           FROM pg_catalog.pg_class AS c
           JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
           LEFT JOIN pg_catalog.pg_am AS a ON a.oid = c.relam
           LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
           JOIN LATERAL pg_catalog.pg_relation_filepath(c.oid) AS f(path) ON f.path IS NOT NULL
          WHERE c.relkind IN ('r', 'm', 't', 'S', 'i') AND c.relpersistence <> 't'
          ORDER BY 1",
        &[],
    )?;
    let (mut read, mut left_out) = (Vec::new(), Vec::new());
    for row in rows.iter() {
        let name: String = row.get("name")?;
        if row.get("unlogged")? {
            left_out.push(format!("{name} is unlogged: it is in no backup and in no WAL"));
            continue;
        }
        let kind: String = row.get("kind")?;
        let bytes: Option<u64> = row.get("bytes")?;
        let table: Option<i64> = row.get("table_oid")?;
        let (is_btree, has_every_row) = (row.get("btree")?, row.get("every_row")?);
        let relation = Relation {
            name,
            oid: row.get("oid")?,
            of: table.map(|table| IndexOf { table, is_btree, has_every_row }),
            kind: RelationKind::of(&kind),
            file: row.get("file")?,
            bytes: bytes.unwrap_or(0),
            is_lost: row.get("lost")?,
        };
        let map_bytes: Option<u64> = row.get("map_bytes")?;
        let map = map_bytes.filter(|bytes| *bytes > 0).map(|bytes| Relation {
            oid: 0,
            kind: RelationKind::Map,
            file: format!("{}_vm", relation.file),
            bytes,
            is_lost: false,
            ..relation.clone()
        });
        read.push(relation);
        read.extend(map);
    }
    Ok((read, left_out))
}

/// The name of a relation as the server writes it, where there is one of these kinds under the name.
pub fn named(connection: &impl Connection, name: &str, kinds: &[&str]) -> Result<Option<String>, Failure> {
    let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
    let found = connection.query(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
           FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          WHERE c.oid = pg_catalog.to_regclass($1::text) AND c.relkind::text = ANY ($2::text[])",
        &[Value::from(name), Value::from(kinds)],
    )?;
    found.first().map(|row| row.get("name")).transpose()
}
