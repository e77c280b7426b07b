//! A line of a table of checks, and what it looks at.

use super::{
    episode::Episode,
    evidence::Evidence,
    holding::Holding,
    spec::{DrillSpec, RecoverSpec},
};
use crate::{
    measurement::{FinalState, Losses},
    report::{Check, CheckKind},
};

/// Everything that checks look at.
#[derive(Clone, Copy)]
pub(super) struct Looked<'a> {
    pub(super) evidence: &'a Evidence,
    /// `None` if the records could not be read.
    pub(super) losses: Option<&'a Losses>,
    pub(super) spec: &'a DrillSpec,
    pub(super) holding: &'a Holding,
    /// Counted from 1. The checks of the whole drill run with the first one.
    pub(super) number: usize,
    pub(super) episode: &'a Episode,
    /// The engine's run in it.
    pub(super) run: &'a str,
    /// `None` if nothing is recovered.
    pub(super) recover: Option<&'a RecoverSpec>,
    /// The steps of the runbook that tell people something.
    pub(super) telling: &'a [String],
}

/// A line of a table of checks.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) kind: CheckKind,
    pub(super) scope: Scope,
    /// Whether a drill of that outline can have it.
    pub(super) possible: fn(&Outline) -> bool,
    /// Whether there is anything to look at.
    pub(super) applies: fn(&Looked<'_>) -> bool,
    /// What that needs of a drill, in words.
    pub(super) needs: &'static str,
    pub(super) look: fn(&Looked<'_>) -> Seen,
}

/// What a drill does, as far as its file says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    pub(super) recovers: bool,
    pub(super) watches_standbys: bool,
    pub(super) runs_routines: bool,
    /// Whether one of its faults may lose acknowledged writes.
    pub(super) may_lose_writes: bool,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole drill.
    Drill,
    /// Each recovery, with what struck before it.
    Episode,
}

/// What a check saw, in words.
pub(super) enum Seen {
    Holds(String),
    Fails(String),
    /// Nothing is known: it neither holds nor fails.
    Unknown(String),
}

/// Whether it holds, and what was seen.
pub(super) fn seen(holds: bool, detail: impl Into<String>) -> Seen {
    if holds { Seen::Holds(detail.into()) } else { Seen::Fails(detail.into()) }
}

pub(super) fn always(_: &Looked<'_>) -> bool {
    true
}

/// A recovery with something to recover from.
pub(super) fn with_fault(looked: &Looked<'_>) -> bool {
    looked.holding.fault && looked.recover.is_some()
}

impl Rule {
    /// Looks.
    pub(super) fn check(&self, looked: &Looked<'_>) -> Check {
        let (passed, mut measured, mut detail) = match (self.look)(looked) {
            Seen::Holds(detail) => (true, true, detail),
            Seen::Fails(detail) => (false, true, detail),
            Seen::Unknown(why) => (false, false, format!("not measured: {why}")),
        };
        let mut episodes = looked.evidence.episodes.iter();
        let cut_short = match self.scope {
            Scope::Drill => episodes.any(Episode::out_of_time),
            Scope::Episode => looked.episode.out_of_time(),
        };
        // The drill ended the recovery itself: what is not right yet might still have become right.
        if cut_short && self.kind == CheckKind::Result && !passed {
            let at_most = looked.recover.map(|recover| recover.at_most).unwrap_or_default();
            measured = false;
            detail = format!(
                "not measured: the drill ended this recovery after {at_most:?}, its time limit; until then, {detail}"
            );
        }
        let episode = self.episode(looked);
        Check { name: self.name.to_owned(), episode, kind: self.kind, passed, measured, detail }
    }

    /// Where nothing is recovered there is no episode that it could be of.
    pub(super) fn episode(&self, looked: &Looked<'_>) -> Option<usize> {
        (self.scope == Scope::Episode && looked.recover.is_some()).then_some(looked.number)
    }
}

/// How many records are not the same in both, or only in one.
pub(super) fn differing(one: &FinalState, other: &FinalState) -> usize {
    let differ = other.iter().filter(|(key, record)| one.get(key) != Some(record)).count();
    differ + one.keys().filter(|key| !other.contains_key(key)).count()
}
