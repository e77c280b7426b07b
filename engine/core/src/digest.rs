//! Digests, in the one form that every file and report uses.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// `sha256:` and the digest of the bytes in lowercase hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
