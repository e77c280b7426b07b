//! One line of the journal.

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
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let mut text = String::with_capacity(71);
    text.push_str("sha256:");
    for byte in Sha256::digest(bytes) {
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 15)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_the_one_that_other_tools_print() {
        let of_nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hash(b""), of_nothing);
    }
}
