//! What every disaster has in common.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Debug},
};

use async_trait::async_trait;
use lifeboat_core::document::Object;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::FaultError;
use crate::{
    clock::{At, Clock},
    ledger::Key,
    measurement::FinalState,
    model::Size,
    testbed::{Door, Testbed},
    workload::shop::Habits,
};

/// A disaster. It knows exactly what it did; that is for the measurement alone and never reaches the engine.
#[async_trait]
pub trait Fault: Debug + Send + Sync {
    /// Strikes, once.
    ///
    /// # Errors
    /// Where it could not: then there was no disaster, and there is no drill.
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError>;

    /// Ends what can end by itself, such as a cut network. It is called at the latest when the drill ends, also after an error. What
    /// a recovery has to undo is not its business.
    ///
    /// # Errors
    /// Where it could not.
    async fn heal(&self, _scene: &Scene<'_>) -> Result<(), FaultError> {
        Ok(())
    }
}

/// What a disaster can reach.
pub struct Scene<'a> {
    /// The systems.
    pub testbed: &'a Testbed,
    /// The system that keeps the application's records.
    pub store: &'a str,
    /// By which way the application reaches it.
    pub door: Door,
    /// How much was loaded.
    pub size: &'a Size,
    /// What the application will do afterwards.
    pub habits: &'a Habits,
    /// The observer's clock.
    pub clock: &'a Clock,
    /// Tells people what is about to be done.
    pub say: &'a (dyn Fn(String) + Sync),
}

/// What a disaster did.
#[derive(Debug, Clone)]
pub struct Struck {
    /// Its kind.
    pub kind: &'static str,
    /// `T_c`: when its first damaging operation was sent.
    pub began: At,
    /// When it was known to be done.
    pub ended: At,
    /// The records that it removed, as they were just before.
    pub removed: FinalState,
    /// Likewise those that are there and are not as they were.
    pub changed: FinalState,
    /// The proof that it was a disaster.
    pub bite: Vec<Bite>,
    /// The same in words, such as which transaction it was.
    pub story: String,
    /// What a responder would know, by the names of the kind's `told`.
    pub told: BTreeMap<&'static str, String>,
    /// What nobody can know, by the names of the kind's `known`: for controls alone.
    pub known: BTreeMap<&'static str, Value>,
}

/// A part of what a disaster did, as the system counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bite {
    /// Of what.
    pub what: String,
    /// So many.
    pub count: u64,
    /// It should have been so many.
    pub wanted: Wanted,
}

/// How many there should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// So many.
    Exactly(u64),
    /// At least one.
    Some,
}

impl Bite {
    /// Whether it was as many as it should have been.
    pub fn holds(&self) -> bool {
        match self.wanted {
            Wanted::Exactly(wanted) => self.count == wanted,
            Wanted::Some => self.count > 0,
        }
    }
}

impl fmt::Display for Bite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wanted {
            Wanted::Exactly(wanted) => write!(f, "{} {} of {wanted}", self.count, self.what),
            Wanted::Some => write!(f, "{} {}", self.count, self.what),
        }
    }
}

impl Struck {
    /// What a disaster did that touched no record.
    pub(super) fn without_damage(kind: &'static str, began: At, ended: At, bite: Vec<Bite>, story: String) -> Self {
        let (removed, changed) = (FinalState::new(), FinalState::new());
        Self { kind, began, ended, removed, changed, bite, story, told: BTreeMap::new(), known: BTreeMap::new() }
    }

    /// The keys of the records that it removed or changed.
    pub fn damage(&self) -> BTreeSet<Key> {
        self.removed.keys().chain(self.changed.keys()).cloned().collect()
    }

    /// How much it did, in all.
    pub fn total(&self) -> u64 {
        self.bite.iter().map(|bite| bite.count).sum()
    }

    /// Whether it did all that makes it this disaster.
    pub fn has_bitten(&self) -> bool {
        !self.bite.is_empty() && self.bite.iter().all(Bite::holds)
    }
}

/// A kind of disaster: a line of the table.
pub struct FaultKind {
    /// Its name in a drill file.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static Object,
    /// The parameters that name a system, each with the kinds that it may be of.
    pub systems: &'static [(&'static str, &'static [&'static str])],
    /// The parameters that name a region, or the outside.
    pub regions: &'static [&'static str],
    /// The facts of which it tells a responder.
    pub told: &'static [&'static str],
    /// The facts that only controls may use.
    pub known: &'static [&'static str],
    /// Makes one from its parameters, which fit the table.
    pub make: fn(&Value) -> serde_json::Result<Box<dyn Fault>>,
}

/// The parameters of a fault, which fit its table.
pub(super) fn parameters<T: DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    serde_json::from_value(value.clone())
}
