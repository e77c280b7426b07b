//! Names and positions in the write-ahead log: LSNs, segments, timelines, and what is missing between two segments.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A position in the write-ahead log; printed and parsed the way PostgreSQL does (`0/16B3748`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lsn(pub u64);

/// A text that is not an LSN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnLsn(String);

impl fmt::Display for NotAnLsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a position in the WAL such as `0/16B3748`", self.0)
    }
}

impl FromStr for Lsn {
    type Err = NotAnLsn;
    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let parse = |part: &str| match part.len() {
            1..=8 => u32::from_str_radix(part, 16).ok().filter(|_| !part.starts_with('+')),
            _ => None,
        };
        let parts = text.split_once('/').and_then(|(high, low)| Some((parse(high)?, parse(low)?)));
        let (high, low) = parts.ok_or_else(|| NotAnLsn(text.to_owned()))?;
        Ok(Self(u64::from(high) << 32 | u64::from(low)))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

impl TryFrom<String> for Lsn {
    type Error = NotAnLsn;
    fn try_from(text: String) -> Result<Self, NotAnLsn> {
        text.parse()
    }
}

impl From<Lsn> for String {
    fn from(lsn: Lsn) -> Self {
        lsn.to_string()
    }
}

/// The size of a cluster's segments in bytes: a power of two from 1 MiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSize(u64);

impl SegmentSize {
    /// What `initdb` uses unless it is told otherwise.
    #[cfg(test)]
    pub const DEFAULT: Self = Self(16 << 20);

    /// None where no cluster can have that size.
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes)).then_some(Self(bytes))
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    fn per_log_file(self) -> u64 {
        (1 << 32) / self.0
    }
}

/// A segment of the WAL on a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// Counted from 0 at LSN `0/0`.
    pub number: u64,
    /// The timeline whose file it is.
    pub timeline: u32,
}

impl Segment {
    /// The segment whose file has that name; none for history files, backup labels, partial segments and anything else.
    pub fn parse(name: &str, size: SegmentSize) -> Option<Self> {
        let hexadecimal = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
        if name.len() != 24 || !hexadecimal {
            return None;
        }
        let part = |range: std::ops::Range<usize>| u32::from_str_radix(&name[range], 16).ok();
        let (timeline, high, low) = (part(0..8)?, part(8..16)?, part(16..24)?);
        let low = u64::from(low);
        (low < size.per_log_file()).then(|| Self { number: u64::from(high) * size.per_log_file() + low, timeline })
    }

    /// The name of its file.
    pub fn name(self, size: SegmentSize) -> String {
        let per_file = size.per_log_file();
        format!("{:08X}{:08X}{:08X}", self.timeline, self.number / per_file, self.number % per_file)
    }

    /// The segment that holds the byte at `lsn`.
    pub fn holding(lsn: Lsn, timeline: u32, size: SegmentSize) -> Self {
        Self { number: lsn.0 / size.bytes(), timeline }
    }

    /// Where it begins.
    pub fn start(self, size: SegmentSize) -> Lsn {
        Lsn(self.number * size.bytes())
    }
}

/// The number of the first segment that is missing between the first and the last of these (ordered, without doubles).
pub fn first_gap(segments: &[Segment]) -> Option<u64> {
    segments.windows(2).find(|pair| pair[1].number != pair[0].number + 1).map(|pair| pair[0].number + 1)
}

/// Splits segments that follow each other into stretches of one timeline, as pg_waldump reads only one at a time.
pub fn stretches(segments: &[Segment]) -> Vec<(Segment, Segment)> {
    let chunks = segments.chunk_by(|left, right| left.timeline == right.timeline);
    chunks.filter_map(|chunk| Some((*chunk.first()?, *chunk.last()?))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(number: u64, timeline: u32) -> Segment {
        Segment { number, timeline }
    }

    #[test]
    fn names_are_those_of_the_server() {
        let check = |lsn: &str, megabytes: u64, expect: &str| {
            let size = SegmentSize::new(megabytes << 20).expect("a size");
            let lsn = lsn.parse().expect("an LSN");
            assert_eq!(Segment::holding(lsn, 1, size).name(size), expect);
        };
        // From `pg_walfile_name`.
        check("0/16B3748", 16, "000000010000000000000001");
        check("1/0", 16, "000000010000000100000000");
        check("A/FF000001", 16, "000000010000000A000000FF");
        check("A/FF000001", 64, "000000010000000A0000003F");
    }

    #[test]
    fn other_files_of_an_archive_are_not_segments() {
        for name in [
            "00000002.history",
            "000000010000000000000003.partial",
            "000000010000000000000003.00000028.backup",
            "00000001000000000000000g",
            "000000010000000000000100",
            "0000000100000000000000a1",
            "",
        ] {
            assert_eq!(Segment::parse(name, SegmentSize::DEFAULT), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_lsn_is_refused() {
        for text in ["", "0", "/", "0/", "0/+1", "0/123456789", "x/1"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn stretches_are_of_one_timeline() {
        let all = [segment(3, 1), segment(4, 2), segment(5, 2)];
        assert_eq!(first_gap(&all), None);
        assert_eq!(stretches(&all), [(segment(3, 1), segment(3, 1)), (segment(4, 2), segment(5, 2))]);
    }

    proptest! {
        #[test]
        fn a_printed_lsn_parses(value: u64) {
            prop_assert_eq!(Lsn(value).to_string().parse(), Ok(Lsn(value)));
        }

        #[test]
        fn a_printed_name_parses(number in 0_u64..1 << 40, timeline in 1_u32.., power in 20_u32..=30) {
            let size = SegmentSize::new(1 << power).expect("a size");
            let number = number % (1 << (64 - power));
            let segment = segment(number, timeline);
            prop_assert_eq!(Segment::parse(&segment.name(size), size), Some(segment));
        }

        #[test]
        fn a_gap_is_found_exactly_where_one_is(from in 0_u64..1000, count in 1_u64..50, hole in 0_u64..50) {
            let all: Vec<_> = (from..from + count).filter(|number| *number != from + hole).map(|n| segment(n, 1)).collect();
            let inside = hole > 0 && hole + 1 < count;
            prop_assert_eq!(first_gap(&all), inside.then_some(from + hole));
        }
    }
}
