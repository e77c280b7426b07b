//! How many values of each column look random, and which ones.

use lifeboat_plugin::{Connection, Failure, Runtime, postgres::Row};
use serde::{Deserialize, Serialize};

use super::randomness::{SHORTEST, looks_random};
use crate::server::identifier::{TableName, quote_identifier};

/// So much of a value is looked at.
const LOOKED_AT: usize = 1_024;
/// So many pages of a table are read in one statement: their rows fit into one answer.
const PAGES_AT_ONCE: u64 = 400;

/// A column whose values can hold ciphertext.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueColumn {
    /// The schema of its table.
    pub schema: String,
    /// The name of its table.
    pub table: String,
    /// Its name.
    pub column: String,
    /// Whether it holds bytes, and not text.
    pub bytes: bool,
}

/// How many of its values look random.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomShare {
    /// The column.
    #[serde(flatten)]
    pub column: ValueColumn,
    /// Its rows.
    pub rows: u64,
    /// Those whose value looks random.
    pub random: u64,
}

/// A row with a value that looks random.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomValue {
    /// The value of the primary key, as text.
    pub key: String,
    /// The transaction that wrote this version of the row.
    pub writer: u32,
}

const COLUMNS: &str = "
SELECT n.nspname::text AS schema, c.relname::text AS name, a.attname::text AS column, t.oid = 'pg_catalog.bytea'::pg_catalog.regtype AS bytes
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
   AND t.oid IN ('pg_catalog.text'::pg_catalog.regtype, 'pg_catalog.varchar'::pg_catalog.regtype, 'pg_catalog.bpchar'::pg_catalog.regtype,
                 'pg_catalog.bytea'::pg_catalog.regtype)
   AND a.attgenerated = '' AND pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
 ORDER BY 1, 2, a.attnum";

/// The columns whose values can hold ciphertext.
pub fn columns(connection: &impl Connection) -> Result<Vec<ValueColumn>, Failure> {
    let rows = connection.query(COLUMNS, &[])?;
    let column = |row: Row<'_>| {
        Ok(ValueColumn {
            schema: row.get("schema")?,
            table: row.get("name")?,
            column: row.get("column")?,
            bytes: row.get("bytes")?,
        })
    };
    rows.iter().map(column).collect()
}

/// The share of every column.
pub fn shares(caps: &impl Runtime, connection: &impl Connection) -> Result<Vec<RandomShare>, Failure> {
    let columns = columns(connection)?;
    let total = u64::try_from(columns.len()).ok();
    let mut shares = Vec::new();
    for (number, column) in (0..).zip(columns) {
        caps.progress(number, total, "columns", &column.plain());
        let sql = format!("SELECT count(*)::bigint AS rows FROM ONLY {}", column.table().sql());
        let rows = connection.query(&sql, &[])?.one()?.get("rows")?;
        let mut random = 0;
        column.candidates(connection, "''::text", |_, value| random += u64::from(looks_random(value)))?;
        shares.push(RandomShare { column, rows, random });
    }
    Ok(shares)
}

impl ValueColumn {
    /// Its table.
    pub fn table(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.table.clone() }
    }

    /// For people.
    pub fn plain(&self) -> String {
        format!("{}.{}", self.table().plain(), self.column)
    }

    /// The rows whose value looks random, by the value of this key column.
    pub fn random_values(&self, connection: &impl Connection, key: &str) -> Result<Vec<RandomValue>, Failure> {
        let mut found = Vec::new();
        let mut odd = None;
        self.candidates(connection, &format!("{}::text", quote_identifier(key)), |row, value| {
            if !looks_random(value) {
                return;
            }
            match (row.get("key"), row.get("writer")) {
                (Ok(key), Ok(writer)) => found.push(RandomValue { key, writer }),
                (Err(failure), _) | (_, Err(failure)) => odd = Some(failure),
            }
        })?;
        odd.map_or(Ok(found), Err)
    }

    /// Reads every value that is long enough, and written in an alphabet in which random bytes can be told.
    fn candidates(
        &self,
        connection: &impl Connection,
        key: &str,
        mut take: impl FnMut(&Row<'_>, &[u8]),
    ) -> Result<(), Failure> {
        let (table, name) = (self.table().sql(), quote_identifier(&self.column));
        let value = match self.bytes {
            true => format!("substr({name}, 1, {LOOKED_AT})"),
            false => format!("convert_to(left({name}, {LOOKED_AT}), 'UTF8')"),
        };
        let in_alphabet = match self.bytes {
            true => String::new(),
            false => format!(r"AND left({name}, {LOOKED_AT}) ~ '^[A-Za-z0-9+/=_\r\n\t-]+$'"),
        };
        let sql = format!("SELECT pg_relation_size('{}'::regclass)::bigint AS bytes", table.replace('\'', "''"));
        let bytes: u64 = connection.query(&sql, &[])?.one()?.get("bytes")?;
        let pages = bytes.div_ceil(8_192);
        let mut from = 0;
        while from < pages {
            let to = from + PAGES_AT_ONCE;
            let sql = format!(
                "SELECT {key} AS key, xmin::text::bigint AS writer, {value} AS value FROM ONLY {table}
                  WHERE ctid >= '({from},0)'::tid AND ctid < '({to},0)'::tid AND octet_length({name}) >= {SHORTEST} {in_alphabet}"
            );
            for row in connection.query(&sql, &[])?.iter() {
                let value: Vec<u8> = row.get("value")?;
                take(&row, &value);
            }
            from = to;
        }
        Ok(())
    }
}
