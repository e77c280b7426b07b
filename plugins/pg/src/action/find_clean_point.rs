//! `pg/find-clean-point`: the last moment at which a server was as it was recorded, in what its tables hold and in what carries code.

use std::collections::BTreeMap;

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use super::short_lived_copy::Copies;
use crate::{
    backup::{
        base_backup::{self, BACKUPS, Backup},
        seal::sealed::{self, Seal},
    },
    intrusion::{
        boundary::{Boundary, BoundarySearch},
        look::{ColdRows, Look, look},
        moments::{Point, points},
    },
    server::{Capabilities, databases::some},
    wal::{
        archive::{self, ARCHIVE},
        cluster,
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    #[serde(default)]
    cold: Vec<ColdRows>,
    reference: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    accept: Vec<String>,
    archive: Option<String>,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "find-clean-point",
        Effect::Destroy,
        "Finds the last moment at which a server was as it was recorded in the seal of its oldest sealed backup, twice: \
         in what its tables hold (rows that by policy never change, and columns in which more values look random, as \
         ciphertext does), and in what carries code or rights (functions, triggers, roles, settings …). Each look is at \
         a copy of its own, restored to that moment, paused, and removed afterwards. The moments are the seal and the \
         begin of each archived segment of the WAL behind it; those behind a backup come first. The moment of the seal \
         must be clean and the end of the archive dirty, or it fails: it never guesses.",
    )
    .parameter("server", "target<postgres:read>", "The server; only asked who it is and how its WAL is cut.")
    .parameter("machine", "target<machine:destroy>", "Where the copies are made, with the backups and the WAL archive.")
    .optional(
        "cold",
        "list<record{table: string, below: int}>",
        "Rows that by policy never change: those of a table (with its schema) whose key is below a number. Without any, \
         only columns are seen in which more than 0.5 % of the rows were encrypted.",
    )
    .optional("reference", "string", "The sealed backup that everything is compared with (the oldest); empty means that one too.")
    .optional("settings", "map<string>", "Further settings of the copies, as in `pg/restore`.")
    .optional("accept", "list<string>", "As in `pg/restore`.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("reference", "string", "The backup whose seal everything was compared with.")
    .output("data_lsn", "string", "The last moment at which what the tables hold was clean.")
    .output("code_lsn", "string", "The last moment at which code and rights were clean.")
    .output("data_findings", "list<string>", "What was wrong with the data at the first dirty moment.")
    .output("code_findings", "list<string>", "What has changed in code and rights by the end of the archive.")
    .output("points", "int", "How many moments there were.")
    .output("looks", "int", "How many of them were looked at.")
    .output("text", "string", "The same in words.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let mut parameters: Parameters = call.parameters()?;
    parameters.reference = parameters.reference.filter(|name| !name.is_empty());
    let (seal, points) = basis(caps, &parameters)?;
    let copies = Copies {
        call,
        caps,
        machine: &parameters.machine,
        server: &parameters.server,
        settings: &parameters.settings,
        accept: &parameters.accept,
        archive: parameters.archive.as_deref(),
        backups: parameters.backups.as_deref(),
    };
    let place = Place { copies, cold: &parameters.cold, seal: &seal, points: &points };
    let mut see = |point: usize| place.look(point);
    let mut search = BoundarySearch::default();
    let (first, last) = (0, points.len() - 1);
    let found = search.look_at(first, &mut see)?.clone();
    if found.has_dirty_data() || found.has_dirty_code() {
        let message = format!(
            "a copy of {} at the moment of its seal is not as it was sealed, so nothing can be compared with it, and there is no clean point: {}",
            seal.backup,
            words(&found)
        );
        return Err(Failure::permanent("pg-no-clean-point", message));
    }
    let end = search.look_at(last, &mut see)?.clone();
    if !end.has_dirty_data() && !end.has_dirty_code() {
        let message = format!(
            "the end of the archive is as {} was sealed: nothing of an intruder is seen, and there is no point to go back to",
            seal.backup
        );
        return Err(Failure::permanent("pg-nothing-suspicious", message));
    }
    let code = search.boundary(&points, Look::has_dirty_code, &mut see)?;
    let data = search.boundary(&points, Look::has_dirty_data, &mut see)?;
    let dirty = data.dirty.and_then(|point| search.seen(point)).cloned().unwrap_or_default();
    let text = told(&points, &search, &seal, (&data, &code));
    let outputs = json!({
        "reference": seal.backup,
        "data_lsn": points[data.clean].lsn,
        "code_lsn": points[code.clean].lsn,
        "data_findings": dirty.data,
        "code_findings": end.code,
        "points": points.len(),
        "looks": search.looks(),
        "text": text,
    });
    Outcome::new(outputs, text.clone())
}

fn words(look: &Look) -> String {
    some(&look.data.iter().chain(&look.code).cloned().collect::<Vec<_>>())
}

fn told(points: &[Point], search: &BoundarySearch, seal: &Seal, (data, code): (&Boundary, &Boundary)) -> String {
    let one = |what: &str, boundary: &Boundary| {
        let clean = points[boundary.clean].lsn;
        let until = match boundary.dirty {
            Some(dirty) => format!("{what} were clean at {clean} and not at {}", points[dirty].lsn),
            None => format!("{what} are clean up to the end"),
        };
        match boundary.contradictions.as_slice() {
            [] => until,
            odd => {
                format!("{until} (clean again at {} moments behind it: somebody may have changed them back)", odd.len())
            }
        }
    };
    format!(
        "compared with the seal of {}: {}; {}; {} of {} moments were looked at",
        seal.backup,
        one("the data", data),
        one("code and rights", code),
        search.looks(),
        points.len()
    )
}

/// The seal that everything is compared with, and the points behind it.
fn basis<C: Capabilities>(caps: &C, parameters: &Parameters) -> Result<(Seal, Vec<Point>), Failure> {
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let connection = caps.open(&parameters.server)?;
    let facts = cluster::facts(&connection)?;
    let backups = base_backup::list(caps, machine, &folder)?;
    let seal = reference(caps, parameters, &folder, &backups)?;
    if seal.system_identifier != facts.system_identifier.to_string() {
        let message = format!(
            "the seal of {} is of the cluster {}, and the server is {}",
            seal.backup, seal.system_identifier, facts.system_identifier
        );
        return Err(Failure::permanent("pg-backup-foreign", message));
    }
    let archive = archive::list(caps, machine, parameters.archive.as_deref().unwrap_or(ARCHIVE), &facts)?;
    let points = points(&seal, &backups, &archive);
    Ok((seal, points))
}

/// The oldest seal that has everything, or that of the backup that is wanted.
fn reference(
    caps: &impl Capabilities,
    parameters: &Parameters,
    folder: &str,
    backups: &[Backup],
) -> Result<Seal, Failure> {
    let machine = parameters.machine.as_str();
    let wanted = parameters.reference.as_deref();
    for backup in backups.iter().filter(|backup| wanted.is_none_or(|name| backup.name == name)) {
        let seal = sealed::find(caps, machine, folder, backup)?;
        if let Some(seal) = seal.filter(|seal| seal.code.is_some() && seal.random.is_some()) {
            return Ok(seal);
        }
    }
    let which =
        wanted.map_or_else(|| format!("no backup in {folder}"), |name| format!("{folder}/{name} is not there, or"));
    let message = format!(
        "{which} has a seal with code and shares of random values, made with a superuser's login: nobody recorded what \
         was clean, so no moment can be called clean"
    );
    Err(Failure::permanent("pg-not-sealed", message))
}

/// Where it is looked.
struct Place<'a, C> {
    copies: Copies<'a, C>,
    cold: &'a [ColdRows],
    seal: &'a Seal,
    points: &'a [Point],
}

impl<C: Capabilities> Place<'_, C> {
    /// Looks at a copy that is restored to a point.
    fn look(&self, point: usize) -> Result<Look, Failure> {
        let Self { copies, cold, seal, points } = self;
        let Point { lsn, is_end, .. } = &points[point];
        let target = if *is_end { json!({ "latest": true }) } else { json!({ "lsn": lsn }) };
        let (done, total) = (u64::try_from(point).unwrap_or_default(), u64::try_from(points.len()).ok());
        copies.caps.progress(done, total, "moments", &lsn.to_string());
        copies.ask(&lsn.to_string(), &target, Some(&seal.database), |connection| {
            look(copies.caps, connection, seal, cold)
        })
    }
}
