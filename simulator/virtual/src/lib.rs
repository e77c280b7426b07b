//! The virtual world: a runbook is played thousands of times in memory, with everything that can go wrong, through the engine
//! that also runs it in earnest; and what must always hold is held against what really happened.
//!
//! The engine's part is the shipped one: `drive`, `fold`, `interrupted`, the journal. The world around it is a queue ordered by
//! time, a seed, a store in memory, virtual plugins that answer in the declared types, and people who look before they answer.
//! Nothing here reads a clock or the disk; a case gives the same journal, byte for byte, on every machine.

mod behaviour;
mod calls;
mod case;
mod chance;
mod chronicle;
mod coverage;
mod disk;
mod explore;
mod faults;
#[cfg(test)]
mod fixture;
pub mod invariants;
mod judge;
pub mod lints;
mod lives;
mod memory;
mod mix;
mod operators;
mod people;
mod queue;
mod shelf;
mod shrink;
mod stored;
mod story;
mod subject;
#[cfg(test)]
mod tests;
mod troubled;
mod truth;
mod world;

pub use case::Case;
pub use coverage::{Coverage, StepCoverage};
pub use explore::{Counterexample, Explored, Flaw, Settings, explore, flaws, journals, replay};
pub use faults::{AppendFault, CallFault, Planned, QuestionFault, Selection, names};
pub use judge::judge;
pub use lives::{LifeEnd, Played, play, resume};
pub use memory::{MemoryDesk, MemoryLeases, MemoryLog, MemoryStore};
pub use stored::{Stored, StoredError, stored};
pub use story::Story;
pub use subject::Subject;
pub use troubled::{StoreCall, StoreTrouble, Strike, Troubled, TroubledLeases, TroubledLog};
pub use truth::{Answered, CallMade, HandWork, ReplyGiven, RequestTold, Truth};
