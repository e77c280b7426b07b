//! A run in the list of a store, and how it stands.

use jiff::Timestamp;
use lifeboat_core::{
    event::Outcome,
    every::Every,
    name::RunId,
    plan::RunbookRef,
    run::{Pause, Phase, Run, StepState},
};

use super::Loaded;
use crate::{holder::Holder, lease::Loss};

/// A run in the list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its name.
    pub run: RunId,
    /// Its runbook; not known of a damaged run.
    pub runbook: Option<RunbookRef>,
    /// How often its runbook has to be executed with success; `None` where that does not say so.
    pub every: Option<Every>,
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
    /// A person paused it, and it continues when it is resumed, whether an engine waits for that or not.
    Paused(Box<Pause>),
    /// It is not over and no engine works on it: `lifeboat resume` continues.
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
            every: loaded.plan.every,
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
