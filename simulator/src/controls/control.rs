//! A breakage with which a drill can be held.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ledger::Name;

/// A breakage, and what must detect it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Control {
    /// Its name in the report.
    pub name: String,
    /// The step that it breaks, which must wrongly report success; `None` if it breaks the drill itself.
    pub step: Option<String>,
    /// What happens instead.
    #[serde(flatten)]
    pub breakage: Breakage,
    /// What must turn red: a check by its name, `rto`, `rpo` or `residual-damage`.
    pub red_by: String,
}

/// What happens instead of the correct behaviour.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breakage {
    /// The step does what this word says; there is only one word.
    Does(Nothing),
    /// The step gets these parameters instead of its own. `{ fact: NAME }` stands for a fact that the injected fault knows.
    With(Map<String, Value>),
    /// The step leaves out each n-th damaged record of a collection.
    LeavesOut(LeftOut),
    /// The ledger loses the n-th acknowledgement. For the tests of the drill itself: no drill file has it.
    #[serde(skip)]
    LosesAcknowledgement(u64),
}

/// The step does nothing and reports success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nothing {
    /// At all.
    Nothing,
}

/// Which records are left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// The collection of the records.
    pub collection: Name,
    /// One record in this many is left out.
    pub each: usize,
}
