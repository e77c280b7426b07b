//! Moments of which the WAL says which transactions had not begun yet.
//!
//! Every checkpoint, and every few seconds the background writer, logs RUNNING_XACTS with the next xid that will be given. It
//! does so while it holds the lock under which xids are given (`LogStandbySnapshot` in PostgreSQL's `standby.c`), so a
//! transaction with that xid or a later one has written nothing before the record. That makes reading from there on exact.

use crate::wal::{
    segment::Lsn,
    waldump::{Kind, Record},
};

/// A RUNNING_XACTS record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Where it begins.
    pub lsn: Lsn,
    /// No transaction had been given this xid, or a later one, yet.
    pub next_xid: u32,
}

impl Mark {
    /// The mark that a record is, if it is one.
    pub fn of(record: &Record) -> Option<Self> {
        match record.kind {
            Kind::Running { next_xid } => Some(Self { lsn: record.lsn, next_xid }),
            _ => None,
        }
    }

    /// Whether a transaction with this xid has written nothing before the mark.
    pub fn is_before(&self, xid: u32) -> bool {
        !precedes(xid, self.next_xid)
    }
}

/// Whether an xid is older than another, modulo 2^32 (PostgreSQL's `TransactionIdPrecedes` for normal xids).
pub fn precedes(one: u32, other: u32) -> bool {
    one.wrapping_sub(other).cast_signed() < 0
}

/// The oldest of a transaction and its subtransactions.
pub fn oldest(xid: u32, subtransactions: &[u32]) -> u32 {
    let older = |one: u32, other: u32| if precedes(one, other) { one } else { other };
    subtransactions.iter().copied().fold(xid, older)
}

/// Marks in the order of the WAL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// Adds a mark; one that comes before others is sorted in.
    pub fn add(&mut self, mark: Mark) {
        let at = self.0.partition_point(|each| each.lsn < mark.lsn);
        self.0.insert(at, mark);
    }

    /// The last mark before which a transaction with this xid has written nothing.
    pub fn last_before(&self, xid: u32) -> Option<Mark> {
        self.0.iter().rfind(|mark| mark.is_before(xid)).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(all: &[(u64, u32)]) -> Marks {
        let mut marks = Marks::default();
        all.iter().for_each(|(lsn, next_xid)| marks.add(Mark { lsn: Lsn(*lsn), next_xid: *next_xid }));
        marks
    }

    #[test]
    fn the_last_mark_before_a_transaction_counts() {
        let check = |all: &[(u64, u32)], xid: u32, expect: Option<u64>| {
            assert_eq!(marks(all).last_before(xid).map(|mark| mark.lsn.0), expect, "{xid} in {all:?}");
        };
        check(&[(10, 700), (20, 705), (30, 710)], 705, Some(20));
        check(&[(10, 700), (20, 705), (30, 710)], 704, Some(10));
        check(&[(30, 710), (10, 700), (20, 705)], 709, Some(20));
        check(&[(10, 700), (20, 705)], 699, None);
        check(&[], 5, None);
        // The counter starts again at 3.
        check(&[(10, 4_294_967_290), (20, 5)], 4_294_967_292, Some(10));
        check(&[(10, 4_294_967_290), (20, 5)], 5, Some(20));
    }

    #[test]
    fn the_oldest_member_is_found_across_the_end_of_the_counter() {
        assert_eq!(oldest(7, &[]), 7);
        assert_eq!(oldest(9, &[8, 10]), 8);
        assert_eq!(oldest(4_294_967_295, &[3, 4]), 4_294_967_295);
    }

    proptest! {
        #[test]
        fn what_follows_within_half_the_counter_is_younger(xid: u32, distance in 1_u32..1 << 31) {
            prop_assert!(precedes(xid, xid.wrapping_add(distance)));
            prop_assert!(!precedes(xid.wrapping_add(distance), xid));
            prop_assert!(!precedes(xid, xid));
        }
    }
}
