//! Parts of an archive, and how pg_waldump reads them: one timeline at a time, and a record that begins in one part to its end.

use crate::wal::segment::{Lsn, Segment, SegmentSize, stretches};

/// A record that begins in one part ends in the next one. Those of single rows are not longer than this.
const OVERLAP_BYTES: u64 = 64 << 10;

/// A part of the archive, without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span<'a> {
    /// The segments that hold it.
    pub segments: &'a [Segment],
    /// The first record of it, where it is not the first one of the first segment.
    pub from: Option<Lsn>,
    /// Where the first record behind it begins, where that is not behind the last segment.
    pub to: Option<Lsn>,
}

impl<'a> Span<'a> {
    /// All of these segments.
    pub fn of(segments: &'a [Segment]) -> Self {
        Self { segments, from: None, to: None }
    }

    /// The segments at these positions, and the end of the record that crosses into the segment behind them.
    pub(super) fn part(&self, begin: usize, end: usize, size: SegmentSize) -> Self {
        let crossing = self.segments.get(end).map(|next| Lsn(next.start(size).0 + OVERLAP_BYTES));
        let to = match (crossing, self.to) {
            (Some(crossing), Some(to)) => Some(crossing.min(to)),
            (crossing, to) => crossing.or(to),
        };
        let segments = &self.segments[begin..(end + 1).min(self.segments.len())];
        Self { segments, from: self.from.filter(|_| begin == 0), to }
    }

    /// The parts of one timeline each, as pg_waldump reads only one at a time: first segment, last segment, positions.
    pub(super) fn stretches(&self) -> Vec<Stretch> {
        let all = stretches(self.segments);
        let last = all.len().saturating_sub(1);
        let part = |(position, (first, end)): (usize, &(Segment, Segment))| Stretch {
            first: *first,
            last: *end,
            from: self.from.filter(|_| position == 0),
            to: self.to.filter(|_| position == last),
        };
        all.iter().enumerate().map(part).collect()
    }
}

/// What one pass reads: segments of one timeline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) first: Segment,
    pub(super) last: Segment,
    pub(super) from: Option<Lsn>,
    pub(super) to: Option<Lsn>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_on_into_the_next_segment() {
        let segments: Vec<_> = (1..=5).map(|number| Segment { number, timeline: 1 }).collect();
        let all = Span { segments: &segments, from: Some(Lsn(0x0100_0028)), to: Some(Lsn(0x0500_0060)) };
        let check = |begin: usize, end: usize, expect: (&[Segment], Option<u64>, Option<u64>)| {
            let part = all.part(begin, end, SegmentSize::DEFAULT);
            let lsn = |position: Option<Lsn>| position.map(|lsn| lsn.0);
            assert_eq!((part.segments, lsn(part.from), lsn(part.to)), expect, "{begin} to {end}");
        };
        check(0, 2, (&segments[..3], Some(0x0100_0028), Some(0x0301_0000)));
        check(2, 4, (&segments[2..], None, Some(0x0500_0060)));
        check(4, 5, (&segments[4..], None, Some(0x0500_0060)));
        let open = Span::of(&segments).part(3, 5, SegmentSize::DEFAULT);
        assert_eq!((open.segments.len(), open.to), (2, None));
    }
}
