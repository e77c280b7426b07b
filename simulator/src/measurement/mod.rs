//! What the recovery really cost: pure functions over the ledger, the probes, the instants and the final state.
//!
//! The definitions are those of the drill documentation. Every duration is an interval, and a verdict looks at its upper
//! end. Nothing here reads a clock or a server, so the same code measures a drill, a control run and a made-up history.

mod chain;
mod interval;
mod loss;
mod outage;
mod probe;
mod rpo;
mod rto;
#[cfg(test)]
mod tests;

pub use interval::{Interval, Verdict, judge};
pub use loss::{FinalRow, FinalState, Losses, Unexpected, UnexpectedKind, losses};
pub use outage::{Bracket, Outage, StabilityRule, outage};
pub use probe::{Probe, ProbeKind};
pub use rpo::{Damage, Rpo, rpo};
pub use rto::{Instants, Rto, rto};
