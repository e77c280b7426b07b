//! `pg/compare`: how many of the rows that a transaction removed are missing from the server, and how many are there again.

use lifeboat_plugin::{
    Action, Call, Connection, Effect, Failure, Outcome,
    postgres::{Rows, Value},
};
use serde::{Deserialize, Serialize};

use crate::{
    exact_set::{ExactSet, Tuples},
    identifier::{TableName, quote_identifier},
    parameters,
    relation::{self, Table},
    server::Capabilities,
    source::Source,
};

const ROWS_AT_ONCE: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    missing_at_most: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
struct Outputs {
    rows_removed: u64,
    rows_missing: u64,
    rows_present: u64,
    rows_unrecoverable: u64,
    tables: Vec<Compared>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Compared {
    table: String,
    removed: u64,
    missing: u64,
    present: u64,
    unrecoverable: u64,
}

pub(super) fn action() -> Action {
    let action = Action::new(
        "compare",
        Effect::Read,
        "Looks up, by primary key, every row of the exact set: is it in the copy, and is it in the server? Changes nothing.",
    )
    .parameter("server", "target<postgres:read>", "The server that lost the rows.");
    Source::declare(action, "target<machine:read>", "The machine of the copy.")
        .optional("missing_at_most", "int", "Fail where more rows than this are missing.")
        .output("rows_removed", "int", "Rows that the transaction removed.")
        .output("rows_missing", "int", "Those in the copy whose key the server does not have.")
        .output("rows_present", "int", "Those in the copy whose key the server has.")
        .output(
            "rows_unrecoverable",
            "int",
            "Those that the copy does not have either: the transaction had inserted them itself.",
        )
        .output(
            "tables",
            "list<record{table: string, removed: int, missing: int, present: int, unrecoverable: int}>",
            "The same by table.",
        )
        .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let (source, parameters): (Source, Parameters) = parameters::split(call, &Source::NAMES)?;
    let primary = caps.open(&parameters.server)?;
    let (set, copy) = source.open(caps)?;
    let mut outputs = Outputs { rows_removed: set.rows(), ..Outputs::default() };
    let mut progress = Progress { caps, done: 0, total: set.rows() };
    for (name, tuples) in &set.tables {
        let compared = compare(&mut progress, &primary, &copy, name, tuples)?;
        outputs.rows_missing += compared.missing;
        outputs.rows_present += compared.present;
        outputs.rows_unrecoverable += compared.unrecoverable;
        outputs.tables.push(compared);
    }
    judge(&outputs, &set, parameters.missing_at_most)?;
    let summary = format!(
        "of {} removed rows {} are missing, {} are there, {} are lost",
        outputs.rows_removed, outputs.rows_missing, outputs.rows_present, outputs.rows_unrecoverable
    );
    Outcome::new(outputs, summary)
}

fn judge(outputs: &Outputs, set: &ExactSet, missing_at_most: Option<u64>) -> Result<(), Failure> {
    match missing_at_most {
        Some(limit) if outputs.rows_missing > limit => {
            let tables: Vec<_> =
                outputs.tables.iter().map(|it| format!("{} of {} in {}", it.missing, it.removed, it.table)).collect();
            let message = format!(
                "{} rows that transaction {} removed are missing, {limit} were expected: {}",
                outputs.rows_missing,
                set.first(),
                tables.join(", ")
            );
            Err(Failure::permanent("pg-rows-missing", message))
        }
        _ => Ok(()),
    }
}

struct Progress<'a, C> {
    caps: &'a C,
    done: u64,
    total: u64,
}

fn compare<C: Capabilities>(
    progress: &mut Progress<'_, C>,
    primary: &C::Connection,
    copy: &C::Connection,
    name: &TableName,
    tuples: &Tuples,
) -> Result<Compared, Failure> {
    let table = keyed(primary, name)?;
    let (fetch, look_up) = statements(&table);
    let (mut found, mut present) = (0, 0);
    for (places, count) in tuples.batches(ROWS_AT_ONCE) {
        let keys = copy.query(&fetch, &[Value::from(places)])?;
        found += keys.len() as u64;
        let answer = primary.query(&look_up, &columns(&keys, table.key.len())?)?;
        present += u64::try_from(answer.one()?.get::<i64>("present")?).unwrap_or_default();
        progress.done += count;
        progress.caps.progress(progress.done, Some(progress.total), "rows", "comparing by key");
    }
    Ok(Compared {
        table: name.plain(),
        removed: tuples.len(),
        missing: found - present,
        present,
        unrecoverable: tuples.len() - found,
    })
}

/// The table's description; it must still be there and have a primary key.
fn keyed(primary: &impl Connection, name: &TableName) -> Result<Table, Failure> {
    let table = relation::describe(primary, name)?.ok_or_else(|| {
        Failure::permanent("pg-no-table", format!("the server has no table {} any more", name.plain()))
    })?;
    if table.key.is_empty() {
        let message = format!("{} has no primary key, by which rows could be recognised", name.plain());
        return Err(Failure::permanent("pg-no-primary-key", message));
    }
    Ok(table)
}

/// Two statements: keys of the rows at these places (in the copy), and how many of these keys there are (in the server).
/// The limit has each key looked up in the index; joined as a whole, the server may read all of the table for every batch.
fn statements(table: &Table) -> (String, String) {
    let key = |name: &String| table.columns.iter().find(|column| column.name == *name);
    let (mut texts, mut arrays, mut names, mut equal) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (position, name) in (1..).zip(&table.key) {
        let quoted = quote_identifier(name);
        let ty = key(name).map_or("text", |column| column.ty.as_str());
        texts.push(format!("{quoted}::text AS k{position}"));
        arrays.push(format!("${position}::text[]"));
        names.push(format!("k{position}"));
        equal.push(format!("t.{quoted} = k.k{position}::{ty}"));
    }
    let sql = table.name.sql();
    let fetch = format!("SELECT {} FROM ONLY {sql} WHERE ctid = ANY ($1::text::tid[])", texts.join(", "));
    let look_up = format!(
        "SELECT count(*) AS present FROM unnest({}) AS k ({}) CROSS JOIN LATERAL (SELECT FROM ONLY {sql} AS t WHERE {} LIMIT 1) AS found",
        arrays.join(", "),
        names.join(", "),
        equal.join(" AND ")
    );
    (fetch, look_up)
}

/// Rows of texts as one array of texts for each column.
fn columns(rows: &Rows, width: usize) -> Result<Vec<Value>, Failure> {
    let mut columns = vec![Vec::with_capacity(rows.len()); width];
    for row in rows.iter() {
        for (position, column) in (1..).zip(&mut columns) {
            column.push(row.get::<String>(&format!("k{position}"))?);
        }
    }
    Ok(columns.into_iter().map(Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::Column;

    #[test]
    fn keys_are_compared_with_their_own_types() {
        let column = |name: &str, ty: &str| Column {
            name: name.to_owned(),
            ty: ty.to_owned(),
            generated: false,
            sequence: None,
        };
        let table = Table {
            name: TableName { schema: "public".to_owned(), name: "Line items".to_owned() },
            columns: vec![column("order_id", "bigint"), column("no", "smallint"), column("note", "text")],
            key: vec!["order_id".to_owned(), "no".to_owned()],
            references: vec![],
            insert_triggers: vec![],
        };
        let (fetch, look_up) = statements(&table);
        insta::assert_snapshot!(format!("{fetch}\n{look_up}"));
    }
}
