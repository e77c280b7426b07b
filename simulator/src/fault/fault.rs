//! What all faults have in common.

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
    ledger::{Inside, Key},
    measurement::FinalState,
    model::Size,
    testbed::{Door, Testbed},
    workload::shop::Habits,
};

/// The fact that names what a fault damaged that strikes no record, such as a file of a backup: whoever looks for it must name it.
pub const DAMAGED: &str = "damaged";

/// A fault. It knows exactly what it did; only the measurement gets that knowledge, never the engine.
#[async_trait]
pub trait Fault: Debug + Send + Sync {
    /// Strikes, once.
    ///
    /// # Errors
    /// If it could not: then there was no disaster, and the drill cannot be held.
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError>;

    /// Whether it deletes the customers that the size sets aside for it. Without any it has no effect, and only after it can customers be
    /// made again.
    fn deletes_customers(&self) -> bool {
        false
    }

    /// Whether writes that were acknowledged can be gone without anything being wrong: where a server is lost whose copy elsewhere was a
    /// little behind. How much is lost is measured; what is allowed, the objective says.
    fn may_lose_writes(&self) -> bool {
        false
    }

    /// Ends what can end by itself, such as a cut network. It is called when the drill ends at the latest, also after an error. It
    /// does not undo what a recovery has to undo.
    ///
    /// # Errors
    /// If it could not.
    async fn heal(&self, _scene: &Scene<'_>) -> Result<(), FaultError> {
        Ok(())
    }
}

/// What a fault can reach.
pub struct Scene<'a> {
    /// The systems.
    pub testbed: &'a Testbed,
    /// The system that keeps the application's records.
    pub store: &'a str,
    /// The route by which the application reaches it.
    pub door: Door,
    /// How much was loaded.
    pub size: &'a Size,
    /// What the application will do after the fault.
    pub habits: &'a Habits,
    /// The observer's clock.
    pub clock: &'a Clock,
    /// What is acknowledged to clients that are not the application.
    pub inside: &'a Inside,
    /// Tells people what is about to be done.
    pub say: &'a (dyn Fn(String) + Sync),
}

/// What a fault did.
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
    /// The records that it changed, as they were just before.
    pub changed: FinalState,
    /// The proof that it was a disaster.
    pub bite: Vec<Bite>,
    /// The same in words, such as which transaction it was.
    pub story: String,
    /// The facts that a responder would know, by the names in the kind's `told`.
    pub told: BTreeMap<&'static str, String>,
    /// The facts that no responder can know, by the names in the kind's `known`: only for controls.
    pub known: BTreeMap<&'static str, Value>,
    /// What an intruder has left and taken, if it was one. The application has to stop for such a recovery.
    pub intrusion: Option<Intrusion>,
}

/// What an intruder has left in a server, and what it has taken.
#[derive(Debug, Clone)]
pub struct Intrusion {
    /// What it has planted: no recovered server may have it.
    pub planted: Vec<Planted>,
    /// Logins whose passwords it knows, by role: no recovered server may let them in.
    pub stolen: Vec<(String, String)>,
}

/// Something that an intruder has planted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// What it is.
    pub what: &'static str,
    /// A query that says whether a server has it.
    pub sql: &'static str,
}

/// A part of the damage, as the system counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bite {
    /// What was counted.
    pub what: String,
    /// How many.
    pub count: u64,
    /// How many there should have been.
    pub wanted: Wanted,
}

/// How many there should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Exactly this many.
    Exactly(u64),
    /// At least one.
    Some,
}

impl Bite {
    /// Whether the number is right.
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
    /// The result of a fault that touched no record.
    pub(super) fn without_damage(kind: &'static str, began: At, ended: At, bite: Vec<Bite>, story: String) -> Self {
        let (removed, changed) = (FinalState::new(), FinalState::new());
        Self {
            kind,
            began,
            ended,
            removed,
            changed,
            bite,
            story,
            told: BTreeMap::new(),
            known: BTreeMap::new(),
            intrusion: None,
        }
    }

    /// The keys of the records that it removed or changed.
    pub fn damage(&self) -> BTreeSet<Key> {
        self.removed.keys().chain(self.changed.keys()).cloned().collect()
    }

    /// The total of the counted damage.
    pub fn total(&self) -> u64 {
        self.bite.iter().map(|bite| bite.count).sum()
    }

    /// Whether it did everything that defines this fault.
    pub fn has_bitten(&self) -> bool {
        !self.bite.is_empty() && self.bite.iter().all(Bite::holds)
    }
}

/// A kind of fault: a line of the table.
pub struct FaultKind {
    /// Its name in a drill file.
    pub name: &'static str,
    /// Its parameters.
    pub parameters: &'static Object,
    /// The parameters that name a system, each with the kinds that the system may have.
    pub systems: &'static [(&'static str, &'static [&'static str])],
    /// The parameters that name a region, or the outside.
    pub regions: &'static [&'static str],
    /// The facts that it gives to a responder.
    pub told: &'static [&'static str],
    /// The facts that only controls may use.
    pub known: &'static [&'static str],
    /// Makes one from its parameters, which match the table.
    pub make: fn(&Value) -> serde_json::Result<Box<dyn Fault>>,
}

/// The parameters of a fault, which match its table.
pub(super) fn parameters<T: DeserializeOwned>(value: &Value) -> serde_json::Result<T> {
    serde_json::from_value(value.clone())
}
