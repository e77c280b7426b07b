//! The drill simulator: real servers, a disaster, the real engine, and what the recovery cost.

pub mod clock;
pub mod ledger;
pub mod measurement;
pub mod proxy;
pub mod testbed;
