//! Where the WAL is damaged, according to PostgreSQL's reader: pg_waldump and a server in recovery use the same words.

use crate::wal::{
    segment::{Lsn, Segment, SegmentSize},
    timeline::Chain,
};

/// What the reader says where it meets something that is no record. Some of it is said at the end of good WAL too.
const WORDS: [&str; 12] = [
    "incorrect resource manager data checksum",
    "invalid resource manager ID",
    "record length",
    "incorrect prev-link",
    "contrecord",
    "invalid magic number",
    "invalid info bits",
    "unexpected pageaddr",
    "out-of-sequence timeline ID",
    "WAL file is from different database system",
    "invalid compressed image",
    "out-of-order block_id",
];

/// The last line that says where reading the WAL ended.
pub fn last_line(text: &str) -> Option<&str> {
    text.lines().rev().find(|line| WORDS.iter().any(|words| line.contains(words))).map(str::trim)
}

/// The segment and the position in such a line; none where it names neither. A segment and an offset in it are exact; of several
/// positions the last one is where the reader stood.
pub fn place(line: &str, chain: &Chain, size: SegmentSize) -> Option<(Segment, Lsn)> {
    let words = || line.split(|each: char| each.is_whitespace() || ",;:\"'".contains(each));
    let number_after = |label: &str| {
        let mut rest = words().skip_while(move |word| *word != label).skip(1);
        rest.find(|word| !word.is_empty())
    };
    let named = number_after("segment").and_then(|name| Segment::parse(name, size));
    let offset = number_after("offset").and_then(|offset| offset.parse::<u64>().ok());
    if let (Some(segment), Some(offset)) = (named, offset) {
        return Some((segment, Lsn(segment.start(size).0 + offset)));
    }
    let lsn: Lsn = words().filter_map(|word| word.parse().ok()).next_back()?;
    Some((chain.segment(lsn.0 / size.bytes(), size), lsn))
}

/// The place in words: `segment 000000010000000000000003 at 0/32DC688`; empty where none is named.
pub fn name(line: &str, chain: &Chain, size: SegmentSize) -> String {
    place(line, chain, size).map_or(String::new(), |(segment, lsn)| format!("segment {} at {lsn}", segment.name(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_in_what_is_said() {
        let check = |line: &str, expect: &str| {
            assert_eq!(last_line(line), Some(line));
            assert_eq!(name(line, &Chain::of(1), SegmentSize::DEFAULT), expect, "{line}");
        };
        check(
            "pg_waldump: error: error in WAL record at 0/32DC648: incorrect resource manager data checksum in record at 0/32DC688",
            "segment 000000010000000000000003 at 0/32DC688",
        );
        check(
            "pg_waldump: error: error in WAL record at 0/518FF70: invalid magic number 0000 in log segment \
             000000010000000000000005, offset 1638400",
            "segment 000000010000000000000005 at 0/5190000",
        );
        // From version 16 on.
        check(
            "LOG:  invalid magic number 0000 in WAL segment 000000010000000000000005, LSN 0/5190000, offset 1638400",
            "segment 000000010000000000000005 at 0/5190000",
        );
        check(
            "LOG:  invalid record length at 0/400A918: wanted 24, got 0",
            "segment 000000010000000000000004 at 0/400A918",
        );
        check(
            "LOG:  record with incorrect prev-link 0/1000060 at 0/400A918",
            "segment 000000010000000000000004 at 0/400A918",
        );
        check("LOG:  invalid magic number 0000", "");
    }
}
