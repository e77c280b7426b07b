//! Whether the page of a copy is the last version of a damaged one.
//!
//! The header of a page says up to where the WAL records its changes. Where the header of the damaged page is readable and says the same
//! as the copy's, both are one version: 64 bits do not agree by chance. Where it names a position that the copy has not replayed, the
//! copy is too old. Everywhere else the WAL decides: the copy has replayed all of it up to a position, and from there to the end no record
//! may touch the page. So it is where the position is damaged itself, or the page is one of another table: a change that the copy has
//! replayed would be in its page, and one behind the end of the WAL was never written.

use std::fmt;

use lifeboat_plugin::Failure;

use crate::{
    pages::{Problem, is_empty, lsn, problem},
    wal::segment::Lsn,
};

/// Why a page of a copy is the last version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The damaged page has the same position in the WAL.
    SamePosition(Lsn),
    /// The header says nothing that can be believed: the WAL must not touch the page from the end of the copy's on.
    NothingLater,
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SamePosition(lsn) => write!(f, "both pages are of {lsn}"),
            Self::NothingLater => write!(f, "no later record of the WAL touches it"),
        }
    }
}

/// A damaged page, and the page of a copy that may take its place.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// For people: `page 7 of public.t`.
    pub name: &'a str,
    /// Its number in the relation.
    pub block: u32,
    /// As it lies on the server's disk.
    pub damaged: &'a [u8],
    /// As it lies in the copy.
    pub copy: &'a [u8],
}

/// What must be shown so that the copy's page may replace the damaged one. `reached`: up to where the copy has replayed the
/// WAL; `end`: where the WAL of the server ends. `checksums`: whether the cluster has them.
///
/// # Errors
/// `pg-page-not-in-copy` where the copy's page is of no use, `pg-page-stale` where the damaged page is of a later version.
pub fn judge(pair: &Pair<'_>, (reached, end): (Lsn, Lsn), checksums: bool) -> Result<Proof, Failure> {
    let Pair { name, block, damaged, copy } = *pair;
    let unusable = |why: &str| Failure::permanent("pg-page-not-in-copy", format!("{name}: in the copy the page {why}"));
    if is_empty(copy) {
        return Err(unusable("is empty"));
    }
    if let Some(problem) = problem(copy, block, checksums) {
        return Err(unusable(&format!("has {problem} too: the damage is older than the backup")));
    }
    if lsn(copy) > reached {
        return Err(unusable("was changed by the copy itself, after it had been promoted"));
    }
    // Zeros have no header, and neither has a page that is not there; one that makes no sense says nothing.
    if is_empty(damaged) || matches!(problem(damaged, block, checksums), Some(Problem::Header | Problem::Missing)) {
        return Ok(Proof::NothingLater);
    }
    let (damaged, copy) = (lsn(damaged), lsn(copy));
    if damaged == copy {
        return Ok(Proof::SamePosition(copy));
    }
    if damaged > reached && damaged <= end {
        let message = format!(
            "{name}: the damaged page was last changed at {damaged}, and that of the copy at {copy}: putting it in its place \
             would lose what was written between"
        );
        return Err(Failure::permanent("pg-page-stale", message));
    }
    Ok(Proof::NothingLater)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages::{
        PAGE_BYTES,
        example::{self, flipped},
    };

    fn page(at: u32) -> Vec<u8> {
        example::page(3, at)
    }

    #[test]
    fn only_the_last_version_is_accepted() {
        let header = |mut page: Vec<u8>| {
            page[..24].fill(0xde);
            page
        };
        let check = |damaged: &[u8], copy: &[u8], expect: Result<Proof, &str>| {
            let pair = Pair { name: "page 3 of t", block: 3, damaged, copy };
            let judged = judge(&pair, (Lsn(800), Lsn(900)), true);
            assert_eq!(judged.as_ref().copied().map_err(Failure::code), expect, "{judged:?}");
        };
        check(&flipped(page(500)), &page(500), Ok(Proof::SamePosition(Lsn(500))));
        check(&flipped(page(801)), &page(500), Err("pg-page-stale"));
        check(&flipped(page(900)), &page(500), Err("pg-page-stale"));
        check(&flipped(page(499)), &page(500), Ok(Proof::NothingLater));
        // The copy has replayed this change, and its page does not have it; or nobody ever wrote it.
        check(&flipped(page(501)), &page(500), Ok(Proof::NothingLater));
        check(&flipped(page(901)), &page(500), Ok(Proof::NothingLater));
        check(&header(page(900)), &page(500), Ok(Proof::NothingLater));
        check(&vec![0; PAGE_BYTES], &page(500), Ok(Proof::NothingLater));
        check(&[], &page(500), Ok(Proof::NothingLater));
        check(&page(500)[..4_096], &page(500), Ok(Proof::NothingLater));
        check(&header(page(900)), &page(801), Err("pg-page-not-in-copy"));
        check(&flipped(page(500)), &flipped(page(500)), Err("pg-page-not-in-copy"));
        check(&flipped(page(500)), &vec![0; PAGE_BYTES], Err("pg-page-not-in-copy"));
    }
}
