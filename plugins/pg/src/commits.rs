//! Where a moment lies in the WAL, by the times of commits. A file's time only says when the file was written last, which a copy
//! of the archive changes.

use lifeboat_plugin::{Failure, Machine, Process};

use crate::{
    dump::{Pass, Reader, Span},
    server::Moment,
    wal_name::{Lsn, Segment},
    waldump::{self, Kind},
};

/// A commit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Where it begins.
    pub lsn: Lsn,
    /// `2026-11-21 03:55:29.073844`, UTC.
    pub time: String,
}

impl Commit {
    /// Whether it committed at that moment or before.
    pub fn is_by(&self, moment: &Moment) -> bool {
        self.time <= moment.text
    }
}

/// The last commit before a position, as far back as the archive goes.
pub fn last_before<C: Machine>(reader: &Reader<'_, C>, end: Lsn) -> Result<Option<Commit>, Failure> {
    let segments = &reader.archive.segments;
    let position = reader.archive.position(end);
    for segment in segments[..(position + 1).min(segments.len())].iter().rev() {
        let mut last = None;
        reader.read(&Pass::of(&["Transaction"]), Span::of(std::slice::from_ref(segment)), |record| {
            if let Kind::Commit { time, .. } = record.kind
                && record.lsn < end
            {
                last = commit(record.lsn, &time).or(last.take());
            }
        })?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// The position of the last segment before which everything had committed by the moment: the first commit later than it lies in
/// that segment or behind. 0 where the archive begins later.
pub fn position_of<C: Machine>(reader: &Reader<'_, C>, moment: &Moment) -> Result<usize, Failure> {
    let mut failure = None;
    let positions: Vec<usize> = (0..reader.archive.segments.len()).collect();
    let after = positions.partition_point(|position| {
        let first = first_from(reader, *position).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            None
        });
        first.is_some_and(|commit| commit.is_by(moment))
    });
    failure.map_or(Ok(after.saturating_sub(1)), Err)
}

/// The number of the segment with the first commit later than the moment; of the last one where there is none.
pub fn end_of<C: Machine>(reader: &Reader<'_, C>, moment: &Moment) -> Result<u64, Failure> {
    let segments = &reader.archive.segments;
    for position in position_of(reader, moment)?..segments.len() {
        let mut later = false;
        let read = reader.read(&Pass::of(&["Transaction"]), Span::of(&segments[position..=position]), |record| {
            if let Kind::Commit { time, .. } = record.kind {
                later |= commit(record.lsn, &time).is_some_and(|commit| !commit.is_by(moment));
            }
        });
        // Replay says what is wrong with a segment that cannot be read.
        if later || read.is_err() {
            return Ok(segments[position].number);
        }
    }
    Ok(segments.last().map_or(0, |segment| segment.number))
}

/// The first commit in the segment at this position or behind; none where the WAL ends, or is damaged, before one.
fn first_from<C: Machine>(reader: &Reader<'_, C>, position: usize) -> Result<Option<Commit>, Failure> {
    let archive = reader.archive;
    for stretch in archive.segments[position..]
        .chunk_by(|left, right| left.timeline == right.timeline && left.number + 1 == right.number)
    {
        let ends =
            [stretch.first(), stretch.last()].into_iter().flatten().map(|it: &Segment| it.name(archive.segment_size));
        let arguments =
            ["-p", &archive.path, "-r", "Transaction"].map(str::to_owned).into_iter().chain(ends).collect::<Vec<_>>();
        let process =
            reader.caps.spawn(reader.machine, "pg_waldump", &arguments, &[vec!["desc: COMMIT".to_owned()]])?;
        for line in process.read_lines(1)? {
            if let Some(record) = waldump::parse(&line)
                && let Kind::Commit { time, .. } = &record.kind
            {
                return Ok(commit(record.lsn, time));
            }
        }
    }
    Ok(None)
}

/// Programs of a machine run in UTC.
fn commit(lsn: Lsn, time: &str) -> Option<Commit> {
    let time = time.strip_suffix(" UTC").or_else(|| time.strip_suffix(" GMT"))?;
    Some(Commit { lsn, time: time.to_owned() })
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::{
        Effect,
        fake::{Machine as Fake, ended},
    };

    use super::*;
    use crate::{archive::Archive, timeline::Chain, wal_name::SegmentSize};

    /// A commit at each of these seconds, in the segments of these numbers.
    const COMMITS: [(u64, u32); 5] = [(2, 10), (2, 20), (4, 30), (4, 40), (6, 50)];

    fn line((number, second): (u64, u32)) -> String {
        let lsn = Lsn(number * (1 << 20) + u64::from(second) * 0x100);
        format!(
            "rmgr: Transaction len (rec/tot):     34/    34, tx:        {second}, lsn: {}/{:08X}, prev 0/00000000, desc: COMMIT \
             2026-11-21 03:55:{second}.000000 UTC",
            lsn.0 >> 32,
            lsn.0 & 0xFFFF_FFFF
        )
    }

    /// Segments 2 to 7 of 1 MiB, the last one of another timeline, and a pg_waldump over them; one segment may be damaged.
    fn archive() -> Archive {
        let segments = (2..=7).map(|number| Segment { number, timeline: if number < 7 { 1 } else { 2 } }).collect();
        Archive {
            path: "/archive".to_owned(),
            chain: Chain::of(2),
            segments,
            modified_ms: vec![0; 6],
            segment_size: SegmentSize::new(1 << 20).expect("a size"),
            odd: Vec::new(),
            packed: Vec::new(),
        }
    }

    fn machine(damaged: Option<u64>) -> Fake {
        let fake = Fake::default();
        fake.add_program("pg_waldump", Effect::Read, move |_, call| {
            let [.., first, last] = call.arguments.as_slice() else { panic!("no segments: {call:?}") };
            let number = |name: &str| u64::from_str_radix(&name[16..], 16).expect("a segment");
            let mut range = number(first)..=number(last);
            let broken = damaged.filter(|damaged| range.contains(damaged));
            if let Some(broken) = broken {
                range = *range.start()..=broken - 1;
            }
            let lines: Vec<_> = COMMITS.into_iter().filter(|(at, _)| range.contains(at)).map(line).collect();
            let says =
                broken.map_or("", |_| "pg_waldump: error: error in WAL record at 0/0: invalid magic number 0000");
            ended(i32::from(broken.is_some()), &lines.join("\n"), says)
        });
        fake
    }

    fn moment(second: u32) -> Moment {
        Moment { ms: 0, text: format!("2026-11-21 03:55:{second}.000000") }
    }

    #[test]
    fn a_moment_lies_where_commits_say() {
        let check = |damaged: Option<u64>, second: u32, expect: (u64, u64)| {
            let (caps, archive) = (machine(damaged), archive());
            let reader = Reader { caps: &caps, machine: "m", archive: &archive };
            let position = position_of(&reader, &moment(second)).expect("a position");
            let end = end_of(&reader, &moment(second)).expect("a segment");
            assert_eq!((archive.segments[position].number, end), expect, "{second} with {damaged:?} damaged");
        };
        check(None, 11, (2, 2));
        check(None, 25, (2, 4));
        check(None, 30, (4, 4));
        check(None, 40, (4, 6));
        check(None, 55, (6, 7));
        // Before everything, so nothing can be left out.
        check(None, 10, (2, 2));
        // Damage behind the moment is no matter.
        check(Some(6), 30, (4, 4));
        check(Some(7), 30, (4, 4));
        check(Some(5), 45, (4, 5));
    }

    #[test]
    fn the_last_commit_before_a_position_may_be_far_back() {
        let (caps, archive) = (machine(None), archive());
        let reader = Reader { caps: &caps, machine: "m", archive: &archive };
        let check = |megabytes: u64, expect: Option<u32>| {
            let found = last_before(&reader, Lsn(megabytes << 20)).expect("a search");
            assert_eq!(found.map(|commit| commit.time), expect.map(|second| moment(second).text), "{megabytes} MiB");
        };
        check(2, None);
        check(3, Some(20));
        check(4, Some(20));
        check(5, Some(40));
        check(9, Some(50));
    }
}
