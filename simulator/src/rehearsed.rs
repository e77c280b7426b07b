//! What a state folder knows of rehearsals, and of backups that were verified: for those who tell it, and as metrics.

mod textfile;

use std::{collections::BTreeMap, fs, io};

use jiff::Timestamp;
use lifeboat_core::{event::Outcome, name::RunId};
use lifeboat_launch::{plugins, removal};
use lifeboat_present::{
    coverage::{Coverage, KnownDrill, Today, coverage},
    drill::{self, PluginReport},
    history::{self, Executed, Holding},
    metrics::{self, BackupLook, look},
};
use lifeboat_runtime::{
    error::Error,
    home::{Home, Listed, Standing},
};

pub use self::textfile::{TEXTFILE_SUFFIX, is_textfile, replace};
use crate::drill::{DrillError, DrillRequest};

/// How often each runbook was executed in earnest, by id.
pub fn runs(home: &Home) -> Result<BTreeMap<String, Executed>, Error> {
    let mut runs: BTreeMap<String, Executed> = BTreeMap::new();
    // The newest first.
    for listed in home.runs()?.into_iter().filter(|listed| !listed.is_drill) {
        let Some(id) = listed.runbook.map(|runbook| runbook.id).filter(|id| id != removal::RUNBOOK) else { continue };
        let first = Executed { every: listed.every, ..Executed::default() };
        let executed = runs.entry(id).or_insert(first);
        executed.times += 1;
        if listed.standing == Standing::Finished(Outcome::Succeeded) {
            executed.succeeded = executed.succeeded.max(listed.changed);
        }
    }
    Ok(runs)
}

/// `report.json` of a drill, as it was written then.
pub fn report(home: &Home, run: &RunId) -> io::Result<Option<String>> {
    match fs::read_to_string(home.report(run)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The holdings. What a line of an earlier version lacks is taken from its report, if that is still there.
pub fn holdings(home: &Home) -> Result<Vec<Holding>, Error> {
    let completed = |holding: Holding| {
        if holding.controls.is_some() {
            return holding;
        }
        let run = RunId::new(holding.run.as_str()).ok();
        let text = run.and_then(|run| report(home, &run).ok().flatten());
        match text.and_then(|text| drill::read(&text).ok()) {
            Some(report) => holding.completed(&report),
            None => holding,
        }
    };
    Ok(history::holdings(home.history()?).into_iter().map(completed).collect())
}

/// The drills of this binary and of those files. A file comes before a drill of the same name in the binary.
fn known(home: &Home, files: &[String]) -> Result<Vec<KnownDrill>, DrillError> {
    let mut known: Vec<KnownDrill> = Vec::new();
    for name in files.iter().cloned().chain(DrillRequest::built_in().map(str::to_owned)) {
        let request = DrillRequest::new(&name, home.path())?;
        if known.iter().all(|known| known.drill != request.spec.drill) {
            known.push(KnownDrill {
                command: format!("lifeboat drill {name} --controls"),
                file: request.drill_file(),
                runbooks: request.runbook_files(),
                drill: request.spec.drill,
            });
        }
    }
    Ok(known)
}

/// What was rehearsed and what was not, with the drills of these files beside those of the binary.
pub fn covered(home: &Home, files: &[String], now: Timestamp) -> Result<Coverage, DrillError> {
    let plugins = plugins::digests().into_iter().map(|(name, digest)| PluginReport { name, digest });
    let plugins: Vec<PluginReport> = plugins.collect();
    let (known, runs) = (known(home, files)?, runs(home)?);
    let today = Today { now, version: env!("CARGO_PKG_VERSION"), plugins: &plugins, known: &known, runs: &runs };
    Ok(coverage(&holdings(home)?, &today))
}

/// What the runs of this state folder tell of backups. A run that cannot be read tells nothing.
pub fn backup_looks(home: &Home) -> Result<Vec<BackupLook>, Error> {
    let told = |listed: &Listed| !listed.is_drill && matches!(listed.standing, Standing::Finished(_));
    let mut looks = Vec::new();
    for listed in home.runs()?.iter().filter(|listed| told(listed)) {
        let loaded = home.load(&listed.run)?;
        looks.extend(look(&loaded.plan, &loaded.run));
    }
    Ok(looks)
}

/// The metrics about drills and verified backups, with these labels on each.
///
/// # Errors
/// If a drill file is wrong, or the state folder cannot be read.
pub fn metrics(
    home: &Home,
    files: &[String],
    labels: &[(String, String)],
    now: Timestamp,
) -> Result<String, DrillError> {
    let coverage = covered(home, files, now)?;
    Ok(metrics::metrics(&coverage, &backup_looks(home)?, labels, env!("CARGO_PKG_VERSION")))
}
