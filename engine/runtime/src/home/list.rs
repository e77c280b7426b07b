//! Every run on this machine, with how it stands.

use std::{
    fs,
    io::{BufRead, BufReader, ErrorKind, Read},
};

use jiff::Timestamp;
use lifeboat_core::{
    event::Outcome,
    name::RunId,
    plan::RunbookRef,
    run::{Pause, Phase, Run, StepState},
};

use super::{Home, Loaded};
use crate::{Error, holder::Holder, lease::Loss};

/// A run in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub run: RunId,
    /// Its runbook; not known of a damaged run.
    pub runbook: Option<RunbookRef>,
    /// When it started; of a damaged run as well as that can be told.
    pub started: Option<Timestamp>,
    /// When its last event was; not known of a damaged run.
    pub changed: Option<Timestamp>,
    /// Whether it is a rehearsal: a policy answers in it for people, and its systems are made for it. Not known of a damaged run.
    pub is_drill: bool,
    /// The engine that works on it, if one does.
    pub engine: Option<Holder>,
    /// How it stands.
    pub standing: Standing,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// An engine is working on it, and asks nobody anything.
    Live,
    /// A person must answer, whether an engine waits for that or not.
    Waiting,
    /// Somebody paused it, and it continues when it is resumed, whether an engine waits for that or not.
    Paused(Box<Pause>),
    /// It is not over and nobody works on it: `lifeboat resume` continues.
    Resumable,
    /// It is not over and cannot continue: a lease of it was taken over.
    Fenced(Box<Loss>),
    /// It is over.
    Finished(Outcome),
    /// Its journal or plan cannot be trusted; the code says why.
    Damaged(&'static str),
}

impl Standing {
    fn of(run: &Run, is_live: bool, lost: Option<Loss>) -> Self {
        if let Phase::Finished { outcome, .. } = run.phase {
            return Self::Finished(outcome);
        }
        if let Some(loss) = lost.filter(|_| !is_live) {
            return Self::Fenced(Box::new(loss));
        }
        if let Some(pause) = &run.pause {
            return Self::Paused(Box::new(pause.clone()));
        }
        let awaits = run.steps.iter().any(|step| matches!(step.state, StepState::Awaiting(_)));
        match (awaits, is_live) {
            (true, _) => Self::Waiting,
            (false, true) => Self::Live,
            (false, false) => Self::Resumable,
        }
    }
}

impl Listed {
    /// A run that was loaded, the engine that works on it, and the lease that was taken over from it.
    pub fn of(run: &RunId, loaded: &Loaded, engine: Option<Holder>, lost: Option<Loss>) -> Self {
        Self {
            run: run.clone(),
            runbook: Some(loaded.plan.runbook.clone()),
            started: loaded.run.started.as_ref().map(|(at, _)| *at),
            changed: loaded.end.at,
            is_drill: loaded.is_drill(),
            standing: Standing::of(&loaded.run, engine.is_some(), lost),
            engine,
        }
    }

    /// Whether somebody may still have to do something about it: it is not over, whether an engine works on it or not.
    pub fn is_open(&self) -> bool {
        !matches!(self.standing, Standing::Finished(_) | Standing::Damaged(_) | Standing::Fenced(_))
    }
}

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
        Listed { run, runbook: None, started, changed: None, is_drill: false, engine: None, standing }
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

    fn folder_changed_at(&self, run: &RunId) -> Option<Timestamp> {
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
