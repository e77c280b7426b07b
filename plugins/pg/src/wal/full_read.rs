//! Reads all of an archive's WAL with pg_waldump, which checks every record as replay does, several parts at a time.
//!
//! Told to print nothing, it does little more than that: it succeeds only if it reaches the end of its part, and otherwise names what
//! it cannot read. How far the archive reaches is then asked of its last segment alone, as counting what is read costs half as much
//! again.

use std::collections::VecDeque;

use lifeboat_plugin::{Failure, Machine, Process, Runtime, machine::Output};

use crate::wal::{
    archive::Archive,
    crossing::{self, Whole},
    dump::{self, Reader},
    end::Tail,
    header::Header,
    segment::{Lsn, Segment},
};

/// A part has no more bytes, so that progress is seen.
const PART_BYTES_MAX: u64 = 1 << 30;
const LINES_AT_ONCE: u32 = 100;

/// What is read: segments that follow each other, and the header of each.
#[derive(Debug, Clone, Copy)]
pub struct Wal<'a> {
    /// The archive.
    pub archive: &'a Archive,
    /// The segments.
    pub segments: &'a [Segment],
    /// Their headers.
    pub heads: &'a [Header],
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Bytes of the segments.
    pub bytes: u64,
    /// The end of the last whole record.
    pub end: Lsn,
}

/// A part: positions of its first and its last segment, and where it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: usize,
    last: usize,
    /// Behind the record that crosses into the next part; none where that is of another timeline, or there is none.
    until: Option<Lsn>,
}

impl Wal<'_> {
    /// Reads everything with that many programs at a time. Fails with `pg-wal-damaged`, and the segment and position, where a
    /// record is not whole.
    pub fn read<C: Machine + Runtime>(&self, caps: &C, machine: &str, processes: usize) -> Result<Read, Failure> {
        let mut waiting = VecDeque::from(self.parts(processes));
        let mut running = VecDeque::new();
        let mut done = 0;
        loop {
            while running.len() < processes
                && let Some(part) = waiting.pop_front()
            {
                running.push_back((part, caps.spawn(machine, "pg_waldump", &self.arguments(part), &[])?));
            }
            let Some((part, process)) = running.pop_front() else {
                self.between_timelines(caps, machine)?;
                let bytes = self.archive.segment_size.bytes() * self.segments.len() as u64;
                let last = self.segments.last().copied().unwrap_or(Segment { number: 0, timeline: 1 });
                let (_, end) = Tail { caps, machine, archive: self.archive }.read_to(last)?;
                return Ok(Read { bytes, end });
            };
            while !process.read_lines(LINES_AT_ONCE)?.is_empty() {}
            self.judge(part, &process.wait()?)?;
            done += part.last + 1 - part.first;
            caps.progress(done as u64, Some(self.segments.len() as u64), "segments", "reading WAL");
        }
    }

    /// Reads the records that cross from one timeline into the next, which no part holds.
    fn between_timelines<C: Machine + Runtime>(&self, caps: &C, machine: &str) -> Result<(), Failure> {
        let reader = Reader { caps, machine, archive: self.archive };
        for (left, right) in (1..self.segments.len()).map(|right| (right - 1, right)) {
            let [before, after] = [left, right].map(|position| self.segments[position]);
            if before.timeline == after.timeline {
                continue;
            }
            match crossing::check(&reader, before, (after, &self.heads[right]))? {
                Whole::Nothing | Whole::Good => {}
                Whole::NotRead => caps.warn(&format!(
                    "the record that crosses from segment {} into the next timeline was not read, because it is very \
                     long",
                    before.name(self.archive.segment_size)
                )),
            }
        }
        Ok(())
    }

    fn parts(&self, processes: usize) -> Vec<Part> {
        let most = (PART_BYTES_MAX / self.archive.segment_size.bytes()).max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        // As many for each program, so that none waits at the end for the others.
        let count = self.segments.len().div_ceil(most).next_multiple_of(processes.max(1));
        let longest = self.segments.len().div_ceil(count.max(1)).max(1);
        let mut parts = Vec::new();
        let mut begin = 0;
        for stretch in self.segments.chunk_by(|left, right| left.timeline == right.timeline) {
            let end = begin + stretch.len();
            for first in (begin..end).step_by(longest) {
                let last = (first + longest).min(end) - 1;
                parts.push(Part { first, last, until: self.crossing(last, end) });
            }
            begin = end;
        }
        parts
    }

    /// Where the record ends that crosses from the segment at `last` into the next one before position `end`.
    fn crossing(&self, last: usize, end: usize) -> Option<Lsn> {
        let next = self.heads.get(last + 1).filter(|_| last + 1 < end)?;
        let until = next.crossing_end();
        (until > next.address && until <= self.end_of(end - 1)).then_some(until)
    }

    fn end_of(&self, position: usize) -> Lsn {
        let size = self.archive.segment_size;
        Lsn(self.segments[position].start(size).0 + size.bytes())
    }

    fn arguments(&self, part: Part) -> Vec<String> {
        let size = self.archive.segment_size;
        let mut arguments = ["-q", "-p", &self.archive.path].map(str::to_owned).to_vec();
        let mut last = self.segments[part.last];
        if let Some(until) = part.until {
            arguments.extend(["-e".to_owned(), until.to_string()]);
            last.number = (until.0 - 1) / size.bytes();
        }
        arguments.extend([self.segments[part.first].name(size), last.name(size)]);
        arguments
    }

    fn judge(&self, part: Part, output: &Output) -> Result<(), Failure> {
        // A record may be longer than segments are.
        let is_middle = self.heads[part.first].crossing_end() >= self.end_of(part.last);
        if is_middle && output.stderr.contains("could not find a valid record") {
            return Ok(());
        }
        dump::judge(output, self.archive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::{segment::SegmentSize, timeline::Chain};

    const SIZE: u64 = 1 << 20;

    fn head(number: u64, timeline: u32, remaining: u32) -> Header {
        Header {
            timeline,
            address: Lsn(number * SIZE),
            remaining,
            system_identifier: 7,
            segment_bytes: SIZE as u32,
            page_bytes: 8_192,
        }
    }

    fn archive() -> Archive {
        Archive {
            path: "/archive".to_owned(),
            chain: Chain::of(1),
            segments: Vec::new(),
            modified_ms: Vec::new(),
            segment_size: SegmentSize::new(SIZE).expect("a size"),
            odd: Vec::new(),
            packed: Vec::new(),
        }
    }

    #[test]
    fn every_record_is_in_a_part() {
        let archive = archive();
        let segments: Vec<_> =
            (2..10).map(|number| Segment { number, timeline: if number < 7 { 1 } else { 2 } }).collect();
        let heads: Vec<_> = segments
            .iter()
            .map(|it| head(it.number, it.timeline, if it.number % 2 == 0 { 9_000 } else { 0 }))
            .collect();
        let wal = Wal { archive: &archive, segments: &segments, heads: &heads };
        let check = |processes: usize, expect: &[&str]| {
            let lines: Vec<_> = wal.parts(processes).iter().map(|part| wal.arguments(*part).join(" ")).collect();
            assert_eq!(lines, expect, "{processes} processes");
        };
        check(
            2,
            &[
                "-q -p /archive -e 0/604000 000000010000000000000002 000000010000000000000006",
                "-q -p /archive 000000010000000000000006 000000010000000000000006",
                "-q -p /archive 000000020000000000000007 000000020000000000000009",
            ],
        );
        check(
            1,
            &[
                "-q -p /archive 000000010000000000000002 000000010000000000000006",
                "-q -p /archive 000000020000000000000007 000000020000000000000009",
            ],
        );
    }

    #[test]
    fn only_the_middle_of_a_record_may_hold_no_record() {
        let archive = archive();
        let segments = [Segment { number: 2, timeline: 1 }, Segment { number: 3, timeline: 1 }];
        let check = |remaining: u32, exit: i32, stderr: &str, expect: Result<(), &str>| {
            let heads = [head(2, 1, remaining), head(3, 1, remaining)];
            let wal = Wal { archive: &archive, segments: &segments, heads: &heads };
            let output = Output { exit, stdout: String::new(), stderr: stderr.to_owned() };
            let read = wal.judge(Part { first: 0, last: 1, until: None }, &output);
            assert_eq!(read.as_ref().map_err(Failure::code).copied(), expect, "{stderr}");
        };
        check(0, 0, "", Ok(()));
        let damaged = Err("pg-wal-damaged");
        check(0, 1, "pg_waldump: error: error in WAL record at 0/200060: incorrect checksum", damaged);
        let none = "pg_waldump: error: could not find a valid record after 0/200000";
        check(0, 1, none, damaged);
        check(u32::MAX, 1, none, Ok(()));
    }
}
