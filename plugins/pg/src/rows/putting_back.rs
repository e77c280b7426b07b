//! The work of a merge, table by table, inside the open transaction of the server.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, postgres::Value};
use serde::{Deserialize, Serialize};

use crate::{
    rows::{
        content,
        exact_set::{ExactSet, Tuples},
        large_objects,
        left::{self, Left},
        mending::Mending,
        merge::{Merge, SHARED},
        obstacle::Triggers,
        preparation::{Matched, Prepared},
        stages::Stages,
        value_merge::ValueWork,
        whole_tables,
    },
    server::Capabilities,
};

/// The most examples that are reported in total.
const EXAMPLES_MAX: usize = 10;
/// Rows that are read back at once: the host hands over 100,000 at most.
const PAGE: usize = 50_000;

/// What a merge did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Rows that were put back.
    pub rows_merged: u64,
    /// Rows that were there, with the same content.
    pub rows_present: u64,
    /// Rows that are not back for a reason other than their parent.
    pub conflicts: u64,
    /// Those of them whose key has other content.
    pub conflicts_changed: u64,
    /// Rows whose parent is gone.
    pub orphans: u64,
    /// Rows that the copy does not have.
    pub rows_not_found: u64,
    /// Foreign keys that had become null, or their default, and point at their row again.
    pub references_mended: u64,
    /// Rows that got back a value that the transaction had replaced.
    pub values_back: u64,
    /// Rows of which something was written since the transaction: that stays.
    pub values_newer: u64,
    /// Changed rows that are gone since: they stay away.
    pub values_gone: u64,
    /// Rows that the transaction only changed, and that are not as they were; with a second copy, those that still have a value
    /// that it wrote.
    pub changed_left: u64,
    /// Large objects that are there again.
    pub objects_back: u64,
    /// Large objects that are not.
    pub objects_left: u64,
    /// Examples of what is left.
    pub left_text: String,
    /// By table.
    pub tables: Vec<Merged>,
    /// Sequences that were moved.
    pub sequences: Vec<String>,
}

/// What it did in one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    table: String,
    merged: u64,
    present: u64,
    conflicts: u64,
    orphans: u64,
}

/// A merge under way.
pub struct Work<'a, C: Capabilities> {
    /// Tells progress.
    pub caps: &'a C,
    /// With the open transaction.
    pub primary: &'a C::Connection,
    /// Where the rows are.
    pub copy: &'a C::Connection,
    /// What the transaction wrote, if the values that it replaced go back.
    pub after: Option<&'a C::Connection>,
    /// Rows fetched at once.
    pub batch: usize,
    /// What user triggers mean.
    pub triggers: Triggers,
    /// Rows of the set.
    pub total: u64,
}

impl<C: Capabilities> Work<'_, C> {
    /// Puts the rows of all tables back; what it did, and what is left.
    pub fn merge_all(&self, prepared: &Prepared, set: &ExactSet) -> Result<(Report, Left), Failure> {
        for statement in SHARED {
            self.primary.execute(statement, &[])?;
        }
        // Checked with each statement, a row that breaks a rule is told from the others; a circle can only be checked at the end.
        let mode = if prepared.circle { "DEFERRED" } else { "IMMEDIATE" };
        self.primary.execute(&format!("SET CONSTRAINTS ALL {mode}"), &[])?;
        let merges: Vec<_> = prepared.tables.iter().enumerate().map(|(at, table)| Merge::new(table, at)).collect();
        let mut report = Report::default();
        let mut staged = self.stage_all(&merges, set, &mut report)?;
        self.drop_orphans(&merges, prepared, &mut staged)?;
        let (mut left, mut examples) = (Left { horizon: self.horizon()?, ..Left::default() }, Vec::new());
        for (merge, staged) in merges.iter().zip(staged) {
            let merged = self.insert(merge, staged, &mut left, &mut examples)?;
            report.rows_merged += merged.merged;
            report.rows_present += merged.present;
            report.conflicts += merged.conflicts;
            report.orphans += merged.orphans;
            report.tables.push(merged);
            self.advance_sequences(merge, &mut report.sequences)?;
            if set.emptied.contains(&merge.matched.now.name) {
                let moved = whole_tables::advance_sequences(self.primary, self.copy, &merge.matched.now.name)?;
                report.sequences.extend(moved);
            }
        }
        match self.after {
            Some(after) => self.put_values_back(after, merges.len(), set, (&mut report, &mut left, &mut examples))?,
            None => self.mend(&merges, set, &mut report, &mut examples)?,
        }
        self.put_objects_back(set, &mut report, &mut examples)?;
        report.conflicts_changed = left.tables.values().map(|rows| rows.shown.len() as u64).sum();
        report.left_text = examples.join("\n");
        Ok((report, left))
    }

    /// What the transaction did beside removing rows.
    fn mend(
        &self,
        merges: &[Merge<'_>],
        set: &ExactSet,
        report: &mut Report,
        examples: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let (caps, primary, copy, triggers) = (self.caps, self.primary, self.copy, self.triggers);
        let stages = Stages::of(merges);
        let mending = Mending { caps, primary, copy, triggers, stages: &stages, position: merges.len() };
        let mended = mending.all(&set.changed)?;
        report.references_mended = mended.references;
        report.changed_left = mended.left;
        examples.extend(mended.examples);
        Ok(())
    }

    /// What the transaction changed: the values that it replaced.
    fn put_values_back(
        &self,
        after: &C::Connection,
        position: usize,
        set: &ExactSet,
        (report, left, examples): (&mut Report, &mut Left, &mut Vec<String>),
    ) -> Result<(), Failure> {
        let (caps, primary, before, triggers) = (self.caps, self.primary, self.copy, self.triggers);
        let done = ValueWork { caps, primary, before, after, triggers, position }.all(set, left)?;
        report.values_back = done.rows;
        report.values_newer = done.newer;
        report.values_gone = done.gone;
        report.changed_left = done.left;
        examples.extend(done.examples);
        Ok(())
    }

    fn put_objects_back(&self, set: &ExactSet, report: &mut Report, examples: &mut Vec<String>) -> Result<(), Failure> {
        let objects = large_objects::put_back(self.caps, self.primary, self.copy, &set.objects)?;
        report.objects_back = objects.restored + objects.present;
        report.objects_left = objects.left;
        if objects.left > 0 {
            examples.push(format!("{} large objects are not back", objects.left));
        }
        Ok(())
    }

    /// Every transaction before this one has ended.
    fn horizon(&self) -> Result<u64, Failure> {
        let rows = self.primary.query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid", &[])?;
        let text: String = rows.one()?.get("xid")?;
        text.parse()
            .map_err(|_| Failure::permanent("pg-odd-answer", format!("the server gave `{text}` for a transaction id")))
    }

    fn stage_all(&self, merges: &[Merge<'_>], set: &ExactSet, report: &mut Report) -> Result<Vec<u64>, Failure> {
        let (mut counts, mut before) = (Vec::new(), 0);
        for merge in merges {
            warn_of_columns(self.caps, merge.matched);
            self.primary.execute(&merge.create_stage(), &[])?;
            let empty = Tuples::default();
            let tuples = set.tables.get(&merge.matched.now.name).unwrap_or(&empty);
            let staged = self.stage(merge, tuples, before)?;
            report.rows_not_found += tuples.len().saturating_sub(staged);
            before += staged;
            counts.push(staged);
        }
        Ok(counts)
    }

    fn stage(&self, merge: &Merge<'_>, tuples: &Tuples, before: u64) -> Result<u64, Failure> {
        let columns = merge.staged();
        let mut staged = 0;
        for (places, _) in tuples.batches(self.batch) {
            staged +=
                self.caps.copy_between(self.copy, &merge.fetch(&places), self.primary, &merge.stage(), &columns)?;
            let message = format!("fetching {}", merge.matched.now.name.plain());
            self.caps.progress(before + staged, Some(self.total), "rows", &message);
        }
        Ok(staged)
    }

    /// Sets rows aside whose parents are gone, until there is none more: what is set aside can be another row's parent.
    fn drop_orphans(&self, merges: &[Merge<'_>], prepared: &Prepared, staged: &mut [u64]) -> Result<(), Failure> {
        let stages = Stages::of(merges);
        for merge in merges.iter().filter(|merge| !merge.matched.now.references.is_empty()) {
            self.primary.execute(&merge.analyze(), &[])?;
        }
        let mut own = BTreeMap::new();
        for reference in merges.iter().flat_map(|merge| &merge.matched.now.references) {
            if !own.contains_key(&reference.parent) {
                own.insert(reference.parent.clone(), stages.of_parent(self.primary, &reference.parent)?);
            }
        }
        loop {
            let mut round = 0;
            for (merge, count) in merges.iter().zip(staged.iter_mut()) {
                for reference in &merge.matched.now.references {
                    let waiting = own.get(&reference.parent).map(Vec::as_slice).unwrap_or_default();
                    let gone = self.primary.execute(&merge.drop_orphans(reference, waiting), &[])?;
                    *count -= gone.min(*count);
                    round += gone;
                }
            }
            // Parents come first, so one round is enough but for rows that were gone.
            if round == 0
                || merges.len() == 1
                    && !prepared.circle
                    && !merges.iter().any(|merge| merge.matched.now.references_itself())
            {
                return Ok(());
            }
        }
    }

    fn insert(
        &self,
        merge: &Merge<'_>,
        staged: u64,
        left: &mut Left,
        examples: &mut Vec<String>,
    ) -> Result<Merged, Failure> {
        let table = &merge.matched.now;
        self.caps.progress(0, None, "rows", &format!("putting rows of {} back", table.name.plain()));
        self.primary.execute(&merge.insert(self.triggers), &[])?;
        if self.triggers == Triggers::Skip {
            self.check_parents(merge)?;
        }
        let inserted = "SELECT coalesce(sum(inserted), 0)::bigint AS rows FROM lifeboat_marks WHERE position = $1::int";
        let position = [Value::from(i64::try_from(merge.position).unwrap_or_default())];
        let merged: u64 = self.primary.query(inserted, &position)?.one()?.get("rows")?;
        if merged < staged {
            self.primary.execute(&merge.keep_conflicts(), &[])?;
        }
        let rows = self.read_left(merge, left)?;
        let (orphans, conflicts) = (rows.gone, rows.kept);
        self.tell(merge, &rows, examples)?;
        let present = staged.saturating_sub(merged + conflicts + rows.gone_late);
        Ok(Merged { table: table.name.plain(), merged, present, conflicts, orphans })
    }

    /// Without triggers the server does not check foreign keys either.
    fn check_parents(&self, merge: &Merge<'_>) -> Result<(), Failure> {
        for reference in &merge.matched.now.references {
            self.primary.query(&merge.lock_parents(reference), &[])?;
            if self.primary.execute(&merge.drop_orphans(reference, &[]), &[])? > 0 {
                let message = format!(
                    "a row that rows of {} reference was removed during the merge, which was rolled back",
                    merge.matched.now.name.plain()
                );
                return Err(Failure::transient("pg-parent-raced", message));
            }
        }
        Ok(())
    }

    fn read_left(&self, merge: &Merge<'_>, left: &mut Left) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        let mut offset = 0;
        loop {
            let sql = format!(
                "SELECT place::text AS place, kind, digest, why IS NOT NULL AS late FROM lifeboat_left WHERE position = {}
                  ORDER BY place LIMIT {PAGE} OFFSET {offset}",
                merge.position
            );
            let rows = self.primary.query(&sql, &[])?;
            for row in rows.iter() {
                let text: String = row.get("place")?;
                let Some(place) = left::place(&text) else { continue };
                let of_table = left.tables.entry(merge.matched.now.name.clone()).or_default();
                if row.get::<String>("kind")? == "gone" {
                    of_table.gone.insert(place);
                    counts.gone += 1;
                    counts.gone_late += u64::from(row.get::<bool>("late")?);
                    continue;
                }
                of_table.kept.insert(place);
                counts.kept += 1;
                if let Some(digest) =
                    row.get::<Option<String>>("digest")?.filter(|_| of_table.shown.len() < left::SHOWN_MAX)
                {
                    of_table.shown.insert(place, digest);
                }
            }
            offset += PAGE;
            if rows.len() < PAGE {
                return Ok(counts);
            }
        }
    }

    /// Examples of what is left, for a person.
    fn tell(&self, merge: &Merge<'_>, counts: &Counts, examples: &mut Vec<String>) -> Result<(), Failure> {
        let table = merge.matched.now.name.plain();
        if counts.gone > 0 {
            examples.push(format!("{table}: {} rows reference a row that is gone", counts.gone));
        }
        if counts.kept == 0 || examples.len() >= EXAMPLES_MAX {
            return Ok(());
        }
        let columns = merge.matched.now.written();
        for row in self.primary.query(&merge.examples(), &[])?.iter() {
            let (then, now): (Vec<String>, Vec<String>) = (row.get("then")?, row.get("now")?);
            let key = content::clean(&row.get::<String>("key")?);
            examples.push(format!("{table} {key}: {}", content::difference(&columns, &then, &now)));
        }
        let reasons = format!(
            "SELECT coalesce(why, 'another row has a value of it that is unique') AS why, count(*) AS rows FROM lifeboat_left
              WHERE position = {} AND kind IN ('refused', 'taken') GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
            merge.position
        );
        for row in self.primary.query(&reasons, &[])?.iter() {
            let (why, rows): (String, u64) = (row.get("why")?, row.get("rows")?);
            examples.push(format!("{table}: {rows} rows are refused: {}", content::reason(&why)));
        }
        examples.truncate(EXAMPLES_MAX);
        Ok(())
    }

    fn advance_sequences(&self, merge: &Merge<'_>, moved: &mut Vec<String>) -> Result<(), Failure> {
        for statement in merge.advance_sequences() {
            for row in self.primary.query(&statement, &[])?.iter() {
                let (sequence, value): (String, i64) = (row.get("sequence")?, row.get("value")?);
                moved.push(format!("{sequence} to {value}"));
            }
        }
        Ok(())
    }
}

/// What is left of a table.
#[derive(Debug, Default)]
struct Counts {
    gone: u64,
    /// Of these, rows whose parent went only when they were to be inserted.
    gone_late: u64,
    kept: u64,
}

/// Says which columns have changed since.
fn warn_of_columns(caps: &impl Capabilities, matched: &Matched) {
    let table = matched.now.name.plain();
    if !matched.dropped.is_empty() {
        let names = matched.dropped.join(", ");
        caps.warn(&format!("{table}: the columns {names} were dropped since; only the copy has their values"));
    }
    if !matched.added.is_empty() {
        let names = matched.added.join(", ");
        caps.warn(&format!("{table}: the columns {names} were added since; the rows get their current default"));
    }
}
