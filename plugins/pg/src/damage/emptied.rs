//! Tables that a transaction emptied (`TRUNCATE`). No row is named in the WAL then: each of them got a new file, and nothing was
//! written into it. Every other way to give a table a new file (`VACUUM FULL`, `CLUSTER`, `ALTER TABLE`) writes its rows there, in the
//! same transaction; the WAL has them, or images of their pages.

use std::collections::BTreeSet;

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    damage::{
        deleters::{Candidate, Sought, Wanted},
        layout::Layout,
        removals::Removals,
        search::{Culprit, Rewritten, Search},
    },
    server::{Capabilities, identifier::TableName},
    wal::{dump::Pass, span::Span, waldump::Filenode},
};

/// What a transaction emptied, and what it did besides.
pub struct Emptied<'l> {
    /// The transaction.
    pub culprit: Culprit,
    /// What it removed and changed row by row.
    pub removals: Removals<'l>,
    /// The tables that it emptied.
    pub tables: BTreeSet<TableName>,
}

impl<C: Capabilities> Search<'_, C> {
    /// What the transaction that gave the table a new file emptied; none where it is another one than those that are asked for, or
    /// where rows were written into a new file of the table: then it was no `TRUNCATE`, or not that alone.
    pub fn emptied<'l>(
        &self,
        connection: &C::Connection,
        found: &Rewritten<'_>,
        layout: &'l Layout,
    ) -> Result<Option<Emptied<'l>>, Failure> {
        let Some(culprit) = self.culprit_of(found) else { return Ok(None) };
        let Some(candidate) = culprit.transactions.first() else { return Ok(None) };
        let removals = self.removals(&culprit, layout)?;
        let span = self.written_between(&culprit, candidate.oldest(), candidate)?;
        let members: BTreeSet<u32> = candidate.members().collect();
        let ours: Vec<Filenode> = self.files.iter().map(|file| file.file).collect();
        let made_by_it = tables_made_by(connection, &members)?;
        let mut tables = BTreeSet::new();
        for (file, table) in layout.files.tables.iter().filter(|(file, _)| removals.made(**file)) {
            if made_by_it.contains(table) {
                continue;
            }
            if self.is_written(*file, span, &members)? {
                if ours.contains(file) {
                    return Ok(None);
                }
                continue;
            }
            tables.insert(table.clone());
        }
        Ok((!tables.is_empty()).then_some(Emptied { culprit, removals, tables }))
    }

    fn culprit_of(&self, found: &Rewritten<'_>) -> Option<Culprit> {
        let rewrite = &found.rewrite;
        if self.sought == Sought::Changed {
            return None;
        }
        let (lsn, commit_time) = rewrite.commit.clone()?;
        if matches!(self.wanted, Wanted::These(_)) && !self.wanted.names(rewrite.xid) {
            return None;
        }
        let candidate = Candidate {
            xid: rewrite.xid,
            lsn,
            commit_time,
            first_lsn: lsn,
            rows: 0,
            files: BTreeSet::new(),
            early: false,
            subtransactions: rewrite.subtransactions.clone(),
            dropped: rewrite.dropped.clone(),
        };
        Some(Culprit {
            transactions: vec![candidate.clone()],
            candidates: vec![candidate],
            seen: 1,
            segments: found.span.segments.len(),
            marks: found.marks.clone(),
        })
    }

    /// Whether these (sub)transactions wrote into a file that they made.
    fn is_written(&self, file: Filenode, span: Span<'_>, members: &BTreeSet<u32>) -> Result<bool, Failure> {
        let pass = Pass { relation: Some(file), ..Pass::of(&["Heap", "Heap2", "XLOG"]) };
        let mut written = false;
        self.reader.read(&pass, span, |record| written |= members.contains(&record.xid))?;
        Ok(written)
    }
}

/// Tables that one of these (sub)transactions created: the rows of their system columns are never written again.
fn tables_made_by(connection: &impl Connection, members: &BTreeSet<u32>) -> Result<BTreeSet<TableName>, Failure> {
    let members: Vec<String> = members.iter().map(u32::to_string).collect();
    let rows = connection.query(
        "SELECT n.nspname::text AS schema, c.relname::text AS name
           FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE a.attname = 'ctid' AND a.attnum < 0 AND c.relkind = 'r' AND a.xmin::text = ANY ($1::text[])",
        &[Value::from(members)],
    )?;
    rows.iter().map(|row| Ok(TableName { schema: row.get("schema")?, name: row.get("name")? })).collect()
}
