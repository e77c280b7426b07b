//! What every action needs of its call: parameters, durations, digests.

pub mod digest;
pub mod duration;
pub mod parameters;
