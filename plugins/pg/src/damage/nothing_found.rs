//! Why no transaction removed rows of a table: what the WAL and the catalog show instead, each as a sentence with what to do. It
//! runs only if nothing was found.

use std::collections::{BTreeMap, HashMap};

use lifeboat_plugin::{Connection, Failure, machine::EntryKind, postgres::Value};

use crate::{
    damage::{
        deleters::Candidate,
        layout::Layout,
        search::{Nobody, Rewritten, Search, utc},
    },
    rows::relation::TableFile,
    server::Capabilities,
    wal::{
        cluster::Facts,
        dump::{Job, Pass},
        segment::{Lsn, Segment},
        span::Span,
        waldump::{Filenode, Kind, Record},
    },
};

/// How many transactions are named for each finding.
const NAMED_MAX: usize = 3;

/// What was done to the rows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// They were removed.
    Removed,
    /// They were changed.
    Changed,
}

/// What one committed transaction did to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Did {
    /// The transaction.
    pub xid: u32,
    /// How many rows.
    pub rows: u64,
    /// As pg_waldump prints it.
    pub commit_time: String,
    /// Where its commit record begins.
    pub lsn: Lsn,
}

/// What was done to the rows of all files, by transactions that took effect; the largest of them by name.
#[derive(Debug, Default)]
pub struct Traces {
    open: HashMap<u32, BTreeMap<(Filenode, Act), u64>>,
    done: BTreeMap<(Filenode, Act), (u64, Vec<Did>)>,
}

impl Traces {
    /// Takes a record of rows, or of the end of a transaction; only transactions that are `wanted` count.
    pub fn take(&mut self, record: &Record, wanted: impl Fn(&str) -> bool) {
        let act = match &record.kind {
            Kind::Delete(place) | Kind::MoveAway(place) => Some((place.file, Act::Removed)),
            Kind::Update { old, .. } => Some((old.file, Act::Changed)),
            Kind::Abort { subtransactions } => {
                self.ended(record.xid, subtransactions);
                None
            }
            Kind::Commit { time, subtransactions, .. } => {
                let did = self.ended(record.xid, subtransactions);
                for (what, rows) in did.into_iter().filter(|_| wanted(time)) {
                    self.note(what, Did { xid: record.xid, rows, commit_time: time.clone(), lsn: record.lsn });
                }
                None
            }
            _ => None,
        };
        if let Some(act) = act {
            *self.open.entry(record.xid).or_default().entry(act).or_default() += 1;
        }
    }

    fn ended(&mut self, xid: u32, subtransactions: &[u32]) -> BTreeMap<(Filenode, Act), u64> {
        let mut all = BTreeMap::new();
        for did in subtransactions.iter().chain([&xid]).filter_map(|each| self.open.remove(each)) {
            for (what, rows) in did {
                *all.entry(what).or_default() += rows;
            }
        }
        all
    }

    fn note(&mut self, what: (Filenode, Act), did: Did) {
        let (rows, largest) = self.done.entry(what).or_default();
        *rows += did.rows;
        largest.push(did);
        largest.sort_by_key(|did| std::cmp::Reverse(did.rows));
        largest.truncate(NAMED_MAX);
    }

    /// What was done in this way to files that are chosen, most rows first: the file, how many rows, the largest transactions.
    pub fn of(&self, act: Act, chosen: impl Fn(Filenode) -> bool) -> Vec<(Filenode, u64, &[Did])> {
        let all = self.done.iter().filter(|((file, did), _)| *did == act && chosen(*file));
        let mut found: Vec<_> = all.map(|((file, _), (rows, largest))| (*file, *rows, largest.as_slice())).collect();
        found.sort_by_key(|(_, rows, _)| std::cmp::Reverse(*rows));
        found
    }
}

/// What is needed to look for the reason.
pub struct Inquiry<'a, C: Capabilities> {
    /// The server.
    pub connection: &'a C::Connection,
    /// Its facts.
    pub facts: &'a Facts,
    /// The search that found nothing.
    pub search: &'a Search<'a, C>,
    /// The files of the database.
    pub layout: &'a Layout,
    /// The table, as it was given.
    pub table: &'a str,
}

impl<C: Capabilities> Inquiry<'_, C> {
    /// The failure that says why no transaction removed rows.
    pub fn nobody(&self, nobody: &Nobody<'_>) -> Result<Failure, Failure> {
        let traces = self.traces(nobody.span)?;
        let mut reasons = Vec::new();
        reasons.extend(early(&nobody.early));
        reasons.extend(unlogged(self.search.files));
        reasons.extend(self.changed(&traces));
        reasons.extend(self.elsewhere(&traces)?);
        reasons.extend(self.late(nobody.last_commit.as_deref()));
        reasons.extend(self.not_archived()?);
        reasons.extend(self.left_out()?);
        if reasons.is_empty() {
            reasons.push(
                "No other table of this server lost rows in that time, and no rows of this one were changed: check \
                 that this is the right server, and choose an earlier `since`."
                    .to_owned(),
            );
        }
        let since = &self.search.range.since.text;
        let message = format!(
            "no transaction that committed since {since} UTC removed rows of `{}` ({} segments of the archive were searched). {}",
            self.table,
            nobody.span.segments.len(),
            reasons.join(" ")
        );
        Ok(Failure::permanent("pg-no-damage-found", message))
    }

    /// The failure that says what happened to a table with a new file.
    pub fn rewritten(&self, found: &Rewritten<'_>) -> Result<Failure, Failure> {
        let (traces, rewrite) = (self.traces(found.span)?, &found.rewrite);
        let (commit, time) = rewrite.commit.clone().unwrap_or((Lsn(0), String::new()));
        let is_old = |file: Filenode| file.database == self.facts.database && rewrite.dropped.contains(&file.node);
        let all = traces.of(Act::Removed, is_old);
        let before: Vec<&Did> = all.iter().flat_map(|(_, _, did)| *did).filter(|did| did.lsn < commit).collect();
        let (table, xid) = (self.table, rewrite.xid);
        let head = format!(
            "transaction {xid} gave `{table}` a new file at {time} (VACUUM FULL, CLUSTER, ALTER TABLE, or TRUNCATE with \
             new rows at once), so the places that the WAL names for the old one mean nothing"
        );
        let advice = match before.iter().max_by_key(|did| did.rows) {
            Some(first) => format!(
                "before that, rows of the old file were removed: {}. They are already gone just before transaction \
                 {xid}: to get them, restore a copy with `target: {{ before_xid: {} }}` and `promote: true`, and \
                 take the rows from there by key",
                named(&before),
                first.xid
            ),
            None => format!(
                "if that transaction is the damage, restore a copy with `target: {{ before_xid: {xid} }}` and \
                 `promote: true`, and take the rows from there by key; if they were deleted earlier, they are gone by then, and a \
                 copy of an earlier moment has them (`target: {{ time: … }}`)"
            ),
        };
        Ok(Failure::permanent("pg-table-rewritten", format!("{head}; {advice}")))
    }

    fn traces(&self, span: Span<'_>) -> Result<Traces, Failure> {
        let search = self.search;
        let mut traces = Traces::default();
        let kept = ["desc: DELETE", "UPDATE"].map(|text| vec![text.to_owned()]).to_vec();
        let pass = Pass { keep: kept, ..Pass::of(&["Heap"]) };
        let jobs = [pass, crate::damage::search::ends()].map(|pass| Job { pass, spans: vec![span] });
        search.reader.read_merged(&jobs, |record| {
            traces.take(&record, |time| !search.is_before(time, &search.range.since));
        })?;
        Ok(traces)
    }

    fn is_ours(&self, file: Filenode) -> bool {
        self.search.files.iter().any(|ours| ours.file == file)
    }

    fn changed(&self, traces: &Traces) -> Option<String> {
        let found = traces.of(Act::Changed, |file| self.is_ours(file));
        let rows: u64 = found.iter().map(|(_, rows, _)| rows).sum();
        let mut did: Vec<&Did> = found.iter().flat_map(|(_, _, did)| *did).collect();
        did.sort_by_key(|did| std::cmp::Reverse(did.rows));
        did.truncate(NAMED_MAX);
        let first = did.first()?;
        Some(format!(
            "Its rows were changed but not deleted: {rows} times, most of them by {}. To put back the \
             values that one of them replaced, name it and look for what was changed: `xid: {}`, `damage: changed` (DR-003: `--input \
             xid={} --input damage=changed`).",
            named(&did),
            first.xid,
            first.xid
        ))
    }

    fn elsewhere(&self, traces: &Traces) -> Result<Vec<String>, Failure> {
        let database = self.facts.database;
        let is_users = |file: Filenode| !self.is_ours(file) && !self.layout.files.internal.contains(&file);
        let mut sentences = Vec::new();
        let here = traces.of(Act::Removed, |file| is_users(file) && file.database == database);
        let names: Vec<_> = here.iter().take(NAMED_MAX).map(|(file, rows, did)| self.lost(*file, *rows, did)).collect();
        if !names.is_empty() {
            sentences.push(format!(
                "Rows of other tables were removed in that time: {}. If one of these was a partition of it and has \
                 been detached since, or is the table you mean, name that one.",
                names.join("; ")
            ));
        }
        // Database 0 is what all databases share.
        let other = traces.of(Act::Removed, |file| file.database != database && file.database != 0);
        if let Some((file, rows, did)) = other.first() {
            let name = self.database(file.database)?;
            sentences.push(format!(
                "In another database, {name}, {rows} rows of one table were removed, most of them by {}; if you mean \
                 that one, name that database in the bindings.",
                named(&did.iter().collect::<Vec<_>>())
            ));
        }
        Ok(sentences)
    }

    fn lost(&self, file: Filenode, rows: u64, did: &[Did]) -> String {
        let name = self.layout.files.tables.get(&file).map_or_else(
            || format!("a table that has another file today or is gone (file {})", file.node),
            crate::server::identifier::TableName::plain,
        );
        format!("{rows} of {name}, most of them by {}", named(&did.iter().collect::<Vec<_>>()))
    }

    fn database(&self, oid: u32) -> Result<String, Failure> {
        let rows = self.connection.query(
            "SELECT coalesce((SELECT datname::text FROM pg_database WHERE oid = $1::bigint::oid), $1::text) AS name",
            &[Value::from(i64::from(oid))],
        )?;
        rows.one()?.get("name")
    }

    fn late(&self, last_commit: Option<&str>) -> Option<String> {
        let Some(last) = last_commit else {
            return Some(
                "The searched segments hold no commit at all: archive the newest WAL (pg/switch-wal).".to_owned(),
            );
        };
        (utc(last)? < self.search.range.since.text.as_str()).then(|| {
            format!(
                "The last commit in the archive was at {last}, before `since`: archive the newest WAL \
                 (pg/switch-wal), and check the time zone of `since`."
            )
        })
    }

    /// Whether the server has written beyond the end of the archive.
    fn not_archived(&self) -> Result<Option<String>, Failure> {
        let rows = self.connection.query(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn())::text END AS name",
            &[],
        )?;
        let archive = self.search.reader.archive;
        let size = archive.segment_size;
        let Some(name) = rows.one()?.get::<Option<String>>("name")? else { return Ok(None) };
        let (Some(now), Some(last)) = (Segment::parse(&name, size), archive.segments.last()) else { return Ok(None) };
        Ok((now.number > last.number + 1).then(|| {
            format!(
                "The newest WAL is not archived: the server writes {name}, and the archive ends with {}. Run \
                 pg/switch-wal, and check that archiving works.",
                last.name(size)
            )
        }))
    }

    /// Segments of the archive that do not belong to the history of the server.
    fn left_out(&self) -> Result<Option<String>, Failure> {
        let reader = &self.search.reader;
        let archive = reader.archive;
        let mut timelines: BTreeMap<u32, u64> = BTreeMap::new();
        for entry in reader.caps.list_folder(reader.machine, &archive.path)? {
            let segment = Segment::parse(&entry.name, archive.segment_size).filter(|_| entry.kind == EntryKind::File);
            if let Some(segment) = segment.filter(|segment| !archive.segments.contains(segment)) {
                *timelines.entry(segment.timeline).or_default() += 1;
            }
        }
        let lists = timelines.iter().map(|(timeline, count)| format!("{count} of timeline {timeline}"));
        let lists: Vec<_> = lists.collect();
        Ok((!lists.is_empty()).then(|| {
            format!(
                "Segments of the archive were left out, because their timelines do not lead to that of the server \
                 ({}): {}. If the rows were removed there, they were never removed from this server.",
                self.facts.timeline,
                lists.join(", ")
            )
        }))
    }
}

fn early(early: &[Candidate]) -> Option<String> {
    let one = |it: &Candidate| format!("{} ({} rows, {})", it.xid, it.rows, it.commit_time);
    let list: Vec<_> = early.iter().take(NAMED_MAX).map(one).collect();
    let first = early.first()?;
    Some(format!(
        "Shortly before `since`, rows of it were removed by {}. The recorded time of a commit is earlier than the \
         moment at which others see it, with synchronous replication by any length of time: if you mean one of \
         these, name it with `xid` (DR-003: `--input xid={}`).",
        list.join(", "),
        first.xid
    ))
}

fn unlogged(files: &[TableFile]) -> Option<String> {
    let names: Vec<_> = files.iter().filter(|file| !file.logged).map(|file| file.table.plain()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "The WAL does not record what happens to {}, because it is unlogged: its rows cannot be found this way; \
             look for them in a dump, or in what the application keeps.",
            names.join(", ")
        )
    })
}

/// `740 (80 rows, 2026-11-21 03:55:29.073844 UTC)`, the largest of them.
fn named(did: &[&Did]) -> String {
    let one = |did: &&Did| format!("transaction {} ({} rows, {})", did.xid, did.rows, did.commit_time);
    did.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::waldump::Place;

    const FILE: Filenode = Filenode { tablespace: 1663, database: 5, node: 100 };

    #[test]
    fn only_what_took_effect_in_time_is_a_trace() {
        let place = |offset: u16| Place { file: FILE, block: 0, offset };
        let time = |minute: u32| format!("2026-11-21 03:{minute:02}:00.000000 UTC");
        let record = |xid: u32, kind: Kind| Record { xid, lsn: Lsn(u64::from(xid)), kind };
        let commit = |minute: u32, subtransactions: &[u32]| Kind::Commit {
            time: time(minute),
            subtransactions: subtransactions.to_vec(),
            dropped: vec![],
        };
        let update = |offset: u16| Kind::Update { old: place(offset), new: place(offset + 100) };
        let mut traces = Traces::default();
        let records = [
            record(7, Kind::Delete(place(1))),
            record(8, Kind::Delete(place(2))),
            record(7, commit(10, &[8])),
            record(9, Kind::Delete(place(3))),
            record(9, Kind::Abort { subtransactions: vec![] }),
            record(10, update(4)),
            record(10, commit(1, &[])),
            record(11, update(5)),
            record(11, commit(11, &[])),
        ];
        records.iter().for_each(|record| traces.take(record, |at| at >= time(5).as_str()));
        let did =
            |xid: u32, rows: u64, minute: u32, lsn: u64| Did { xid, rows, commit_time: time(minute), lsn: Lsn(lsn) };
        assert_eq!(traces.of(Act::Removed, |_| true), [(FILE, 2, [did(7, 2, 10, 7)].as_slice())]);
        assert_eq!(traces.of(Act::Changed, |_| true), [(FILE, 1, [did(11, 1, 11, 11)].as_slice())]);
        assert_eq!(traces.of(Act::Changed, |file| file != FILE), []);
    }
}
