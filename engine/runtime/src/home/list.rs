//! Every run on this machine, with how it stands.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read},
};

use jiff::Timestamp;
use lifeboat_core::name::RunId;

use super::Home;
use crate::{
    Error,
    store::{Listed, Loaded, Standing},
};

impl Home {
    /// Every run that has begun, the newest first, also the damaged ones: `last` is never silently an older run.
    pub fn runs(&self) -> Result<Vec<Listed>, Error> {
        let mut runs = Vec::new();
        for name in self.run_names()? {
            match self.load(&name).and_then(|loaded| self.listed(&name, &loaded)) {
                Ok(listed) => runs.push(listed),
                Err(Error::NeverStarted { .. } | Error::Unknown { .. }) => {}
                Err(error) => runs.push(self.damaged(name, &error)),
            }
        }
        runs.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.run.cmp(&a.run)));
        Ok(runs)
    }

    fn listed(&self, run: &RunId, loaded: &Loaded) -> Result<Listed, Error> {
        let engine = if loaded.run.outcome().is_some() { None } else { self.holder(run)? };
        let lost = if engine.is_none() && loaded.run.outcome().is_none() { self.lost_lease(run)? } else { None };
        Ok(Listed::of(run, loaded, engine, lost))
    }

    fn damaged(&self, run: RunId, error: &Error) -> Listed {
        let started = self.first_record_at(&run).or_else(|| self.folder_changed_at(&run));
        let standing = Standing::Damaged(error.code());
        Listed { run, runbook: None, every: None, started, changed: None, is_drill: false, engine: None, standing }
    }

    /// What the first line of a journal says, whatever is wrong with the rest.
    fn first_record_at(&self, run: &RunId) -> Option<Timestamp> {
        #[derive(serde::Deserialize)]
        struct Dated {
            at: Timestamp,
        }
        const LINE_MAX: u64 = 1 << 20;
        let mut line = String::new();
        BufReader::new(fs::File::open(self.journal(run)).ok()?.take(LINE_MAX)).read_line(&mut line).ok()?;
        serde_json::from_str::<Dated>(&line).ok().map(|dated| dated.at)
    }

    pub(super) fn folder_changed_at(&self, run: &RunId) -> Option<Timestamp> {
        fs::metadata(self.run_folder(run)).and_then(|facts| facts.modified()).ok()?.try_into().ok()
    }

    /// Every folder under `runs/` that has the name of a run, in order.
    pub(super) fn run_names(&self) -> Result<Vec<RunId>, Error> {
        let folder = self.runs_folder();
        let mut names = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(names),
            Err(error) => return Err(Error::unreadable(folder)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(Error::unreadable(&folder))?;
            names.extend(entry.file_name().into_string().ok().and_then(|name| RunId::new(name).ok()));
        }
        names.sort();
        Ok(names)
    }
}
