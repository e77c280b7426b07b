//! What every action needs from its call: parameters, durations, digests.

pub mod digest;
pub mod duration;
pub mod parameters;
