//! Where in the WAL a snapshot lies. A snapshot sees transactions in the order in which they left the list of running ones, and the WAL
//! has them in the order in which their commits were written: with `synchronous_commit = off`, or a synchronous standby, the two differ.
//! Only where every commit that the snapshot sees comes before every one that it does not see, replay can stop at what it sees.

use crate::wal::segment::Lsn;

/// The transactions that a snapshot sees, with their epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Every transaction before it had ended.
    begin: u64,
    /// No transaction from it on had begun.
    end: u64,
    /// Those between that were running.
    running: Vec<u64>,
}

impl Snapshot {
    /// What `pg_current_snapshot()` returns: `734:740:734,737`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (begin, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let list = parts.next()?;
        let running =
            list.split(',').filter(|xid| !xid.is_empty()).map(|xid| xid.parse().ok()).collect::<Option<_>>()?;
        parts.next().is_none().then_some(Self { begin, end, running })
    }

    /// Whether it sees a transaction that has committed, by its number in the WAL.
    pub fn sees(&self, xid: u32) -> bool {
        let xid = self.with_epoch(xid);
        xid < self.begin || (xid < self.end && !self.running.contains(&xid))
    }

    /// The WAL leaves the epoch out: the nearest one to the snapshot is meant.
    fn with_epoch(&self, xid: u32) -> u64 {
        let distance = xid.wrapping_sub(self.end as u32).cast_signed();
        self.end.wrapping_add_signed(i64::from(distance))
    }
}

/// The commits of the WAL, in its order, as a snapshot sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitOrder {
    last_seen: Option<(u32, Lsn)>,
    meets_hidden: bool,
    is_mixed: bool,
}

impl CommitOrder {
    /// The next commit.
    pub fn take(&mut self, snapshot: &Snapshot, xid: u32, lsn: Lsn) {
        if snapshot.sees(xid) {
            self.is_mixed |= self.meets_hidden;
            self.last_seen = Some((xid, lsn));
        } else {
            self.meets_hidden = true;
        }
    }

    /// The last commit that the snapshot sees, and where it is; none where one that it does not see comes before.
    pub fn point(&self) -> Option<(u32, Lsn)> {
        self.last_seen.filter(|_| !self.is_mixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(text: &str) -> Snapshot {
        Snapshot::parse(text).expect(text)
    }

    #[test]
    fn a_snapshot_is_understood() {
        let expected = Snapshot { begin: 734, end: 740, running: vec![734, 737] };
        assert_eq!(Snapshot::parse("734:740:734,737"), Some(expected));
        assert_eq!(snapshot("5:5:"), Snapshot { begin: 5, end: 5, running: Vec::new() });
        for odd in ["", "5", "5:6", "5:6:x", "5:6:7:8", "a:6:"] {
            assert_eq!(Snapshot::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_snapshot_sees_what_had_ended() {
        let check =
            |text: &str, xid: u32, expect: bool| assert_eq!(snapshot(text).sees(xid), expect, "{xid} in {text}");
        for (xid, expect) in [(733, true), (734, false), (735, true), (737, false), (739, true), (740, false)] {
            check("734:740:734,737", xid, expect);
        }
        // The number in the WAL has begun again, and the transaction before it has not.
        check("4294967294:4294967300:4294967295", 4_294_967_295, false);
        check("4294967294:4294967300:4294967295", 4_294_967_294, true);
        check("4294967294:4294967300:4294967295", 3, true);
        check("4294967294:4294967300:4294967295", 4, false);
    }

    #[test]
    fn the_point_is_behind_the_last_commit_that_is_seen() {
        let check = |commits: &[u32], expect: Option<u32>| {
            let mut order = CommitOrder::default();
            (1..).zip(commits).for_each(|(at, xid)| order.take(&snapshot("10:15:10,12"), *xid, Lsn(at)));
            assert_eq!(order.point().map(|(xid, _)| xid), expect, "{commits:?}");
        };
        check(&[8, 11, 13, 10, 16, 12], Some(13));
        check(&[8, 13, 11], Some(11));
        check(&[10, 15], None);
        // One that it does not see was written before one that it sees.
        check(&[8, 10, 13], None);
        check(&[15, 9], None);
        check(&[], None);
    }
}
