//! What an intruder has left: which moments are clean, in what the tables hold and in what carries code or rights.

pub mod boundary;
pub mod look;
pub mod moments;
