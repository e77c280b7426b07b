//! Counts and hashes of what tables hold, in buckets of their keys, so that a difference says where it is.
//!
//! A hash is a sum over 64 bits of each row: the order of the rows does not matter. What is hashed are values as they go over the wire in
//! binary, so that both sides give the same whatever their settings are.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, Runtime, postgres::Row};
use serde::{Deserialize, Serialize};

use crate::server::{
    databases::told,
    identifier::{TableName, quote_identifier},
};

/// So many buckets has a table whose primary key begins with a whole number.
const BUCKETS: i64 = 64;
/// Whoever changes a table's form waits behind nobody for longer because of a seal.
const LOCK_TIMEOUT: &str = "5s";
/// So many tables are named in one statement.
const LOCKED_AT_ONCE: usize = 100;
/// The buckets of all tables together, so that a seal stays a small file.
const BUCKETS_OF_ALL: i64 = 64_000;

/// A table of a seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// By what its rows are dealt out to buckets; one bucket holds them all where there is no such key.
    pub key: Option<BucketKey>,
    /// Those with rows, by number.
    pub buckets: Vec<Bucket>,
}

/// How rows are dealt out to buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketKey {
    /// The first column of the primary key.
    pub column: String,
    /// Where bucket 0 begins.
    pub low: i64,
    /// How many keys a bucket has.
    pub width: i64,
}

/// Rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// Its number.
    pub number: i64,
    /// How many rows it has.
    pub rows: u64,
    /// The sum over 64 bits of the digest of each row.
    pub hash: String,
}

/// A table as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FoundTable {
    table: TableName,
    columns: Vec<String>,
    /// Columns of types without a binary form.
    as_text: Vec<String>,
    key: Option<String>,
    left_out: Option<String>,
}

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// By name.
    pub tables: Vec<SealedTable>,
    /// What was not, and why.
    pub left_out: Vec<String>,
}

impl SealedTable {
    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.rows).sum()
    }

    /// Its name.
    pub fn table(&self) -> TableName {
        TableName { schema: self.schema.clone(), name: self.name.clone() }
    }

    /// What differs in another measurement of it, in words; empty where they are alike.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let by_number = |table: &Self| -> BTreeMap<i64, Bucket> {
            table.buckets.iter().map(|bucket| (bucket.number, bucket.clone())).collect()
        };
        let (then, now) = (by_number(self), by_number(now));
        let mut numbers: Vec<i64> = then.keys().chain(now.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let rows = |bucket: Option<&Bucket>| bucket.map_or(0, |bucket| bucket.rows);
        let differ = |number: &i64| {
            let (was, is) = (then.get(number), now.get(number));
            let what = match (rows(was), rows(is)) {
                _ if was == is => return None,
                (was, is) if was == is => format!("{is} rows, as sealed, with other content"),
                (was, is) => format!("{is} rows instead of {was}"),
            };
            Some(format!("{}{what}", self.place(*number)))
        };
        numbers.iter().filter_map(differ).collect()
    }

    /// The buckets whose keys are all below a number, and the first key behind them; none where no such bucket has rows.
    fn below(&self, below: i64) -> Option<(Self, i64)> {
        let key = self.key.as_ref()?;
        let end = |number: i64| number.saturating_add(1).saturating_mul(key.width).saturating_add(key.low);
        let cold: Vec<Bucket> = self.buckets.iter().filter(|bucket| end(bucket.number) <= below).cloned().collect();
        let last = cold.last()?.number;
        Some((Self { buckets: cold, ..self.clone() }, end(last)))
    }

    /// Which keys a bucket has.
    fn place(&self, number: i64) -> String {
        let Some(BucketKey { column, low, width }) = &self.key else { return String::new() };
        let from = number.saturating_mul(*width).saturating_add(*low);
        format!("{column} {from} to {}: ", from.saturating_add(width - 1))
    }
}

/// The tables that a backup holds with all of their rows; those whose rows it does not hold, or the login may not read, with the reason.
fn tables(connection: &impl Connection) -> Result<Vec<FoundTable>, Failure> {
    let rows = connection.query(
        "SELECT n.nspname::text AS schema, c.relname::text AS name,
                CASE WHEN c.relpersistence = 'u' THEN 'is unlogged'
                     WHEN c.relkind = 'm' THEN 'is a materialized view'
                     WHEN NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN 'may not be read by the login' END AS left_out,
                ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
                ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
                        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
                        LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype
                        LEFT JOIN pg_catalog.pg_type AS e ON e.oid = coalesce(nullif(t.typelem, 0), b.typelem)
                       WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                         AND 0 IN (t.typsend::oid, b.typsend::oid, e.typsend::oid)) AS as_text,
                (SELECT a.attname::text FROM pg_catalog.pg_index AS i
                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                  WHERE i.indrelid = c.oid AND i.indisprimary
                    AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)) AS key
           FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          WHERE (c.relkind IN ('r', 'm') AND c.relpersistence <> 't'
                 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast'))
             OR (c.oid = 'pg_catalog.pg_largeobject'::regclass AND EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata))
          ORDER BY 1, 2",
        &[],
    )?;
    rows.iter().map(|row| FoundTable::of(&row)).collect()
}

impl FoundTable {
    fn of(row: &Row<'_>) -> Result<Self, Failure> {
        Ok(Self {
            table: TableName { schema: row.get("schema")?, name: row.get("name")? },
            columns: row.get("columns")?,
            as_text: row.get("as_text")?,
            key: row.get("key")?,
            left_out: row.get("left_out")?,
        })
    }

    /// For people.
    fn plain(&self) -> String {
        self.table.plain()
    }

    /// `below`: only rows whose key is smaller.
    fn buckets(&self, key: Option<&BucketKey>, below: Option<i64>) -> String {
        let column = |name: &String| {
            let text = if self.as_text.contains(name) { "::text" } else { "" };
            format!("lifeboat_row.{}{text}", quote_identifier(name))
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        let number = key.map_or("0".to_owned(), |BucketKey { column, low, width }| {
            // Rounded down also below the first bucket.
            let column = quote_identifier(column);
            format!("floor((lifeboat_row.{column}::numeric - ({low})) / {width})")
        });
        let limit = key.zip(below).map_or(String::new(), |(key, below)| {
            format!(" WHERE lifeboat_row.{} < {below}", quote_identifier(&key.column))
        });
        format!(
            "SELECT ({number})::bigint AS number, count(*)::bigint AS rows,
                    sum(('x' || encode(substr(sha256(record_send(ROW({}))), 1, 8), 'hex'))::bit(64)::bigint)::text AS hash
               FROM ONLY {} AS lifeboat_row{limit} GROUP BY 1 ORDER BY 1",
            columns.join(", "),
            self.table.sql()
        )
    }

    /// The keys that there are, dealt out to so many buckets; none of a table without such a key or without rows.
    fn key(&self, connection: &impl Connection, buckets: i64) -> Result<Option<BucketKey>, Failure> {
        let Some(column) = &self.key else { return Ok(None) };
        let name = quote_identifier(column);
        let sql =
            format!("SELECT min({name})::bigint AS low, max({name})::bigint AS high FROM ONLY {}", self.table.sql());
        let rows = connection.query(&sql, &[])?;
        let ends: (Option<i64>, Option<i64>) = (rows.one()?.get("low")?, rows.one()?.get("high")?);
        let (Some(low), Some(high)) = ends else { return Ok(None) };
        // Keys over more than half of all numbers are in one bucket.
        let width = high.checked_sub(low).map(|length| length / buckets + 1);
        Ok(width.map(|width| BucketKey { column: column.clone(), low, width }))
    }

    fn measure(&self, connection: &impl Connection, key: Option<BucketKey>) -> Result<SealedTable, Failure> {
        self.measure_below(connection, key, None)
    }

    fn measure_below(
        &self,
        connection: &impl Connection,
        key: Option<BucketKey>,
        below: Option<i64>,
    ) -> Result<SealedTable, Failure> {
        let rows = connection.query(&self.buckets(key.as_ref(), below), &[])?;
        let bucket =
            |row: Row<'_>| Ok(Bucket { number: row.get("number")?, rows: row.get("rows")?, hash: row.get("hash")? });
        let buckets = rows.iter().map(bucket).collect::<Result<_, Failure>>()?;
        let TableName { schema, name } = self.table.clone();
        Ok(SealedTable { schema, name, key, buckets })
    }
}

/// Keeps every table that is measured from being emptied or rewritten until the transaction ends: both are done for every snapshot at once,
/// also for older ones. Reads and writes go on. No snapshot is taken for it, so that it comes before the first one.
pub fn lock(listed: &impl Connection, transaction: &impl Connection) -> Result<(), Failure> {
    transaction.execute(&format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"), &[])?;
    let found = tables(listed)?;
    let names: Vec<String> = found
        .iter()
        .filter(|found| found.left_out.is_none() && found.table.schema != "pg_catalog")
        .map(|found| format!("ONLY {}", found.table.sql()))
        .collect();
    for some in names.chunks(LOCKED_AT_ONCE) {
        transaction.execute(&format!("LOCK TABLE {} IN ACCESS SHARE MODE", some.join(", ")), &[])?;
    }
    Ok(())
}

/// Measures every table. Fails where one cannot be read: a seal that leaves it out would hide that.
pub fn all(caps: &impl Runtime, connection: &impl Connection) -> Result<Measured, Failure> {
    let found = tables(connection)?;
    let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
    let buckets = (BUCKETS_OF_ALL / count.max(1)).clamp(1, BUCKETS);
    let mut measured = Measured::default();
    for (number, table) in (0..).zip(&found) {
        caps.progress(number, u64::try_from(count).ok(), "tables", &table.plain());
        if let Some(why) = &table.left_out {
            measured.left_out.push(format!("{} {why}", table.plain()));
            continue;
        }
        let sealed = table.key(connection, buckets).and_then(|key| table.measure(connection, key));
        measured.tables.push(sealed.map_err(|failure| unreadable(&table.plain(), failure))?);
    }
    Ok(measured)
}

fn unreadable(table: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Permanent(reason) => {
            Failure::permanent("pg-read-failed", format!("{table} cannot be read: {}", reason.message))
        }
        other => other,
    }
}

/// Measures again what a seal has, and tells each difference by table and bucket.
pub fn differences(
    caps: &impl Runtime,
    connection: &impl Connection,
    sealed: &[SealedTable],
) -> Result<Vec<String>, Failure> {
    let found: BTreeMap<TableName, FoundTable> =
        tables(connection)?.into_iter().map(|found| (found.table.clone(), found)).collect();
    let mut differences = Vec::new();
    for (number, table) in (0..).zip(sealed) {
        let name = table.table().plain();
        caps.progress(number, u64::try_from(sealed.len()).ok(), "tables", &name);
        let Some(now) = found.get(&table.table()) else {
            differences.push(format!("{name} is not there"));
            continue;
        };
        match told(now.measure(connection, table.key.clone()))? {
            Ok(now) => differences.extend(table.differences(&now).into_iter().map(|what| format!("{name}: {what}"))),
            Err(why) => differences.push(format!("{name} cannot be read: {why}")),
        }
    }
    let known: Vec<TableName> = sealed.iter().map(SealedTable::table).collect();
    let others = found.values().filter(|found| found.left_out.is_none() && !known.contains(&found.table));
    differences.extend(others.map(|other| format!("{} is there, and is not in the seal", other.plain())));
    Ok(differences)
}

/// Measures again the sealed buckets whose keys are all below a number, of rows that by policy never change. Fails with `pg-not-cold` where
/// the seal says nothing about them: that would look clean for ever.
pub fn cold_differences(
    connection: &impl Connection,
    sealed: &[SealedTable],
    table: &str,
    below: i64,
) -> Result<Vec<String>, Failure> {
    let unknown = |why: String| Failure::invalid_input("pg-not-cold", format!("the cold rows of {table}: {why}"));
    let then = sealed.iter().find(|sealed| sealed.table().plain() == table);
    let then = then.ok_or_else(|| unknown("the seal has no table of that name".to_owned()))?;
    let (cold, end) = then.below(below).ok_or_else(|| {
        unknown(format!(
            "no bucket of the seal has rows with keys below {below} alone; how wide one is depends on the table"
        ))
    })?;
    let found = tables(connection)?.into_iter().find(|found| found.table == then.table());
    let Some(found) = found else { return Ok(vec![format!("{table} is not there")]) };
    Ok(match told(found.measure_below(connection, cold.key.clone(), Some(end)))? {
        Ok(now) => cold.differences(&now).into_iter().map(|what| format!("{table}: cold rows, {what}")).collect(),
        Err(why) => vec![format!("{table} cannot be read: {why}")],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(key: Option<(i64, i64)>, buckets: &[(i64, u64, &str)]) -> SealedTable {
        SealedTable {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            key: key.map(|(low, width)| BucketKey { column: "id".to_owned(), low, width }),
            buckets: buckets
                .iter()
                .map(|(number, rows, hash)| Bucket { number: *number, rows: *rows, hash: (*hash).to_owned() })
                .collect(),
        }
    }

    #[test]
    fn a_difference_says_where_it_is() {
        let sealed = table(Some((1, 10)), &[(0, 10, "5"), (1, 10, "7"), (3, 2, "1")]);
        let check = |now: &[(i64, u64, &str)], expect: &[&str]| {
            assert_eq!(sealed.differences(&table(Some((1, 10)), now)), expect, "{now:?}");
        };
        check(&[(0, 10, "5"), (1, 10, "7"), (3, 2, "1")], &[]);
        check(&[(0, 9, "4"), (1, 10, "7"), (3, 2, "1")], &["id 1 to 10: 9 rows instead of 10"]);
        check(
            &[(0, 10, "5"), (1, 10, "8"), (2, 1, "0")],
            &[
                "id 11 to 20: 10 rows, as sealed, with other content",
                "id 21 to 30: 1 rows instead of 0",
                "id 31 to 40: 0 rows instead of 2",
            ],
        );
        let whole = table(None, &[(0, 3, "1")]);
        assert_eq!(whole.differences(&table(None, &[])), ["0 rows instead of 3"]);
    }

    #[test]
    fn only_whole_buckets_are_cold() {
        let sealed = table(Some((1, 10)), &[(0, 10, "5"), (1, 10, "7"), (3, 2, "1")]);
        let cold = |below: i64| sealed.below(below).map(|(cold, end)| (cold.buckets.len(), end));
        assert_eq!([cold(10), cold(11), cold(30), cold(100)], [None, Some((1, 11)), Some((2, 21)), Some((3, 41))]);
        assert_eq!(table(None, &[(0, 3, "1")]).below(100), None);
    }

    #[test]
    fn what_has_no_binary_form_is_hashed_as_text() {
        let found = FoundTable {
            table: TableName { schema: "public".to_owned(), name: "Odd".to_owned() },
            columns: vec!["id".to_owned(), "rights".to_owned()],
            as_text: vec!["rights".to_owned()],
            key: Some("id".to_owned()),
            left_out: None,
        };
        let key = BucketKey { column: "id".to_owned(), low: -5, width: 3 };
        let sql = found.buckets(Some(&key), None);
        assert!(sql.contains(r#"record_send(ROW(lifeboat_row."id", lifeboat_row."rights"::text))"#), "{sql}");
        assert!(sql.contains(r#"floor((lifeboat_row."id"::numeric - (-5)) / 3)"#), "{sql}");
        assert!(sql.contains(r#"FROM ONLY "public"."Odd" AS lifeboat_row"#), "{sql}");
    }
}
