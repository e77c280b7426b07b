//! The real cost of the recovery: pure functions over the ledger, the probes, the instants and the final state.
//!
//! The definitions are those of the drill documentation. Every duration is an interval: an objective is met if the upper end of
//! the interval is within it, and missed if the lower end is beyond it; everything else is unmeasured, and says what was missing.
//! Nothing here reads a clock or a server, so the same code measures a drill, a control run and a made-up history.

mod chain;
mod final_state;
mod lag;
mod lanes;
mod loss;
mod missing;
mod objective;
mod outage;
mod probe;
mod rpo;
mod rto;
#[cfg(test)]
mod tests;

pub use final_state::{FinalRecord, FinalState};
pub use lag::{Lag, LagObjective, Sighting, caught_up, lag_of, lags};
pub use lifeboat_present::drill::{Interval, Verdict};
pub use loss::{Losses, Unexpected, UnexpectedKind, losses};
pub use missing::Missing;
pub use objective::judge;
pub use outage::{Bracket, Outage, Stability, StabilityRule, outage};
pub use probe::{Probe, ProbeKind};
pub use rpo::{Damage, Rpo, rpo};
pub use rto::{Instants, Rto, rto};
