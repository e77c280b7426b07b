//! Values that a change replaced go back, in the transaction of a merge: in each row those columns that still have what the change
//! wrote. What was written since stays, and a row that is gone since stays away.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{
        content,
        exact_set::ExactSet,
        left::Left,
        merge::Merge,
        obstacle::{self, Triggers},
        preparation::{self, Matched},
        relation,
        successors::{self, Successors},
        value_comparison::{ValueComparison, Values},
        value_statements::{PAIRS, REFERENCED, ValueMerge, note_pairs},
    },
    server::{Capabilities, identifier::TableName},
};

const ROWS_AT_ONCE: usize = 20_000;

/// What was done to changed rows, and what is left of the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PutBack {
    /// Rows that got a value back.
    pub rows: u64,
    /// Rows of which something was written since the change.
    pub newer: u64,
    /// Rows that are gone since the change.
    pub gone: u64,
    /// Rows that still have a value that the change wrote, or cannot be looked at.
    pub left: u64,
    /// Examples and reasons, for a person.
    pub examples: Vec<String>,
}

/// The work under way, in the open transaction.
pub struct ValueWork<'a, C: Capabilities> {
    /// Streams rows.
    pub caps: &'a C,
    /// With the open transaction.
    pub primary: &'a C::Connection,
    /// The copy from just before the change.
    pub before: &'a C::Connection,
    /// The copy from just after it.
    pub after: &'a C::Connection,
    /// What user triggers mean.
    pub triggers: Triggers,
    /// Where positions of staging tables go on.
    pub position: usize,
}

/// Fails with everything in the catalog that keeps values of the set from going back.
pub fn check(primary: &impl Connection, set: &ExactSet, triggers: Triggers) -> Result<(), Failure> {
    let superuser = preparation::may_skip_triggers(primary)?;
    let mut obstacles = Vec::new();
    for name in set.became.keys() {
        if let Some((_, table)) = relation::describe(primary, name)? {
            obstacles.extend(obstacle::of_changed_table(&table, triggers, superuser));
        }
    }
    obstacle::refuse(&obstacles)
}

impl<C: Capabilities> ValueWork<'_, C> {
    /// Works through all tables, parents first; notes in `left` what a rule of a table refused.
    pub fn all(&self, set: &ExactSet, left: &mut Left) -> Result<PutBack, Failure> {
        let mut done = PutBack::default();
        self.primary.execute(PAIRS, &[])?;
        for (at, name) in self.order(set)?.iter().enumerate() {
            let Some(rows) = set.became.get(name) else { continue };
            let before = preparation::match_changed(self.primary, self.before, name)?;
            let after = preparation::match_changed(self.primary, self.after, name)?;
            if let (Some((_, before)), Some((_, after))) = (before, after)
                && before.now.written() == after.now.written()
            {
                self.table((&before, &after), self.position + 2 * at, rows, &mut done)?;
            }
        }
        let (caps, primary, before, after) = (self.caps, self.primary, self.before, self.after);
        let comparison = ValueComparison { caps, primary, before, after, merged: true };
        for (name, values) in comparison.all(&set.became)? {
            let changed = set.changed.get(&name).map_or(values.rows, |changed| changed.len());
            note(&name, values, changed, left, &mut done);
        }
        for (name, changed) in set.changed.iter().filter(|(name, _)| !set.became.contains_key(*name)) {
            done.left += changed.len();
            done.examples.push(moved(name, changed.len()));
        }
        Ok(done)
    }

    /// A key goes back before what references it.
    fn order(&self, set: &ExactSet) -> Result<Vec<TableName>, Failure> {
        let mut parents = BTreeMap::new();
        for name in set.became.keys() {
            let references = relation::describe(self.primary, name)?.map(|(_, table)| table.references);
            let names = references.unwrap_or_default().into_iter().map(|reference| reference.parent);
            parents.insert(name.clone(), names.collect::<Vec<_>>());
        }
        Ok(relation::parents_first(&parents).unwrap_or_else(|_| set.became.keys().cloned().collect()))
    }

    fn table(
        &self,
        (before, after): (&Matched, &Matched),
        position: usize,
        rows: &Successors,
        done: &mut PutBack,
    ) -> Result<(), Failure> {
        let merge = ValueMerge { before: Merge::new(before, position), after: Merge::new(after, position + 1) };
        self.stage(&merge, rows)?;
        let columns = self.changed_columns(&merge)?;
        if columns.is_empty() {
            return Ok(());
        }
        self.check_keys(before, &columns)?;
        self.primary.execute(&merge.put_back(&columns, self.triggers), &[])?;
        let marks = "SELECT coalesce(sum(inserted), 0)::bigint AS rows FROM lifeboat_marks WHERE position = $1::int";
        let at = [Value::from(i64::try_from(position).unwrap_or_default())];
        done.rows += self.primary.query(marks, &at)?.one()?.get::<u64>("rows")?;
        for row in self.primary.query(&merge.reasons(), &[])?.iter() {
            let (why, rows): (Option<String>, u64) = (row.get("why")?, row.get("rows")?);
            let why = content::reason(&why.unwrap_or_default());
            done.examples.push(format!("{}: {rows} rows are refused: {why}", before.now.name.plain()));
        }
        Ok(())
    }

    fn stage(&self, merge: &ValueMerge<'_>, rows: &Successors) -> Result<(), Failure> {
        for side in [&merge.before, &merge.after] {
            self.primary.execute(&side.create_stage(), &[])?;
        }
        for some in rows.batches(ROWS_AT_ONCE) {
            let (was, became): (Vec<_>, Vec<_>) = some.iter().copied().unzip();
            for (side, copy, places) in [(&merge.before, self.before, &was), (&merge.after, self.after, &became)] {
                let fetch = side.fetch(&successors::literal(places.iter().copied()));
                self.caps.copy_between(copy, &fetch, self.primary, &side.stage(), &side.staged())?;
            }
            let texts = |places: &[successors::At]| -> Vec<String> {
                places.iter().map(|(block, offset)| format!("({block},{offset})")).collect()
            };
            let parameters = [Value::from(texts(&was)), Value::from(texts(&became))];
            self.primary.execute(&note_pairs(merge.before.position), &parameters)?;
        }
        for table in [merge.before.stage(), merge.after.stage(), "lifeboat_pairs".to_owned()] {
            self.primary.execute(&format!("ANALYZE {table}"), &[])?;
        }
        self.primary.execute(&merge.create_both(), &[])?;
        self.primary.execute(&format!("ANALYZE {}", merge.both()), &[])?;
        Ok(())
    }

    /// Numbers of the columns that the change gave other values, from 1.
    fn changed_columns(&self, merge: &ValueMerge<'_>) -> Result<Vec<usize>, Failure> {
        let rows = self.primary.query(&merge.changed_columns(), &[])?;
        let row = rows.one()?;
        let mut changed = Vec::new();
        for (n, column) in (1..).zip(merge.before.matched.now.columns.iter().filter(|column| !column.generated)) {
            if row.get::<bool>(&format!("c{n}"))? && !column.always {
                changed.push(n);
            }
        }
        Ok(changed)
    }

    /// Without triggers nothing follows a key that goes back: what references it would point nowhere.
    fn check_keys(&self, matched: &Matched, columns: &[usize]) -> Result<(), Failure> {
        if self.triggers != Triggers::Skip {
            return Ok(());
        }
        let names = matched.now.written();
        let changed: BTreeSet<&String> = columns.iter().filter_map(|n| names.get(n - 1)).collect();
        let rows = self.primary.query(REFERENCED, &[Value::from(matched.now.name.sql())])?;
        let referenced: Vec<String> = rows.iter().map(|row| row.get("name")).collect::<Result<_, _>>()?;
        let both: Vec<&str> = referenced.iter().filter(|name| changed.contains(name)).map(String::as_str).collect();
        if both.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the transaction changed {} of {}, which other tables reference: where triggers are skipped, those would not follow; \
             start with `--input triggers=fire`, and disable the triggers that must not fire (`ALTER TABLE … DISABLE TRIGGER …`)",
            both.join(", "),
            matched.now.name.plain()
        );
        Err(Failure::permanent("pg-referenced-key", message))
    }
}

/// What the comparison after the work says of one table.
fn note(name: &TableName, values: Values, changed: u64, left: &mut Left, done: &mut PutBack) {
    done.newer += values.newer;
    done.gone += values.gone;
    let away = changed.saturating_sub(values.rows);
    done.left += values.wrong.len() as u64 + values.unknown + away;
    if away > 0 {
        done.examples.push(moved(name, away));
    }
    if values.unknown > 0 {
        done.examples.push(format!("{}: {} changed rows that cannot be compared", name.plain(), values.unknown));
    }
    if !values.wrong.is_empty() {
        left.tables.entry(name.clone()).or_default().wrong.extend(values.wrong);
    }
    done.examples.extend(values.examples);
}

fn moved(name: &TableName, rows: u64) -> String {
    format!("{}: {rows} changed rows are in another partition, and keep their values", name.plain())
}
