//! What find-damage reports to people in whole sentences, for the sign-off and the report: which transactions there were, and
//! what the chosen ones did besides removing rows. Expressions of a runbook cannot walk over lists.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{damage::deleters::Sought, server::identifier::TableName};

/// How many transactions are listed one by one, of the chosen ones and of the others.
const TOLD_MAX: usize = 8;

/// A transaction that removed rows of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The transaction.
    pub xid: u32,
    /// When it committed (RFC 3339).
    pub commit_time: String,
    /// Rows of the table that it removed.
    pub rows: u64,
    /// The table, or those of its partitions and children, that it removed them from.
    pub tables: Vec<String>,
    /// Whether it is one of those that are put back.
    pub chosen: bool,
    /// Whether it committed shortly before `since`.
    pub early: bool,
    /// The name that its client gave, if the server's log has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The role of its client, if that is known too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// The candidates as sentences; `chosen` and `others` are how many there were in all.
pub fn candidates(did: Sought, table: &str, listed: &[Listed], chosen: u64, others: u64) -> String {
    let word = did.word();
    let (ours, rest): (Vec<&Listed>, Vec<&Listed>) = listed.iter().partition(|it| it.chosen);
    let ours = one_by_one(&ours, chosen);
    if others == 0 && chosen == 1 {
        return format!("Transaction {ours} is the only one found that {word} rows of {table}.");
    }
    let rest = match others {
        0 => String::new(),
        _ => format!(" NOT chosen: {}.", one_by_one(&rest, others)),
    };
    let unknown = if listed.iter().any(|it| it.application.is_some()) {
        ""
    } else {
        " Neither the WAL nor a readable log of the server says which application or user they belong to."
    };
    format!("{} transactions {word} rows of {table}. Chosen: {ours}.{rest}{unknown}", chosen + others)
}

/// What is said of a transaction that emptied tables.
pub fn emptied(listed: &[Listed], tables: &BTreeSet<TableName>) -> String {
    let who: Vec<_> = listed.iter().map(|it| format!("{} ({}{})", it.xid, it.commit_time, by(it))).collect();
    let names: Vec<_> = tables.iter().map(TableName::plain).collect();
    format!(
        "Transaction {} emptied {} (TRUNCATE): every row that they had just before it comes back, but for keys that exist again.",
        who.join(", "),
        names.join(", ")
    )
}

/// By which client.
fn by(it: &Listed) -> String {
    let user = it.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    it.application.as_ref().map(|name| format!(", by `{name}`{user}")).unwrap_or_default()
}

fn one_by_one(listed: &[&Listed], all: u64) -> String {
    let one = |it: &&Listed| {
        let rows = if it.rows == 1 { "row" } else { "rows" };
        let early = if it.early { ", committed shortly before `since`" } else { "" };
        let by = by(it);
        format!("{} at {} ({} {rows}{early}{by})", it.xid, it.commit_time, it.rows)
    };
    let mut texts: Vec<_> = listed.iter().take(TOLD_MAX).map(one).collect();
    let more = all.saturating_sub(texts.len() as u64);
    if more > 0 {
        texts.push(format!("{more} more"));
    }
    texts.join(", ")
}

/// What the chosen transactions did besides, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Rows that were changed and are still there, by table.
    pub changed: Vec<(String, u64)>,
    /// Large objects that were removed.
    pub objects: u64,
    /// Parts of large objects that were changed or cut off.
    pub objects_changed: u64,
    /// Removed rows that no copy has, by table.
    pub unplaced: Vec<(String, u64)>,
    /// Removed rows of which the copy has an older content, by table.
    pub outdated: Vec<(String, u64)>,
    /// Tables that were emptied: their files went too, and their rows come back.
    pub emptied: Vec<String>,
    /// Files of tables and indexes that went with the transactions.
    pub dropped_files: usize,
}

/// What the transactions did besides as sentences; never empty.
pub fn changes(changes: &Changes) -> String {
    let mut sentences = Vec::new();
    if !changes.changed.is_empty() {
        sentences.push(format!("Rows were also changed and are still there: {}.", by_table(&changes.changed)));
    }
    if changes.objects > 0 {
        sentences.push(format!("{} large objects were removed.", changes.objects));
    }
    if changes.objects_changed > 0 {
        sentences.push(format!("{} parts (2 kB) of large objects were changed or cut off.", changes.objects_changed));
    }
    sentences.extend(lost(&changes.unplaced, &changes.outdated));
    if !changes.emptied.is_empty() {
        sentences.push(format!("Emptied (TRUNCATE): {}; their rows come back.", changes.emptied.join(", ")));
    }
    if changes.dropped_files > 0 {
        let but = if changes.emptied.is_empty() { "" } else { ", but for those of emptied tables" };
        sentences.push(format!(
            "{} files of tables and indexes were dropped or replaced (TRUNCATE, DROP, ALTER TABLE); rows in them do not come back{but}.",
            changes.dropped_files
        ));
    }
    if sentences.is_empty() {
        return "Nothing else of users' data was changed or removed.".to_owned();
    }
    sentences.join(" ")
}

/// What cannot come back as it was, as sentences: rows that no copy has, and rows of which it has an older content.
pub fn lost(unplaced: &[(String, u64)], outdated: &[(String, u64)]) -> Vec<String> {
    let mut sentences = Vec::new();
    if !unplaced.is_empty() {
        sentences.push(format!(
            "Removed rows that others inserted after the first of the transactions cannot come back, because no copy \
             has them: {}.",
            by_table(unplaced)
        ));
    }
    if !outdated.is_empty() {
        sentences.push(format!(
            "Removed rows that others changed after the first of the transactions come back as they were before it: \
             {}.",
            by_table(outdated)
        ));
    }
    sentences
}

/// Counts with the names of tables as people read them.
pub fn plain(counts: &BTreeMap<TableName, u64>) -> Vec<(String, u64)> {
    counts.iter().map(|(table, count)| (table.plain(), *count)).collect()
}

/// `3 of public.a, 4 of public.b`.
pub fn by_table(counts: &[(String, u64)]) -> String {
    counts.iter().map(|(table, count)| format!("{count} of {table}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_said() {
        let listed = |xid: u32, rows: u64, chosen: bool, early: bool| Listed {
            xid,
            commit_time: format!("2026-11-21T03:{}:00Z", xid % 60),
            rows,
            tables: vec!["public.t".to_owned()],
            chosen,
            early,
            application: (xid == 735).then(|| "nightly".to_owned()),
            user: early.then(|| "app".to_owned()),
        };
        let table = |count: u64| vec![("public.t".to_owned(), count), ("public.u".to_owned(), 1)];
        let much = Changes {
            changed: table(2),
            objects: 3,
            objects_changed: 4,
            unplaced: table(5),
            outdated: table(6),
            emptied: vec!["public.w".to_owned()],
            dropped_files: 7,
        };
        insta::assert_snapshot!(
            [
                candidates(Sought::Removed, "public.t", &[listed(734, 9, true, true)], 1, 0),
                candidates(
                    Sought::Removed,
                    "public.t",
                    &[listed(734, 9, true, false), listed(735, 1, false, false)],
                    1,
                    1
                ),
                candidates(
                    Sought::Removed,
                    "public.t",
                    &[listed(734, 9, true, false), listed(735, 8, false, true)],
                    12,
                    10
                ),
                candidates(
                    Sought::Removed,
                    "public.t",
                    &[listed(734, 9, true, false), listed(736, 8, false, true)],
                    1,
                    1
                ),
                candidates(Sought::Changed, "public.t", &[listed(734, 9, true, false)], 1, 0),
                emptied(
                    &[listed(735, 0, true, true)],
                    &[TableName { schema: "public".to_owned(), name: "w".to_owned() }].into()
                ),
                changes(&Changes::default()),
                changes(&much),
            ]
            .join("\n")
        );
    }
}
