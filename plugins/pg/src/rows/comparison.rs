//! Compares the rows of a set with the server: by key, and by content if the key exists.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{
    Connection, Failure,
    postgres::{Rows, Value},
};

use crate::{
    rows::{content, exact_set::Tuples, key_texts::KeyTexts, left, parents::Parents, preparation::Matched},
    server::{Capabilities, identifier::TableName},
};

const ROWS_AT_ONCE: usize = 10_000;
/// What a statement is given for no rows at all.
const NO_PLACES: &str = "{}";
/// Rows of one table of which both versions are shown.
const EXAMPLES: usize = 5;

/// The state of the rows of one table, by place in the copy.
#[derive(Debug, Default)]
pub struct Compared {
    /// Rows of the set.
    pub removed: u64,
    /// Those that the copy has.
    pub found: u64,
    /// There with the same content.
    pub back: u64,
    /// There with other content.
    pub differ: Tuples,
    /// Of these, those that the server had before the horizon.
    pub differ_before: Tuples,
    /// Not there.
    pub missing: Tuples,
    /// Of these, those whose parent neither is there nor comes back.
    pub orphans: Tuples,
    /// Both versions of a few, for a person.
    pub examples: Vec<String>,
}

impl Compared {
    /// Rows whose key is there.
    fn there(&self) -> u64 {
        self.back + self.differ.len()
    }
}

/// A comparison under way.
pub struct Comparison<'a, C: Capabilities> {
    /// Tells progress.
    pub caps: &'a C,
    /// The server.
    pub primary: &'a C::Connection,
    /// The copy.
    pub copy: &'a C::Connection,
    /// What was written by an earlier transaction counts as there before; all, unless given.
    pub horizon: Option<u64>,
    /// Rows compared so far.
    pub done: u64,
    /// Rows in all.
    pub total: u64,
}

impl<C: Capabilities> Comparison<'_, C> {
    /// Compares the tables of a set, parents first.
    pub fn all(
        &mut self,
        tables: &[Matched],
        set: &BTreeMap<TableName, Tuples>,
    ) -> Result<Vec<(TableName, Compared)>, Failure> {
        let mut parents = Parents::new(self.primary, self.copy, tables, set);
        let mut results = Vec::new();
        for matched in tables {
            let name = &matched.now.name;
            let Some(tuples) = set.get(name) else { continue };
            let mut compared = self.table(matched, tuples)?;
            compared.orphans = parents.orphans(matched, &compared.missing)?;
            results.push((name.clone(), compared));
        }
        Ok(results)
    }

    /// Compares rows of one table; says nothing of their parents.
    pub fn table(&mut self, matched: &Matched, tuples: &Tuples) -> Result<Compared, Failure> {
        let mut compared = Compared { removed: tuples.len(), ..Compared::default() };
        let statements = Statements::of(matched);
        let mut mostly_there = false;
        for (places, count) in tuples.batches(ROWS_AT_ONCE) {
            // Content costs more than keys, and is needed only where a key is there: mostly nowhere, or everywhere.
            let places = if mostly_there { places } else { self.there(&statements, &places, &mut compared)? };
            let before = compared.there();
            if places != NO_PLACES {
                let rows = self.copy.query(&statements.fetch, &[Value::from(places)])?;
                self.look_up(&statements, &rows, &mut compared)?;
            }
            mostly_there = (compared.there() - before) * 2 > count;
            self.done += count;
            self.caps.progress(self.done, Some(self.total), "rows", "comparing rows");
        }
        compared.examples = self.examples(matched, &statements, &compared.differ)?;
        Ok(compared)
    }

    /// The places of those rows whose key is there; the others are missing.
    fn there(&self, statements: &Statements, places: &str, compared: &mut Compared) -> Result<String, Failure> {
        let rows = self.copy.query(&statements.keys, &[Value::from(places)])?;
        let names: Vec<_> = (1..=statements.key).map(|at| format!("k{at}")).collect();
        let answer = self.primary.query(&statements.present, &columns(&rows, &names)?)?;
        let numbers: Vec<String> = answer.one()?.get("present")?;
        let present: BTreeSet<usize> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
        let mut there = Tuples::default();
        for (number, row) in (1..).zip(rows.iter()) {
            let Some((block, offset)) = left::place(&row.get::<String>("place")?) else { continue };
            if present.contains(&number) {
                there.insert(block, offset);
            } else {
                compared.found += 1;
                compared.missing.insert(block, offset);
            }
        }
        Ok(there.batches(usize::MAX).next().map_or_else(|| NO_PLACES.to_owned(), |(places, _)| places))
    }

    fn look_up(&self, statements: &Statements, rows: &Rows, compared: &mut Compared) -> Result<(), Failure> {
        let places: Vec<String> = rows.iter().map(|row| row.get("place")).collect::<Result<_, _>>()?;
        let mut parameters = statements.columns(rows)?;
        parameters.push(Value::from(self.horizon.map_or_else(String::new, |xid| (xid & 0xFFFF_FFFF).to_string())));
        let answer = self.primary.query(&statements.look_up, &parameters)?;
        let row = answer.one()?;
        compared.found += places.len() as u64;
        compared.back += row.get::<u64>("same")?;
        for (column, tuples) in [
            ("differ", &mut compared.differ),
            ("differ_before", &mut compared.differ_before),
            ("missing", &mut compared.missing),
        ] {
            for number in row.get::<Vec<String>>(column)? {
                let place = number.parse::<usize>().ok().and_then(|number| places.get(number - 1));
                if let Some((block, offset)) = place.and_then(|place| left::place(place)) {
                    tuples.insert(block, offset);
                }
            }
        }
        Ok(())
    }

    fn examples(&self, matched: &Matched, statements: &Statements, differ: &Tuples) -> Result<Vec<String>, Failure> {
        let few: Tuples = differ.iter().take(EXAMPLES).collect();
        let (columns, table) = (matched.now.written(), matched.now.name.plain());
        let mut examples = Vec::new();
        for (places, _) in few.batches(EXAMPLES) {
            for then in self.copy.query(&statements.then, &[Value::from(places)])?.iter() {
                let key: Vec<String> =
                    (1..=matched.now.key.len()).map(|at| then.get(&format!("k{at}"))).collect::<Result<_, _>>()?;
                let parameters: Vec<_> = key.iter().cloned().map(Value::from).collect();
                let now = self.primary.query(&statements.now, &parameters)?;
                let Some(now) = now.first() else { continue };
                let difference = content::difference(
                    &columns,
                    &then.get::<Vec<String>>("shown")?,
                    &now.get::<Vec<String>>("shown")?,
                );
                examples.push(format!("{table} ({}): {difference}", content::clean(&key.join(", "))));
            }
        }
        Ok(examples)
    }
}

/// What is asked of the copy and of the server for one table.
struct Statements {
    keys: String,
    present: String,
    fetch: String,
    look_up: String,
    then: String,
    now: String,
    key: usize,
}

impl Statements {
    /// The limit has each key looked up in the index; joined as a whole, the server may read all of the table for every batch.
    fn of(matched: &Matched) -> Self {
        let table = &matched.now;
        let (now, then) = (table.name.sql(), matched.then.sql());
        let KeyTexts { texts, arrays, names, equal, one } = KeyTexts::of(matched);
        let key = table.key.len();
        let (digest_at, horizon_at) = (key + 1, key + 2);
        let (sources, values) = (content::sources(matched), content::values(table, "t"));
        let at = "WHERE ctid = ANY ($1::text::tid[])";
        let look_up = format!(
            "SELECT count(*) FILTER (WHERE f.now = f.digest) AS same,
                    coalesce(array_agg(f.n::text) FILTER (WHERE f.now <> f.digest), '{{}}') AS differ,
                    coalesce(array_agg(f.n::text) FILTER (WHERE f.now <> f.digest AND f.before), '{{}}') AS differ_before,
                    coalesce(array_agg(f.n::text) FILTER (WHERE f.now IS NULL), '{{}}') AS missing
               FROM (SELECT k.n, k.digest, t.digest AS now, t.before
                       FROM unnest({arrays}, ${digest_at}::text[]) WITH ORDINALITY AS k ({names}, digest, n)
                       LEFT JOIN LATERAL (
                            SELECT {digest} AS digest,
                                   CASE ${horizon_at}::text WHEN '' THEN true ELSE age(t.xmin) > age(${horizon_at}::text::xid) END AS before
                              FROM ONLY {now} AS t WHERE {equal} LIMIT 1) AS t ON true) AS f",
            digest = content::digest(&values),
        );
        Self {
            keys: format!("SELECT {texts}, ctid::text AS place FROM ONLY {then} {at}"),
            present: format!(
                "SELECT coalesce(array_agg(k.n::text), '{{}}') AS present
                   FROM unnest({arrays}) WITH ORDINALITY AS k ({names}, n) CROSS JOIN LATERAL (
                        SELECT FROM ONLY {now} AS t WHERE {equal} LIMIT 1) AS t"
            ),
            fetch: format!(
                "SELECT {texts}, {} AS digest, ctid::text AS place FROM ONLY {then} {at}",
                content::digest(&sources)
            ),
            look_up,
            then: format!("SELECT {texts}, {} AS shown FROM ONLY {then} {at} ORDER BY ctid", content::shown(&sources)),
            now: format!("SELECT {} AS shown FROM ONLY {now} AS t WHERE {one} LIMIT 1", content::shown(&values)),
            key,
        }
    }

    /// Rows as one array of texts for each column of the key, and one of digests.
    fn columns(&self, rows: &Rows) -> Result<Vec<Value>, Failure> {
        let names: Vec<_> = (1..=self.key).map(|at| format!("k{at}")).chain(["digest".to_owned()]).collect();
        columns(rows, &names)
    }
}

/// These columns of the rows as arrays of texts.
pub fn columns(rows: &Rows, names: &[String]) -> Result<Vec<Value>, Failure> {
    let mut columns = vec![Vec::with_capacity(rows.len()); names.len()];
    for row in rows.iter() {
        for (name, column) in names.iter().zip(&mut columns) {
            column.push(row.get::<String>(name)?);
        }
    }
    Ok(columns.into_iter().map(Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::relation::{Column, Table};

    #[test]
    fn keys_are_compared_with_their_own_types() {
        let column = |number: i64, name: &str, ty: &str| Column {
            name: name.to_owned(),
            number,
            ty: ty.to_owned(),
            base: None,
            generated: false,
            required: false,
            always: false,
            sequence: None,
        };
        let name = |name: &str| TableName { schema: "public".to_owned(), name: name.to_owned() };
        let now = Table {
            name: name("Line items"),
            columns: vec![column(1, "order_id", "bigint"), column(2, "no", "smallint"), column(3, "note", "text")],
            key: vec!["order_id".to_owned(), "no".to_owned()],
            ..Table::default()
        };
        let sources = now.written().into_iter().map(|name| (name.clone(), format!("\"old {name}\""))).collect();
        let matched = Matched { then: name("lines"), sources, added: vec![], dropped: vec![], now };
        let statements = Statements::of(&matched);
        let Statements { keys, present, fetch, look_up, then, now, .. } = statements;
        insta::assert_snapshot!([keys, present, fetch, look_up, then, now].join(";\n"));
    }
}
