//! A breakage that a drill can be held with.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ledger::Name;

/// A breakage, and by what the drill must see it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Control {
    /// Its name in the report.
    pub name: String,
    /// The step that it breaks, and that must say, wrongly, that it succeeded; `None` where it breaks the drill itself.
    pub step: Option<String>,
    /// What happens instead.
    #[serde(flatten)]
    pub breakage: Breakage,
    /// What must turn red: a check by its name, `rto`, `rpo` or `residual-damage`.
    pub red_by: String,
}

/// What happens instead of what should.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Breakage {
    /// The step does what this word says; there is but one.
    Does(Nothing),
    /// The step gets these parameters instead of its own. `{ fact: NAME }` stands for what the fault knows.
    With(Map<String, Value>),
    /// The step leaves out each n-th damaged record of a collection.
    LeavesOut(LeftOut),
    /// The ledger loses the n-th acknowledgement. For the tests of the drill itself: no drill file has it.
    #[serde(skip)]
    LosesAcknowledgement(u64),
}

/// The step does nothing, and says that it did.
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
    /// Of which collection.
    pub collection: Name,
    /// One of so many.
    pub each: usize,
}
