//! A page by itself: whether its header makes sense, and whether its checksum fits, as `PageIsVerified` of PostgreSQL decides.

use std::fmt;

use super::checksum::{PAGE_BYTES, checksum};
use crate::wal::segment::Lsn;

pub(super) const HEADER_BYTES: u16 = 24;
/// `PD_VALID_FLAG_BITS`.
const KNOWN_FLAGS: u16 = 0x0007;

/// What is wrong with a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// Its content does not fit its checksum.
    Checksum,
    /// Its header makes no sense.
    Header,
    /// It is all zeros, and had rows.
    Zeroed,
    /// It is not there: its file ends before it, and an index leads to it.
    Missing,
    /// Its index does not match its table, whatever its pages say.
    Mismatch,
    /// The file that it should be in is not there.
    Lost,
}

impl Problem {
    /// The word in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Header => "header",
            Self::Zeroed => "zeroed",
            Self::Missing => "missing",
            Self::Mismatch => "mismatch",
            Self::Lost => "lost",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "a wrong checksum",
            Self::Header => "a broken header",
            Self::Zeroed => "nothing but zeros",
            Self::Missing => "no place in their file, which ends before or is gone",
            Self::Mismatch => "entries that do not match its table",
            Self::Lost => "no file",
        })
    }
}

/// Two bytes of it.
pub(super) fn word(page: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([page[at], page[at + 1]])
}

/// Whether it is all zeros, or nothing at all.
pub fn is_empty(page: &[u8]) -> bool {
    page.iter().all(|byte| *byte == 0)
}

/// What is wrong with the page with that number; none where it is sound. One that was never used is all zeros, and as such no problem.
pub fn problem(page: &[u8], block: u32, checksums: bool) -> Option<Problem> {
    if page.len() != PAGE_BYTES {
        return Some(Problem::Missing);
    }
    if is_empty(page) {
        return None;
    }
    let [flags, lower, upper, special] = [10, 12, 14, 16].map(|at| word(page, at));
    let last = u16::try_from(PAGE_BYTES).unwrap_or(u16::MAX);
    let makes_sense = flags & !KNOWN_FLAGS == 0
        && HEADER_BYTES <= lower
        && lower <= upper
        && upper <= special
        && special <= last
        && special.is_multiple_of(8);
    if !makes_sense {
        return Some(Problem::Header);
    }
    (checksums && word(page, 8) != checksum(page, block)).then_some(Problem::Checksum)
}

/// The position in the WAL up to which the page's last change is recorded, as its header says.
pub fn lsn(page: &[u8]) -> Lsn {
    let half = |at: usize| u64::from(u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]]));
    Lsn(half(0) << 32 | half(4))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::example::{flipped, page};

    #[test]
    fn a_page_is_judged_as_postgresql_does() {
        type Change = fn(&mut Vec<u8>);
        let check = |change: Change, block: u32, expect: Option<Problem>| {
            let mut page = page(7, 0x0300_0128);
            change(&mut page);
            assert_eq!(problem(&page, block, true), expect);
        };
        check(|_| {}, 7, None);
        check(|_| {}, 8, Some(Problem::Checksum));
        check(|page| page[7_000] ^= 1, 7, Some(Problem::Checksum));
        check(|page| page[..24].fill(0xde), 7, Some(Problem::Header));
        check(|page| page[12..14].fill(0), 7, Some(Problem::Header));
        check(|page| page.fill(0), 7, None);
        check(|page| page.truncate(4_096), 7, Some(Problem::Missing));
        let page = flipped(page(7, 0x0300_0128));
        assert_eq!(problem(&page, 7, false), None, "without checksums nobody sees it");
        assert_eq!(lsn(&page).to_string(), "0/3000128");
    }
}
