//! A page as PostgreSQL would write it, for tests.

use super::{PAGE_BYTES, checksum};

/// Sound, with that number, last changed at that position of the WAL.
pub(crate) fn page(block: u32, lsn: u32) -> Vec<u8> {
    let mut page = vec![0; PAGE_BYTES];
    page[4..8].copy_from_slice(&lsn.to_le_bytes());
    for (at, value) in [(12, 40_u16), (14, 6_000), (16, 8_192), (18, 8_196)] {
        page[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    page[6_000..].fill(0x5a);
    seal(page, block)
}

/// The same, with the checksum that it should have.
fn seal(mut page: Vec<u8>, block: u32) -> Vec<u8> {
    let sum = checksum(&page, block).to_le_bytes();
    page[8..10].copy_from_slice(&sum);
    page
}

/// A bit of its content is another one.
pub(crate) fn flipped(mut page: Vec<u8>) -> Vec<u8> {
    page[7_000] ^= 1;
    page
}
