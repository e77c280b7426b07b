//! The drill simulator: real servers, a disaster, the real engine, and what the recovery cost.

pub mod proxy;
pub mod testbed;
