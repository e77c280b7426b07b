//! Loading a run: the plan, and the fold of the journal.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use lifeboat_core::{event::Event, name::RunId, plan::Plan};

use super::{ChangedFile, Home, Resources, RunFolder};
use crate::{
    Error, driver,
    journal::{self, Contents, Damage, Problem},
    store::Loaded,
};

impl Home {
    /// Loads a run, live or not, without taking its lock. Refuses a damaged journal and a plan that is not the run's own.
    pub fn load(&self, run: &RunId) -> Result<Loaded, Error> {
        let folder = self.folder(run);
        let contents = read_journal(&folder, run)?;
        let plan = read_plan(&folder, &contents)?;
        let state = driver::fold(&plan, &contents.records).map_err(damaged(&folder))?;
        Ok(Loaded {
            plan,
            run: state,
            events: contents.records,
            bindings_source: read(&folder.bindings())?,
            runbook_source: read(&folder.runbook())?,
            end: contents.end,
            torn_bytes: contents.torn_bytes,
        })
    }

    /// The runbook and those that it calls, as far as the author's files were changed or are gone since the run was started: the
    /// run keeps to the plan that it began with.
    pub fn changed_files(&self, run: &RunId) -> Vec<ChangedFile> {
        self.folder(run).changed_files()
    }

    /// Where the runbook of a run was when the run was started: what its relative paths are seen from. `None` of one that was in no file.
    pub fn runbook_path(&self, run: &RunId) -> Option<PathBuf> {
        self.folder(run).runbook_path()
    }

    /// The resources of a run, as it took them when it started.
    pub(crate) fn leases_of(&self, run: &RunId) -> Result<Resources, Error> {
        let path = self.folder(run).leases();
        let text = read(&path)?;
        serde_json::from_slice(&text).map_err(|error| Error::unreadable(path)(error.into()))
    }
}

/// The journal's records; at least one, and all of this run.
fn read_journal(folder: &RunFolder, run: &RunId) -> Result<Contents, Error> {
    let path = folder.journal();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.path().exists() => {
            return Err(Error::Unknown { name: run.to_string() });
        }
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::NeverStarted { run: run.clone() }),
        Err(error) => return Err(Error::unreadable(path)(error)),
    };
    let contents = journal::read(&bytes).map_err(damaged(folder))?;
    match contents.run() {
        None => Err(Error::NeverStarted { run: run.clone() }),
        Some(named) if named == run => Ok(contents),
        Some(named) => {
            let problem = Problem::Illegal(format!("it is the journal of `{named}`"));
            Err(damaged(folder)(Damage { line: 1, problem }))
        }
    }
}

fn read_plan(folder: &RunFolder, contents: &Contents) -> Result<Plan, Error> {
    let path = folder.plan();
    let changed = |problem: String| Error::Plan { path: path.clone(), problem };
    let stored = read(&path)?;
    let digest = Plan::digest_of(&stored);
    match contents.records.first().map(|record| &record.event) {
        Some(Event::RunStarted(started)) if started.plan_digest == digest => {
            serde_json::from_slice(&stored).map_err(|error| changed(error.to_string()))
        }
        _ => Err(changed(format!("its digest is {digest}, which differs from the one in the journal"))),
    }
}

fn damaged(folder: &RunFolder) -> impl FnOnce(Damage) -> Error {
    let path = folder.journal();
    move |damage| Error::Journal { path, damage }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::unreadable(path))
}
