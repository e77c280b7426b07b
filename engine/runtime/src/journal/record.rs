//! One line of the journal.

use std::fmt::Write;

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The version of the format that this engine writes and reads.
pub const FORMAT: u32 = 1;

/// An event as it stands in the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Counted from 1 without gaps.
    pub seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// `sha256:…` of the line before (without its newline); of the first line, of the run's name.
    pub previous: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// The hash that the first record of a run points to.
pub(super) fn hash_of_name(run: &RunId) -> String {
    hash(run.as_str().as_bytes())
}

/// `sha256:` and 64 hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing into a string can not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
