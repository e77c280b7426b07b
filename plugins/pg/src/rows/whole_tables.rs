//! Tables that were emptied: every row that the copy has of them is a row of the set, and their sequences were perhaps set back.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{exact_set::ExactSet, left},
    server::identifier::TableName,
};

/// Pages that are asked for at once: at most 291 rows each, and the host hands over 100,000 rows at most.
const PAGES_AT_ONCE: u32 = 300;

/// Adds the places of all their rows to the set.
pub fn fill(copy: &impl Connection, set: &mut ExactSet) -> Result<(), Failure> {
    for table in &set.emptied {
        let tuples = set.tables.entry(table.clone()).or_default();
        let pages = pages(copy, table)?;
        let sql = format!(
            "SELECT ctid::text AS place FROM ONLY {} WHERE ctid >= $1::text::tid AND ctid < $2::text::tid",
            table.sql()
        );
        for first in (0..pages).step_by(PAGES_AT_ONCE as usize) {
            let bounds = [first, first.saturating_add(PAGES_AT_ONCE)].map(|page| Value::from(format!("({page},0)")));
            for row in copy.query(&sql, &bounds)?.iter() {
                if let Some((block, offset)) = left::place(&row.get::<String>("place")?) {
                    tuples.insert(block, offset);
                }
            }
        }
    }
    Ok(())
}

fn pages(copy: &impl Connection, table: &TableName) -> Result<u32, Failure> {
    let rows = copy.query(
        "SELECT (pg_relation_size(to_regclass($1::text)) / current_setting('block_size')::bigint)::bigint AS pages",
        &[Value::from(table.sql())],
    )?;
    rows.one()?.get::<Option<u32>>("pages")?.ok_or_else(|| {
        let message = format!("the copy has no table {}: it was renamed or made since", table.plain());
        Failure::permanent("pg-no-table", message)
    })
}

/// Sequences that a table, or one that it is a partition of, draws from: `TRUNCATE … RESTART IDENTITY` sets them back.
const SEQUENCES: &str = "SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(s.relname) AS name
   FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    AND d.refobjid IN (SELECT to_regclass($1::text) UNION SELECT relid FROM pg_partition_ancestors(to_regclass($1::text)))
  ORDER BY 1";

/// Moves each sequence of a table that was emptied forward to where it stood before, never back: numbers that had been given out
/// may be known elsewhere. Returns which moved.
pub fn advance_sequences(
    primary: &impl Connection,
    copy: &impl Connection,
    table: &TableName,
) -> Result<Vec<String>, Failure> {
    let mut moved = Vec::new();
    for row in primary.query(SEQUENCES, &[Value::from(table.sql())])?.iter() {
        let name: String = row.get("name")?;
        let last = "SELECT pg_sequence_last_value(to_regclass($1::text)) AS value";
        let rows = copy.query(last, &[Value::from(name.as_str())])?;
        let Some(value) = rows.one()?.get::<Option<i64>>("value")? else { continue };
        let set = "SELECT q.seqrelid::regclass::text AS sequence, setval(q.seqrelid::regclass, $2::bigint) AS value FROM pg_sequence AS q
                    WHERE q.seqrelid = to_regclass($1::text) AND q.seqincrement > 0 AND $2::bigint BETWEEN q.seqmin AND q.seqmax
                      AND $2::bigint > coalesce(pg_sequence_last_value(q.seqrelid), q.seqmin - 1)";
        for row in primary.query(set, &[Value::from(name.as_str()), Value::from(value)])?.iter() {
            let (sequence, value): (String, i64) = (row.get("sequence")?, row.get("value")?);
            moved.push(format!("{sequence} to {value}"));
        }
    }
    Ok(moved)
}
