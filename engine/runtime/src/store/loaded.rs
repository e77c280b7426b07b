//! A run as a store loads it.

use std::collections::BTreeMap;

use lifeboat_core::{event::Person, plan::Plan, run::Run};

use crate::journal::{End, Recorded};

/// A run as its last finished append left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it executes.
    pub plan: Plan,
    /// Its state: the fold of the events.
    pub run: Run,
    /// Its journal.
    pub events: Vec<Recorded>,
    /// The bindings file's bytes.
    pub bindings_source: Vec<u8>,
    /// The runbook's bytes.
    pub runbook_source: Vec<u8>,
    /// Where the journal continues.
    pub end: End,
    /// Bytes behind its end: a line that was being written when the engine ended.
    pub torn_bytes: u64,
}

impl Loaded {
    /// Whether it is a drill: a policy started it, and answers in it for people.
    pub fn is_drill(&self) -> bool {
        self.run.started.as_ref().is_some_and(|(_, facts)| matches!(facts.who, Person::Policy { .. }))
    }

    /// The people of each role, as the bindings named them when the run was started.
    pub fn roles(&self) -> BTreeMap<String, Vec<String>> {
        self.run.started.as_ref().map(|(_, facts)| facts.people.clone()).unwrap_or_default()
    }
}
