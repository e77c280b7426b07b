//! The WAL archive on a machine: which segments it has, and whose they are.

use lifeboat_plugin::{Failure, Machine, Runtime, machine::EntryKind};

use crate::{
    dump::Span,
    server::Facts,
    wal_name::{self, Lsn, Segment, SegmentSize},
};

/// The folder of a binding where the archive lies, unless an action is told otherwise.
pub const ARCHIVE: &str = "archive";

/// Segments that can be read one after the other up to a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Absolute path on the machine.
    pub path: String,
    /// By number, one of each; holes are possible.
    pub segments: Vec<Segment>,
    /// When each file was last written (milliseconds since 1970), in the order of `segments`.
    pub modified_ms: Vec<u64>,
    /// Of each segment.
    pub segment_size: SegmentSize,
}

/// Lists the archive. Files of the wrong size (still being copied) and of later timelines do not count.
pub fn list(caps: &impl Machine, machine: &str, folder: &str, facts: &Facts) -> Result<Archive, Failure> {
    let path = caps.folder(machine, folder)?;
    let size = facts.segment_size;
    let files: Vec<(Segment, u64)> = caps
        .list_folder(machine, &path)?
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::File && entry.size == size.bytes())
        .filter_map(|entry| Some((Segment::parse(&entry.name, size)?, entry.modified_ms)))
        .collect();
    let segments = wal_name::readable(files.iter().map(|(segment, _)| *segment), facts.timeline);
    let modified = |wanted: &Segment| files.iter().find(|(segment, _)| segment == wanted).map_or(0, |(_, at)| *at);
    let modified_ms = segments.iter().map(modified).collect();
    if segments.is_empty() {
        let message = format!("there is no whole WAL segment of timeline {} or before in {path}", facts.timeline);
        return Err(Failure::permanent("pg-archive-empty", message));
    }
    Ok(Archive { path, segments, modified_ms, segment_size: size })
}

impl Archive {
    /// The position of the first segment that can hold something written at or after `since_ms`: the last one that was
    /// archived before that. Fails with `pg-wal-gap` where one is missing behind it.
    pub fn since(&self, since_ms: u64) -> Result<usize, Failure> {
        let start = self.modified_ms.iter().rposition(|modified| *modified < since_ms).unwrap_or(0);
        self.whole(&self.segments[start..])?;
        Ok(start)
    }

    /// The position of the first of the segments that follow each other without a gap up to the one at `position`.
    pub fn reaches_back(&self, position: usize) -> usize {
        let gap = |pair: &[Segment]| pair[1].number != pair[0].number + 1;
        let last_gap = self.segments.get(..=position).and_then(|all| all.windows(2).rposition(gap));
        last_gap.map_or(0, |before| before + 1)
    }

    /// The position of the segment that holds the byte at `lsn`, or of the next one that is there.
    pub fn position(&self, lsn: Lsn) -> usize {
        let number = Segment::holding(lsn, 0, self.segment_size).number;
        self.segments.partition_point(|segment| segment.number < number)
    }

    /// The records from one position to just before another one. Fails with `pg-wal-gap` where a segment is missing.
    pub fn span(&self, from: Lsn, to: Lsn) -> Result<Span<'_>, Failure> {
        let end = (self.position(to) + 1).min(self.segments.len());
        let segments = &self.segments[self.position(from).min(end)..end];
        self.whole(segments)?;
        Ok(Span { segments, from: Some(from), to: Some(to) })
    }

    /// Whether `since` lies before everything in the archive, so that something may have been removed from it.
    pub fn begins_after(&self, since_ms: u64) -> bool {
        self.modified_ms.iter().all(|modified| *modified >= since_ms)
    }

    /// Fails with `pg-wal-gap`, naming the first missing segment, where these do not follow each other.
    pub fn whole(&self, segments: &[Segment]) -> Result<(), Failure> {
        let Some(number) = wal_name::first_gap(segments) else { return Ok(()) };
        let timeline = segments.iter().rfind(|segment| segment.number < number).map_or(1, |segment| segment.timeline);
        Err(self.gap(Segment { number, timeline }))
    }

    /// The failure for a missing segment.
    pub fn gap(&self, missing: Segment) -> Failure {
        let name = missing.name(self.segment_size);
        let last = self.segments.last().map_or_else(String::new, |last| last.name(self.segment_size));
        let message = format!(
            "the archive {} lacks segment {name}, though it goes on to {last}: nothing after the gap can be replayed",
            self.path
        );
        Failure::permanent("pg-wal-gap", message)
    }

    /// Fails with `pg-wal-foreign` where a segment was written by another cluster. A segment larger than the 16 MiB that
    /// the host reads at once can not be looked at; then that is logged.
    pub fn check_owner<C: Machine + Runtime>(
        &self,
        caps: &C,
        machine: &str,
        segment: Segment,
        system_identifier: u64,
    ) -> Result<(), Failure> {
        const READABLE_BYTES: u64 = 16 << 20;
        let name = segment.name(self.segment_size);
        if self.segment_size.bytes() > READABLE_BYTES {
            caps.warn(&format!(
                "segments of {} bytes are too large to check whose they are",
                self.segment_size.bytes()
            ));
            return Ok(());
        }
        let content = caps.read_file(machine, &format!("{}/{name}", self.path))?;
        match wal_name::system_identifier(&content) {
            Some(found) if found == system_identifier => Ok(()),
            Some(found) => {
                let message = format!(
                    "{}/{name} was written by the cluster {found}, not by {system_identifier}: this is another server's archive",
                    self.path
                );
                Err(Failure::permanent("pg-wal-foreign", message))
            }
            None => {
                let message = format!("{}/{name} does not begin like a WAL segment", self.path);
                Err(Failure::permanent("pg-wal-damaged", message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(numbers: &[u64]) -> Archive {
        Archive {
            path: "/archive".to_owned(),
            segments: numbers.iter().map(|number| Segment { number: *number, timeline: 1 }).collect(),
            modified_ms: numbers.iter().map(|number| number * 100).collect(),
            segment_size: SegmentSize::DEFAULT,
        }
    }

    #[test]
    fn reading_begins_with_the_last_segment_from_before() {
        let check = |numbers: &[u64], since: u64, expect: Result<&[u64], &str>| {
            let archive = archive(numbers);
            let found = archive.since(since).map(|start| &archive.segments[start..]);
            let found = found.map(|all| all.iter().map(|segment| segment.number).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(Failure::code), expect, "{numbers:?} since {since}");
        };
        check(&[1, 2, 3, 4], 250, Ok(&[2, 3, 4]));
        check(&[1, 2, 3, 4], 300, Ok(&[2, 3, 4]));
        check(&[1, 2, 3, 4], 50, Ok(&[1, 2, 3, 4]));
        check(&[1, 2, 3, 4], 900, Ok(&[4]));
        check(&[1, 3, 4], 350, Ok(&[3, 4]));
        check(&[1, 3, 4], 150, Err("pg-wal-gap"));
    }

    #[test]
    fn what_lies_before_a_gap_can_not_be_reached() {
        let check = |numbers: &[u64], position: usize, expect: usize| {
            assert_eq!(archive(numbers).reaches_back(position), expect, "{numbers:?} from {position}");
        };
        check(&[1, 2, 3, 4], 3, 0);
        check(&[1, 3, 4], 2, 1);
        check(&[1, 3, 4], 1, 1);
        check(&[1, 3, 4, 7], 2, 1);
        check(&[1, 3, 5], 2, 2);
        check(&[5], 0, 0);
    }

    #[test]
    fn a_span_has_the_segments_of_both_ends() {
        let check = |from: u64, to: u64, expect: Result<&[u64], &str>| {
            let archive = archive(&[3, 4, 5, 7]);
            let found = archive.span(Lsn(from << 20), Lsn(to << 20));
            let found = found.map(|span| span.segments.iter().map(|segment| segment.number).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(Failure::code), expect, "{from} to {to}");
        };
        // Segments of 16 MiB.
        check(50, 60, Ok(&[3]));
        check(50, 81, Ok(&[3, 4, 5]));
        check(50, 112, Err("pg-wal-gap"));
    }

    #[test]
    fn a_gap_is_named() {
        let gap = archive(&[1, 2, 5]).whole(&archive(&[1, 2, 5]).segments).expect_err("a gap");
        assert!(gap.reason().message.contains("lacks segment 000000010000000000000003"), "{gap:?}");
    }
}
