//! What this state folder knows of rehearsals, for the commands that tell it.

use std::{collections::BTreeMap, fs, io};

use jiff::Timestamp;
use lifeboat_core::name::RunId;
use lifeboat_launch::{plugins, removal};
use lifeboat_present::{
    coverage::{Coverage, KnownDrill, Today, coverage},
    drill::{self, PluginReport},
    history::{self, Holding},
    metrics::{BackupLook, look},
};
use lifeboat_runtime::home::{Home, Listed, Standing};
use lifeboat_simulator::drill::{DrillError, DrillRequest};

/// How often each runbook was executed in earnest, by id.
pub(crate) fn runs(home: &Home) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut runs = BTreeMap::new();
    for listed in home.runs()?.into_iter().filter(|listed| !listed.is_drill) {
        let id = listed.runbook.map(|runbook| runbook.id).filter(|id| id != removal::RUNBOOK);
        id.into_iter().for_each(|id| *runs.entry(id).or_default() += 1);
    }
    Ok(runs)
}

/// `report.json` of a drill, as it was written then.
pub(crate) fn report(home: &Home, run: &RunId) -> io::Result<Option<String>> {
    match fs::read_to_string(home.report(run)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The holdings. What a line of an earlier version lacks is taken from its report, if that is still there.
fn holdings(home: &Home) -> anyhow::Result<Vec<Holding>> {
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
pub(crate) fn covered(home: &Home, files: &[String], now: Timestamp) -> anyhow::Result<Coverage> {
    let plugins = plugins::digests().into_iter().map(|(name, digest)| PluginReport { name, digest });
    let plugins: Vec<PluginReport> = plugins.collect();
    let (known, runs) = (known(home, files)?, runs(home)?);
    let today = Today { now, version: env!("CARGO_PKG_VERSION"), plugins: &plugins, known: &known, runs: &runs };
    Ok(coverage(&holdings(home)?, &today))
}

/// What the runs of this state folder tell of backups. A run that cannot be read tells nothing.
pub(crate) fn backup_looks(home: &Home) -> anyhow::Result<Vec<BackupLook>> {
    let told = |listed: &Listed| !listed.is_drill && matches!(listed.standing, Standing::Finished(_));
    let mut looks = Vec::new();
    for listed in home.runs()?.iter().filter(|listed| told(listed)) {
        let loaded = home.load(&listed.run)?;
        looks.extend(look(&loaded.plan, &loaded.run));
    }
    Ok(looks)
}
