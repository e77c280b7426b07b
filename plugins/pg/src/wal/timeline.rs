//! Timelines. Each promotion begins a new one, and a history file says where it left which older one: the chain of ancestors
//! decides which file of an archive holds a part of the WAL. A file of another timeline is another history, whatever its number.

use crate::wal::segment::{Lsn, Segment, SegmentSize};

/// A timeline and its ancestors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Oldest first; the last one is the timeline itself.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    timeline: u32,
    begin: Lsn,
}

impl Chain {
    /// A timeline without ancestors.
    pub fn of(timeline: u32) -> Self {
        Self { parts: vec![Part { timeline, begin: Lsn(0) }] }
    }

    /// Reads the history file of a timeline: a line for each ancestor with its number, where it was left, and why. None where it
    /// is damaged.
    pub fn parse(timeline: u32, text: &str) -> Option<Self> {
        let mut chain = Self { parts: Vec::new() };
        let mut begin = Lsn(0);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split_whitespace();
            let part = Part { timeline: words.next()?.parse().ok()?, begin };
            begin = words.next()?.parse().ok().filter(|end| *end >= part.begin)?;
            chain.push(part)?;
        }
        chain.push(Part { timeline, begin })?;
        Some(chain)
    }

    /// Timelines only grow.
    fn push(&mut self, part: Part) -> Option<()> {
        let grows = self.parts.last().is_none_or(|last| last.timeline < part.timeline);
        grows.then(|| self.parts.push(part))
    }

    /// The timeline itself.
    pub fn timeline(&self) -> u32 {
        self.parts.last().map_or(1, |part| part.timeline)
    }

    /// Where it left its last ancestor; the begin of everything where it has none.
    pub fn begin(&self) -> Lsn {
        self.parts.last().map_or(Lsn(0), |part| part.begin)
    }

    /// Whether the timeline is one of the chain.
    pub fn includes(&self, timeline: u32) -> bool {
        self.parts.iter().any(|part| part.timeline == timeline)
    }

    /// The timeline that wrote the byte at `lsn`.
    pub fn writer(&self, lsn: Lsn) -> u32 {
        self.parts.iter().rfind(|part| part.begin <= lsn).map_or(self.timeline(), |part| part.timeline)
    }

    /// The file that holds the segment of this number: of the newest timeline that begins in it or before, because a promotion
    /// copies the segment in which it happens.
    pub fn segment(&self, number: u64, size: SegmentSize) -> Segment {
        let owner = self.parts.iter().rfind(|part| Segment::holding(part.begin, part.timeline, size).number <= number);
        Segment { number, timeline: owner.map_or(self.timeline(), |part| part.timeline) }
    }
}

/// The timeline whose history file has this name.
pub fn of_history_file(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".history").filter(|number| number.len() == 8)?;
    let plain = number.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    plain.then(|| u32::from_str_radix(number, 16).ok())?
}

/// The name of a timeline's history file.
pub fn history_file(timeline: u32) -> String {
    format!("{timeline:08X}.history")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HISTORY: &str = "1\t0/3000060\tno recovery target specified\n\n# by hand\n2\t0/5000000\tbefore 2026-11-21\n";

    #[test]
    fn each_part_has_the_timeline_that_wrote_it() {
        let chain = Chain::parse(4, HISTORY).expect("a history");
        let check = |number: u64, timeline: u32| {
            assert_eq!(chain.segment(number, SegmentSize::DEFAULT), Segment { number, timeline });
        };
        check(0, 1);
        check(2, 1);
        // The promotion happened in this one.
        check(3, 2);
        check(4, 2);
        // It happened exactly between two segments.
        check(5, 4);
        check(900, 4);
        assert_eq!((chain.timeline(), chain.begin()), (4, Lsn(0x500_0000)));
        assert_eq!([1, 2, 3, 4].map(|timeline| chain.includes(timeline)), [true, true, false, true]);
        assert_eq!([0, 0x300_0059, 0x300_0060, 0x500_0000].map(|lsn| chain.writer(Lsn(lsn))), [1, 1, 2, 4]);
        assert_eq!(Chain::of(3).segment(7, SegmentSize::DEFAULT), Segment { number: 7, timeline: 3 });
    }

    #[test]
    fn a_damaged_history_is_none() {
        for text in ["x", "1", "1\tno", "2\t0/3000060\t", "1\t0/5\t\n1\t0/6\t", "3\t0/5\t", "1\t0/6\t\n2\t0/5\t"] {
            assert_eq!(Chain::parse(2, text), None, "{text:?}");
        }
        assert_eq!(Chain::parse(2, ""), Some(Chain::of(2)));
    }

    #[test]
    fn history_files_are_known_by_their_names() {
        let check = |name: &str, expect: Option<u32>| assert_eq!(of_history_file(name), expect, "{name}");
        check("00000002.history", Some(2));
        check("0000000A.history", Some(10));
        check("00000002.history.gz", None);
        check("2.history", None);
        check("0000000a.history", None);
        check("000000010000000000000003", None);
        assert_eq!(history_file(10), "0000000A.history");
    }

    proptest! {
        #[test]
        fn a_segment_is_its_last_bytes(ends in proptest::collection::vec(0_u64..1 << 34, 0..5), number in 0_u64..1 << 11) {
            let mut ends = ends;
            ends.sort_unstable();
            let line = |(index, end): (usize, &u64)| format!("{}\t{}\tx\n", index + 1, Lsn(*end));
            let text: String = ends.iter().enumerate().map(line).collect();
            let chain = Chain::parse(ends.len() as u32 + 1, &text).expect("a history");
            let last_byte = Lsn((number + 1) * SegmentSize::DEFAULT.bytes() - 1);
            prop_assert_eq!(chain.segment(number, SegmentSize::DEFAULT).timeline, chain.writer(last_byte));
        }
    }
}
