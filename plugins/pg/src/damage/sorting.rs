//! What transactions removed and changed, by table instead of by file: the content of the exact set, and what is reported about it.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::Failure;
use serde::Serialize;

use crate::{
    damage::{
        deleters::{Candidate, Sought},
        layout::Layout,
        removals::Removals,
        told::{self, Changes},
    },
    rows::{
        exact_set::{ExactSet, Tuples},
        successors::Successors,
    },
    server::identifier::TableName,
    wal::{segment::Lsn, waldump::Filenode},
};

/// How much of a table was removed and changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Touched {
    /// Its name.
    pub table: String,
    /// Rows that were removed.
    pub rows: u64,
    /// Rows that were changed and are still there.
    pub updated: u64,
}

/// The content of the exact set, and what is reported about it.
pub struct Sorted {
    /// The set.
    pub set: ExactSet,
    /// The same in numbers.
    pub tables: Vec<Touched>,
    /// What was done besides, for people.
    pub changes: Changes,
}

impl Sorted {
    /// Adds tables that were emptied: which rows they had, the copy knows.
    pub fn empty(&mut self, tables: BTreeSet<TableName>) {
        for table in &tables {
            self.set.tables.entry(table.clone()).or_default();
        }
        self.changes.emptied = tables.iter().map(TableName::plain).collect();
        self.set.emptied = tables;
        self.tables = touched(&self.set);
    }
}

/// Assigns each file to its table. What belongs to the server itself (catalogs, TOAST) comes back by itself, except large objects.
pub fn sort(
    sought: Sought,
    layout: &Layout,
    transactions: &[Candidate],
    removals: &Removals<'_>,
) -> Result<Sorted, Failure> {
    if sought == Sought::Changed {
        check_changes(layout, transactions, removals)?;
    }
    let xids: Vec<u32> = transactions.iter().map(|it| it.xid).collect();
    let commit = transactions.first().map_or(Lsn(0), |first| first.lsn);
    let mut set = ExactSet::empty(xids, commit);
    let files = &layout.files;
    let (mut removed, mut changed) = (removals.removed().clone(), removals.changed());
    let mut changes = Changes { dropped_files: removals.dropped_files(transactions), ..Changes::default() };
    if let Some(objects) = files.objects {
        set.objects = removed.remove(&objects.metadata).unwrap_or_default();
        // Removing an object removes its parts, so these add nothing.
        let parts = removed.remove(&objects.data).map_or(0, |parts| parts.len());
        let kept = changed.remove(&objects.data).map_or(0, |parts| parts.len());
        changed.remove(&objects.metadata);
        changes.objects = set.objects.len();
        changes.objects_changed = kept + if set.objects.is_empty() { parts } else { 0 };
    }
    let mut nameless = 0;
    for (file, tuples) in removed {
        match files.tables.get(&file) {
            Some(table) => drop(set.tables.insert(table.clone(), tuples)),
            None => nameless += tuples.len(),
        }
    }
    if nameless > 0 {
        return Err(nameless_rows(nameless, set.first()));
    }
    let named = |(file, tuples): (Filenode, Tuples)| Some((files.tables.get(&file)?.clone(), tuples));
    set.changed = changed.into_iter().filter_map(named).collect();
    if sought == Sought::Changed {
        let named = |(file, rows): (Filenode, Successors)| Some((files.tables.get(&file)?.clone(), rows));
        set.became = removals.successors().into_iter().filter_map(named).collect();
    }
    let counts = |counts: &BTreeMap<Filenode, u64>| -> BTreeMap<TableName, u64> {
        counts.iter().filter_map(|(file, count)| Some((files.tables.get(file)?.clone(), *count))).collect()
    };
    set.unplaced = counts(removals.unplaced());
    changes.unplaced = told::plain(&set.unplaced);
    set.outdated = counts(removals.outdated());
    changes.outdated = told::plain(&set.outdated);
    changes.changed = set.changed.iter().map(|(table, tuples)| (table.plain(), tuples.len())).collect();
    Ok(Sorted { tables: touched(&set), set, changes })
}

/// What a change wrote is known only of one transaction, and only where its rows are in the files that the tables have today.
fn check_changes(layout: &Layout, transactions: &[Candidate], removals: &Removals<'_>) -> Result<(), Failure> {
    let xids: Vec<String> = transactions.iter().map(|each| each.xid.to_string()).collect();
    let [xid] = xids.as_slice() else {
        let message = format!(
            "the values of rows that several transactions changed ({}) cannot be put back together: others may have \
             changed the same rows between them; use one run for each (`xid`), and begin with the last one",
            xids.join(", ")
        );
        return Err(Failure::permanent("pg-which-transactions", message));
    };
    let is_known = |file: &Filenode| layout.files.tables.contains_key(file) || !layout.follows(*file);
    let lost = |file: &Filenode| removals.made(*file) || !is_known(file);
    let rows: u64 = removals.changed().iter().filter(|(file, _)| lost(file)).map(|(_, rows)| rows.len()).sum();
    if rows == 0 {
        return Ok(());
    }
    let message = format!(
        "{rows} rows that transaction {xid} changed were in files that no table has today, or that the transaction \
         made itself (TRUNCATE, CLUSTER, VACUUM FULL or ALTER TABLE): the WAL does not say where they are; restore two \
         copies, with `target: {{ before_xid: {xid} }}` and with `target: {{ xid: {xid} }}`, and compare by key"
    );
    Err(Failure::permanent("pg-table-rewritten", message))
}

fn nameless_rows(rows: u64, xid: u32) -> Failure {
    let message = format!(
        "{rows} rows that transaction {xid} removed were in files that belong to no table today: those tables have \
         been rewritten or dropped since, and the exact set would lack their rows; restore a copy with `target: {{ \
         before_xid: {xid} }}` and compare by key"
    );
    Failure::permanent("pg-table-rewritten", message)
}

fn touched(set: &ExactSet) -> Vec<Touched> {
    let tables: BTreeSet<&TableName> = set.tables.keys().chain(set.changed.keys()).collect();
    let count = |tables: &BTreeMap<TableName, Tuples>, table: &TableName| tables.get(table).map_or(0, Tuples::len);
    let one = |table: &TableName| Touched {
        table: table.plain(),
        rows: count(&set.tables, table),
        updated: count(&set.changed, table),
    };
    tables.into_iter().map(one).collect()
}
