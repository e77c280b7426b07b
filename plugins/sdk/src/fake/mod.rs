//! In-memory doubles of every capability, for native tests of a plugin's logic.
//!
//! [`Fake`] holds one of each and is what a test passes as `C`. Like the host, it refuses what is above the granted effect
//! ([`Fake::grant`]) and what was not set up: an unexpected program or statement is an error, not an empty answer.

mod grant;
mod whole;

pub use grant::Grant;
pub use whole::*;
