//! Every run on this machine, with how it stands.

use std::fs;

use jiff::Timestamp;
use lifeboat_core::{
    event::Outcome,
    name::RunId,
    plan::RunbookRef,
    run::{Pause, Phase, StepState},
};

use super::{Home, Loaded};
use crate::{Error, holder::Holder, lease::Loss};

/// A run in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub run: RunId,
    /// Its runbook; not known of a damaged run, and so for the next two.
    pub runbook: Option<RunbookRef>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When its last event was.
    pub changed: Option<Timestamp>,
    /// How it stands.
    pub standing: Standing,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// An engine is working on it.
    Live(Holder),
    /// It is not over and nobody works on it: a person must answer.
    Waiting,
    /// It is not over and nobody works on it: somebody paused it, and it goes on when it is resumed.
    Paused(Box<Pause>),
    /// It is not over and nobody works on it: `lifeboat resume` goes on.
    Resumable,
    /// It is not over and can not go on: a lease of it was taken over.
    Fenced(Box<Loss>),
    /// It is over.
    Finished(Outcome),
    /// Its journal or plan can not be trusted; the code says why.
    Damaged(&'static str),
}

impl Home {
    /// Every run that has begun, the newest first; damaged ones come last.
    pub fn runs(&self) -> Result<Vec<Listed>, Error> {
        let mut runs = Vec::new();
        for name in self.run_names()? {
            match self.load(&name) {
                Ok(loaded) => runs.push(self.list(name, &loaded)?),
                Err(Error::NeverStarted { .. } | Error::Unknown { .. }) => {}
                Err(error) => {
                    let standing = Standing::Damaged(error.code());
                    runs.push(Listed { run: name, runbook: None, started: None, changed: None, standing });
                }
            }
        }
        runs.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| b.run.cmp(&a.run)));
        Ok(runs)
    }

    fn list(&self, run: RunId, loaded: &Loaded) -> Result<Listed, Error> {
        Ok(Listed {
            runbook: Some(loaded.plan.runbook.clone()),
            started: loaded.run.started.as_ref().map(|(at, _)| *at),
            changed: loaded.end.at,
            standing: self.standing(&run, loaded)?,
            run,
        })
    }

    /// Every folder under `runs/` that has the name of a run, in order.
    pub(super) fn run_names(&self) -> Result<Vec<RunId>, Error> {
        let folder = self.runs_folder();
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::unreadable(&folder))? {
            let entry = entry.map_err(Error::unreadable(&folder))?;
            names.extend(entry.file_name().into_string().ok().and_then(|name| RunId::new(name).ok()));
        }
        names.sort();
        Ok(names)
    }

    fn standing(&self, run: &RunId, loaded: &Loaded) -> Result<Standing, Error> {
        if let Phase::Finished { outcome, .. } = loaded.run.phase {
            return Ok(Standing::Finished(outcome));
        }
        if let Some(holder) = self.holder(run)? {
            return Ok(Standing::Live(holder));
        }
        if let Some(loss) = self.lost_lease(run)? {
            return Ok(Standing::Fenced(Box::new(loss)));
        }
        if let Some(pause) = &loaded.run.pause {
            return Ok(Standing::Paused(Box::new(pause.clone())));
        }
        let awaits = loaded.run.steps.iter().any(|step| matches!(step.state, StepState::Awaiting(_)));
        Ok(if awaits { Standing::Waiting } else { Standing::Resumable })
    }
}
