//! `pg/seal-backup`: records what the server holds at one point of its WAL behind the end of a backup.

use jiff::Timestamp;
use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome, postgres::Isolation};
use serde::Deserialize;
use serde_json::json;

use super::{switch_wal, verify_backup};
use crate::{
    backup::{
        base_backup::{self, BACKUPS, Backup},
        control,
        seal::{
            commit_order::{CommitOrder, Snapshot},
            inventory, measured, random_values,
            sealed::{self, Seal},
        },
    },
    server::{
        self, Capabilities,
        databases::{self, some},
    },
    wal::{
        archive::{self, ARCHIVE},
        cluster::{self, Facts},
        dump::{Pass, Reader},
        segment::Lsn,
        span::Span,
        waldump::Kind,
    },
};

/// So many snapshots are taken; each costs a segment of the WAL.
const SNAPSHOTS: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    backup: Option<String>,
    archive: Option<String>,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "seal-backup",
        Effect::Mutate,
        "Records beside a base backup what its server holds now: for each table of the login's database the number of \
         rows and a hash of them, in buckets of keys, how many values of each column look random, and a hash of each \
         object that carries code or rights. All are of one snapshot that lies at one point of the WAL; a copy \
         that is restored to there must hold the same (`pg/compare-seal`). Nobody waits for it but who empties a table \
         or changes its form. Needs the right to call pg_switch_wal. A seal is never overwritten.",
    )
    .parameter("server", "target<postgres:write>", "The server; the backup must be one of it.")
    .parameter("machine", "target<machine:write>", "Where the backup is, and the WAL archive.")
    .optional("backup", "string", "The backup's folder (the newest).")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("backup", "string", "The backup.")
    .output("made", "bool", "Whether the seal was made now; false: it was there already.")
    .output("xid", "int", "The transaction behind whose commit a copy must hold what the seal says.")
    .output("lsn", "string", "Where that commit is.")
    .output("tables", "int", "How many tables it has.")
    .output("rows", "int", "How many rows they have.")
    .output("left_out", "list<string>", "What it says nothing about, and why.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let backup = pick(caps, machine, &folder, parameters.backup.as_deref())?;
    if let Some(seal) = sealed::find(caps, machine, &folder, &backup)? {
        return outcome(&seal, false);
    }
    let connection = caps.open(&parameters.server)?;
    let facts = cluster::facts(&connection)?;
    let path = format!("{folder}/{}", backup.name);
    control::read(caps, machine, &path)?.check_identifier(&path, facts.system_identifier)?;
    let place = Place { caps, parameters: &parameters, connection: &connection, facts: &facts, backup: &backup };
    for _ in 0..SNAPSHOTS {
        if let Some(seal) = place.seal()? {
            seal.create(caps, machine, &folder)?;
            return outcome(&seal, true);
        }
        caps.info("the snapshot is no point of the WAL, because a transaction that it does not see committed before one that it sees: taking another one");
    }
    let message =
        format!("none of {SNAPSHOTS} snapshots was a point of the WAL: try again when fewer transactions commit");
    Err(Failure::transient("pg-seal-raced", message))
}

fn outcome(seal: &Seal, made: bool) -> Result<Outcome, Failure> {
    let (tables, rows) = (seal.tables.len(), seal.rows());
    let mut summary = format!(
        "{}: {rows} rows of {tables} tables {} behind the commit of transaction {} at {}",
        seal.backup,
        if made { "sealed" } else { "had been sealed" },
        seal.xid,
        seal.lsn
    );
    if !seal.left_out.is_empty() {
        summary = format!("{summary}; left out: {}", some(&seal.left_out));
    }
    let outputs = json!({
        "backup": seal.backup,
        "made": made,
        "xid": seal.xid,
        "lsn": seal.lsn,
        "tables": tables,
        "rows": rows,
        "left_out": seal.left_out,
    });
    Outcome::new(outputs, summary)
}

fn pick<C: Capabilities>(caps: &C, machine: &str, folder: &str, name: Option<&str>) -> Result<Backup, Failure> {
    let Some(name) = name else {
        let found = base_backup::survey(caps, machine, folder)?;
        return found.whole.last().cloned().ok_or_else(|| base_backup::none(folder, &found.others));
    };
    base_backup::check_name(name)?;
    let missing = || Failure::permanent("pg-no-backup", format!("there is no base backup {folder}/{name}"));
    base_backup::read(caps, machine, folder, name)?.ok_or_else(missing)
}

/// What is sealed, and by what.
struct Place<'a, C: Capabilities> {
    caps: &'a C,
    parameters: &'a Parameters,
    connection: &'a C::Connection,
    facts: &'a Facts,
    backup: &'a Backup,
}

impl<C: Capabilities> Place<'_, C> {
    /// A seal of one snapshot; none where that is no point of the WAL.
    fn seal(&self) -> Result<Option<Seal>, Failure> {
        let Self { caps, parameters, connection, facts, backup } = *self;
        // A commit of its own: however quiet the server is, the point lies behind the end of the backup.
        connection.begin(Isolation::ReadCommitted)?;
        connection.query("SELECT pg_current_xact_id()::text AS xid", &[])?;
        connection.commit()?;
        let reader = caps.open(&parameters.server)?;
        reader.begin(Isolation::RepeatableRead)?;
        measured::lock(connection, &reader)?;
        let rows = reader.query("SELECT pg_current_snapshot()::text AS snapshot", &[])?;
        let text: String = rows.one()?.get("snapshot")?;
        let odd = || Failure::permanent("pg-odd-answer", format!("`{text}` is not a snapshot"));
        let snapshot = Snapshot::parse(&text).ok_or_else(odd)?;
        let archive = parameters.archive.as_deref().unwrap_or(ARCHIVE);
        switch_wal::switch(caps, connection, Some((parameters.machine.as_str(), archive)), true)?;
        let Some(point) = self.point(&snapshot)? else { return Ok(None) };
        let database = server::login(&reader, &[])?.database;
        let made = i64::try_from(caps.now_ms()).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let mut seal = Seal::of(backup, facts.system_identifier, &database, made.unwrap_or_default(), point);
        let measured = measured::all(caps, &reader)?;
        (seal.tables, seal.left_out) = (measured.tables, measured.left_out);
        let others = databases::list(&reader, None)?.open;
        let others = others.iter().filter(|name| **name != database && *name != "template1");
        seal.left_out.extend(others.map(|name| format!("the database {name}: a seal has one database")));
        seal.random = Some(random_values::shares(caps, &reader)?);
        match server::is_superuser(&reader)? {
            true => seal.code = Some(inventory::read(&reader)?),
            false => seal.left_out.push("code and rights: the login is no superuser".to_owned()),
        }
        reader.rollback()?;
        seal.asserts().map(Some)
    }

    /// Behind which commit the snapshot lies, by the order of all commits since the begin of the backup.
    fn point(&self, snapshot: &Snapshot) -> Result<Option<(u32, Lsn)>, Failure> {
        let Self { caps, parameters, facts, backup, .. } = *self;
        let machine = parameters.machine.as_str();
        let archive = archive::list(caps, machine, parameters.archive.as_deref().unwrap_or(ARCHIVE), facts)?;
        if !backup.leads_to(&archive.chain) {
            let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
            return Err(Failure::permanent("pg-timeline", backup.astray(&folder, &archive.chain)));
        }
        let segments = verify_backup::from_begin(&archive, backup)?;
        let mut order = CommitOrder::default();
        let reader = Reader { caps, machine, archive: &archive };
        reader.read(&Pass::of(&["Transaction"]), Span::of(segments), |record| {
            if matches!(record.kind, Kind::Commit { .. }) {
                order.take(snapshot, record.xid, record.lsn);
            }
        })?;
        Ok(order.point().filter(|(_, lsn)| backup.end_lsn.is_none_or(|end| end <= *lsn)))
    }
}
