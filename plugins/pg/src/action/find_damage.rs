//! `pg/find-damage`: which transaction removed rows of a table, or changed them, and exactly which rows, by the WAL.

mod declaration;

use std::collections::BTreeSet;

use lifeboat_plugin::{Call, Connection, Failure, Outcome, postgres::Value};
use serde::{Deserialize, Serialize};

use crate::{
    call::digest::{self, short_hash},
    copy::run_files,
    damage::{
        deleters::{Candidate, Sought, Wanted},
        emptied::Emptied,
        layout,
        nothing_found::Inquiry,
        removals::Removals,
        search::{self, Culprit, FAR_SECONDS, FLUSH_SECONDS, Finding, NEAR_SECONDS, Range, Search},
        server_log::ServerLog,
        sorting::{self, Sorted, Touched},
        told::{self, Listed},
    },
    rows::{
        exact_set::{ExactSet, Tuples},
        relation::{self, TableFile},
    },
    server::{self, Capabilities, identifier::TableName},
    wal::{
        archive::{self, ARCHIVE},
        cluster::{self, Facts},
        commits::Times,
        dump::Reader,
        segment::Lsn,
    },
};

pub(super) use declaration::action;

/// What the host reads and writes in one file at most.
const SET_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    table: String,
    since: String,
    until: Option<String>,
    #[serde(default)]
    damage: Damage,
    xid: Option<i64>,
    timeline: Option<u32>,
    #[serde(default)]
    xids: Vec<i64>,
    #[serde(default)]
    all: bool,
    archive: Option<String>,
    work: Option<String>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Damage {
    /// Rows that are gone.
    #[default]
    Removed,
    /// Rows with other values.
    Changed,
    /// Rows that are gone; if none is, rows with other values.
    Any,
}

#[derive(Debug, Serialize)]
struct Outputs {
    damage: Sought,
    values: u64,
    xid: u32,
    xids: Vec<u32>,
    lsn: Lsn,
    commit_time: String,
    last_commit_time: String,
    first_lsn: Lsn,
    rows: u64,
    rows_total: u64,
    tables: Vec<Touched>,
    changed: u64,
    objects: u64,
    objects_changed: u64,
    unplaced: u64,
    outdated: u64,
    changes_text: String,
    locked: Vec<String>,
    emptied: Vec<String>,
    dropped_files: usize,
    set_file: String,
    set_digest: String,
    candidates: Vec<Listed>,
    others: u64,
    candidates_text: String,
    segments: usize,
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let wanted = wanted(&parameters)?;
    let connection = caps.open(&parameters.server)?;
    let facts = cluster::facts(&connection)?;
    let files = relation::files_of(&connection, &parameters.table)?;
    refuse_unlogged(&files, &parameters.table)?;

    let folder = parameters.archive.as_deref().unwrap_or(ARCHIVE);
    let timeline = parameters.timeline.filter(|timeline| *timeline != 0).unwrap_or(facts.timeline);
    let facts = Facts { timeline, ..facts };
    let archive = archive::list(caps, &parameters.machine, folder, &facts)?;
    let reader = || Reader { caps, machine: &parameters.machine, archive: &archive };
    let range = range(&connection, &reader(), &facts, &parameters)?;
    archive.check_heads(caps, &parameters.machine, &archive.segments[range.first..], facts.system_identifier)?;
    caps.info(&format!("searching {} WAL segments in {}", archive.segments.len() - range.first, archive.path));

    let searches = [Sought::Removed, Sought::Changed].map(|sought| Search {
        reader: reader(),
        range: &range,
        files: &files,
        wanted: &wanted,
        sought,
    });
    let (search, finding) = look(&searches, parameters.damage, &parameters.table)?;
    let layout = layout::read(&connection)?;
    let inquiry = Inquiry { connection: &connection, facts: &facts, search, layout: &layout, table: &parameters.table };
    let (culprit, removals, emptied) = match finding {
        Finding::Culprit(culprit) => {
            let removals = search.removals(&culprit, &layout)?;
            (culprit, removals, BTreeSet::new())
        }
        Finding::Rewritten(found) => match search.emptied(&connection, &found, &layout)? {
            Some(Emptied { culprit, removals, tables }) => (culprit, removals, tables),
            None => return Err(inquiry.rewritten(&found)?),
        },
        Finding::Nobody(nobody) => return Err(inquiry.nobody(&nobody)?),
    };
    let mut sorted = sorting::sort(search.sought, &layout, &culprit.transactions, &removals)?;
    sorted.empty(emptied);
    let locked = removals.locked(facts.database, &sorted.set);
    let mut listed = listed(&connection, &culprit, &files)?;
    name_clients(&connection, caps, &parameters.machine, &mut listed);
    let others = culprit.seen.saturating_sub(culprit.transactions.len() as u64);
    let outputs = Outputs {
        damage: search.sought,
        candidates_text: match sorted.set.emptied.is_empty() {
            true => {
                told::candidates(search.sought, &parameters.table, &listed, culprit.transactions.len() as u64, others)
            }
            false => told::emptied(&listed, &sorted.set.emptied),
        },
        others,
        candidates: listed,
        locked: locked.iter().map(TableName::plain).collect(),
        ..outputs(&connection, &culprit, &sorted, &files)?
    };
    warn(caps, &removals, &outputs);
    let (set_file, set_digest) = write(call, caps, &parameters, sorted.set)?;
    let summary = summary(&outputs, &parameters.table);
    Outcome::new(Outputs { set_file, set_digest, ..outputs }, summary)
}

/// The search that counts, and how it ended: what is looked for second is found only where there is nothing of the first.
fn look<'s, 'a, C: Capabilities>(
    [removed, changed]: &'s [Search<'a, C>; 2],
    damage: Damage,
    table: &str,
) -> Result<(&'s Search<'a, C>, Finding<'s>), Failure> {
    if damage == Damage::Changed {
        return Ok((changed, changed.culprit(table)?));
    }
    let first = removed.culprit(table);
    let nothing = match &first {
        Ok(finding) => matches!(finding, Finding::Nobody(_)),
        Err(failure) => failure.code() == "pg-xid-not-found",
    };
    if nothing
        && damage == Damage::Any
        && let Ok(found @ Finding::Culprit(_)) = changed.culprit(table)
    {
        return Ok((changed, found));
    }
    Ok((removed, first?))
}

fn wanted(parameters: &Parameters) -> Result<Wanted, Failure> {
    let given = parameters.xids.iter().copied().chain(parameters.xid).filter(|xid| *xid != 0);
    let xids: BTreeSet<u32> = given.map(low_half).collect();
    match (xids.is_empty(), parameters.all) {
        (true, false) => Ok(Wanted::Largest),
        (true, true) => Ok(Wanted::All),
        (false, false) => Ok(Wanted::These(xids)),
        (false, true) => Err(Failure::invalid_input(
            "pg-which-transactions",
            "name the transactions (`xid`, `xids`) or ask for `all` between `since` and `until`, not both",
        )),
    }
}

/// The part of a 64-bit transaction id that the WAL knows.
fn low_half(xid: i64) -> u32 {
    u32::try_from(xid & 0xFFFF_FFFF).unwrap_or_default()
}

fn refuse_unlogged(files: &[TableFile], table: &str) -> Result<(), Failure> {
    if files.iter().any(|file| file.logged) {
        return Ok(());
    }
    let message = format!(
        "`{table}` is unlogged or temporary: the WAL does not record its rows and no backup contains them, so they \
         cannot be put back"
    );
    Err(Failure::permanent("pg-table-unlogged", message))
}

fn range<C: Capabilities>(
    connection: &C::Connection,
    reader: &Reader<'_, C>,
    facts: &Facts,
    parameters: &Parameters,
) -> Result<Range, Failure> {
    let since = parameters.since.as_str();
    let until = parameters.until.as_deref().map(|until| server::moment(connection, until)).transpose()?;
    // Clocks are set, and a standby that became the primary has its own: the times of commits are not quite in order.
    let last =
        parameters.until.as_deref().map(|until| server::moment_before(connection, until, -FAR_SECONDS)).transpose()?;
    let [since, flush, near, far] = [
        server::moment(connection, since)?,
        server::moment_before(connection, since, FLUSH_SECONDS)?,
        server::moment_before(connection, since, NEAR_SECONDS)?,
        server::moment_before(connection, since, FAR_SECONDS)?,
    ];
    if until.as_ref().is_some_and(|until| until.text < since.text) {
        return Err(Failure::invalid_input(
            "pg-until-before-since",
            "`until` is before `since`: there is nothing between them",
        ));
    }
    let (archive, times) = (reader.archive, Times::new(reader, facts.system_identifier));
    let exact = times.position_of(&since)?;
    archive.whole(&archive.segments[exact..])?;
    if exact == 0 && times.begin_after(&since)? {
        reader.caps.warn("nothing in the archive is older than `since`; older segments may have been removed");
    }
    // A gap that only the margin reaches is not a reason to refuse.
    let reached = archive.reaches_back(exact);
    let first = times.position_of(&near)?.clamp(reached, exact);
    let far_first = times.position_of(&far)?.clamp(reached, first);
    let end = last.map_or(Ok(archive.segments.len()), |last| times.position_of(&last).map(|position| position + 1))?;
    Ok(Range { since, flush, near, far, until, first, far_first, end: end.max(exact + 1) })
}

fn listed(connection: &impl Connection, culprit: &Culprit, files: &[TableFile]) -> Result<Vec<Listed>, Failure> {
    let one = |candidate: &Candidate| {
        let names = files.iter().filter(|file| candidate.files.contains(&file.file));
        Ok(Listed {
            xid: candidate.xid,
            commit_time: rfc3339(connection, &candidate.commit_time)?,
            rows: candidate.rows,
            tables: names.map(|file| file.table.plain()).collect(),
            chosen: culprit.transactions.iter().any(|chosen| chosen.xid == candidate.xid),
            early: candidate.early,
            application: None,
            user: None,
        })
    };
    culprit.candidates.iter().map(one).collect()
}

/// Names the clients of the transactions, if the server's log names them.
fn name_clients<C: Capabilities>(connection: &C::Connection, caps: &C, machine: &str, listed: &mut [Listed]) {
    let Some(log) = ServerLog::open(connection, caps, machine) else { return };
    let transactions: Vec<_> = listed.iter().map(|it| (it.xid, it.commit_time.clone())).collect();
    for (it, client) in listed.iter_mut().zip(log.clients(&transactions)) {
        it.application = client.as_ref().map(|client| client.application.clone());
        it.user = client.and_then(|client| client.user);
    }
}

/// All outputs except those that need other facts.
fn outputs(
    connection: &impl Connection,
    culprit: &Culprit,
    sorted: &Sorted,
    files: &[TableFile],
) -> Result<Outputs, Failure> {
    let (first, last) = match culprit.transactions.as_slice() {
        [one] => (one, one),
        [first, .., last] => (first, last),
        [] => return Err(Failure::permanent("pg-no-damage-found", "no transaction is left of those that were found")),
    };
    let Sorted { set, tables, changes } = sorted;
    let total = |counts: &[(String, u64)]| counts.iter().map(|(_, count)| count).sum();
    Ok(Outputs {
        damage: Sought::Removed,
        values: set.values(),
        emptied: set.emptied.iter().map(TableName::plain).collect(),
        xid: first.xid,
        xids: set.transactions.clone(),
        lsn: first.lsn,
        commit_time: rfc3339(connection, &first.commit_time)?,
        last_commit_time: rfc3339(connection, &last.commit_time)?,
        first_lsn: culprit.transactions.iter().map(|it| it.first_lsn).min().unwrap_or(first.first_lsn),
        rows: files.iter().filter_map(|file| set.tables.get(&file.table)).map(Tuples::len).sum(),
        rows_total: set.rows(),
        tables: tables.clone(),
        changed: set.rows_changed(),
        objects: changes.objects,
        objects_changed: changes.objects_changed,
        unplaced: total(&changes.unplaced),
        outdated: total(&changes.outdated),
        changes_text: told::changes(changes),
        locked: Vec::new(),
        dropped_files: changes.dropped_files,
        set_file: String::new(),
        set_digest: String::new(),
        candidates: Vec::new(),
        others: 0,
        candidates_text: String::new(),
        segments: culprit.segments,
    })
}

fn summary(outputs: &Outputs, table: &str) -> String {
    let who = match outputs.xids.as_slice() {
        [one] => format!("transaction {one}"),
        several => format!("{} transactions, the first of them {},", several.len(), outputs.xid),
    };
    let others = match outputs.others {
        0 => String::new(),
        others => format!("; {others} other transactions that {} rows of it were not chosen", outputs.damage.word()),
    };
    if !outputs.emptied.is_empty() {
        return format!("{who} emptied {} at {}", outputs.emptied.join(", "), outputs.commit_time);
    }
    if outputs.damage == Sought::Changed {
        return format!(
            "{who} changed {} rows of {table} and others at {}{others}",
            outputs.changed, outputs.commit_time
        );
    }
    format!(
        "{who} removed {} rows of {table} ({} with dependent tables) at {}{others}",
        outputs.rows, outputs.rows_total, outputs.commit_time
    )
}

/// pg_waldump prints times in the zone of the machine that it runs on; if that is not UTC, the server converts them.
fn rfc3339(connection: &impl Connection, time: &str) -> Result<String, Failure> {
    if let Some(time) = search::utc(time) {
        return Ok(format!("{}Z", time.replacen(' ', "T", 1)));
    }
    let rows = connection.query(
        "SELECT to_char($1::text::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS time",
        &[Value::from(time)],
    )?;
    rows.one()?.get("time")
}

/// Reports what a responder must know about the set before it is used.
fn warn(caps: &impl Capabilities, removals: &Removals<'_>, outputs: &Outputs) {
    if outputs.others > 0 {
        caps.warn(&outputs.candidates_text);
    }
    let did_more = outputs.changed + outputs.objects + outputs.objects_changed + outputs.unplaced + outputs.outdated;
    if outputs.damage == Sought::Removed && did_more > 0 || outputs.dropped_files > 0 {
        caps.warn(&format!("the transaction did more than remove rows. {}", outputs.changes_text));
    }
    if !outputs.locked.is_empty() {
        caps.warn(&format!(
            "the transaction locked {} against reading until it committed, so a paused copy cannot read them: \
             restore the copy with `promote: true`",
            outputs.locked.join(", ")
        ));
    }
    let perhaps_own = removals.doubts().perhaps_own;
    if perhaps_own > 0 {
        caps.warn(&format!(
            "{perhaps_own} of the rows may have been written with COPY after the moment of the copy: the copy shows \
             only rows from before"
        ));
    }
}

/// Writes the exact set; its path and digest. If places of changed rows make it too large, it is written without them.
fn write(
    call: &Call,
    caps: &impl Capabilities,
    parameters: &Parameters,
    mut set: ExactSet,
) -> Result<(String, String), Failure> {
    let mut content = set.print().into_bytes();
    if content.len() > SET_BYTES_MAX && !set.changed.is_empty() && set.became.is_empty() {
        caps.warn("too many rows were changed to record each of them: the changed rows cannot be put back");
        set.changed.clear();
        content = set.print().into_bytes();
    }
    if content.len() > SET_BYTES_MAX {
        let message = format!("the exact set has {} bytes, and a file can have at most {SET_BYTES_MAX}", content.len());
        return Err(Failure::permanent("pg-set-too-large", message));
    }
    let kind = format!("exact-set-{}", set.first());
    let path = match &parameters.work {
        Some(work) => format!("{}/{kind}-{}.txt", caps.folder(&parameters.machine, work)?, short_hash(&call.key)),
        None => run_files::path(call, caps, &parameters.machine, &kind, ".txt")?,
    };
    caps.write_file(&parameters.machine, &path, &content)?;
    Ok((path, digest::of(&content)))
}
