//! Passes of pg_waldump over the archive. What is wanted decides which passes are made: printing a record costs far more
//! than reading it (tenfold), so several passes that print little are cheaper than one that prints everything, they run at
//! once, and what prints much is asked for its statistics first.

use std::collections::VecDeque;

use lifeboat_plugin::{Failure, Machine, Process, machine::Output};

use crate::wal::{
    archive::Archive,
    segment::Lsn,
    span::{Span, Stretch},
    unreadable,
    waldump::{self, Filenode, Record},
};

const LINES_AT_ONCE: u32 = 4_096;
/// The statistics are asked for so much of the WAL at once.
const PART_BYTES: u64 = 64 << 20;
/// So many parts are counted at once.
const AT_ONCE: usize = 4;

/// Where to read.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a, C> {
    /// Runs the program.
    pub caps: &'a C,
    /// On this machine.
    pub machine: &'a str,
    /// From this archive.
    pub archive: &'a Archive,
}

/// pg_waldump 15 reads rubbish where it is told to end just behind the header of a page, so it is told to end where pages do,
/// whatever their size; what is too much is left out here.
const PAGE_BYTES_MAX: u64 = 64 << 10;

/// What to print.
#[derive(Debug, Clone, Default)]
pub struct Pass {
    /// Resource managers.
    pub managers: &'static [&'static str],
    /// Only records that touch this relation.
    pub relation: Option<Filenode>,
    /// Only records of this (sub)transaction.
    pub xid: Option<u32>,
    /// Only lines with all texts of one of these; the host looks at that.
    pub keep: Vec<Vec<String>>,
}

/// A pass over parts of the archive, one behind the other.
#[derive(Debug, Clone)]
pub struct Job<'a> {
    /// What to print.
    pub pass: Pass,
    /// Of what.
    pub spans: Vec<Span<'a>>,
}

impl Pass {
    /// All records of these resource managers.
    pub fn of(managers: &'static [&'static str]) -> Self {
        Self { managers, ..Self::default() }
    }

    fn arguments(&self, archive: &Archive, part: Stretch) -> Vec<String> {
        let mut arguments = vec!["-p".to_owned(), archive.path.clone()];
        for manager in self.managers {
            arguments.extend(["-r".to_owned(), (*manager).to_owned()]);
        }
        if let Some(relation) = self.relation {
            arguments.extend(["-R".to_owned(), relation.to_string()]);
        }
        if let Some(xid) = self.xid {
            arguments.extend(["-x".to_owned(), xid.to_string()]);
        }
        let to = part.to.map(|to| Lsn(to.0.next_multiple_of(PAGE_BYTES_MAX)));
        for (option, position) in [("-s", part.from), ("-e", to)] {
            arguments.extend(position.into_iter().flat_map(|position| [option.to_owned(), position.to_string()]));
        }
        arguments.extend([part.first.name(archive.segment_size), part.last.name(archive.segment_size)]);
        arguments
    }
}

impl<C: Machine> Reader<'_, C> {
    /// Gives every record of a pass over this part to `take`, in order.
    pub fn read(&self, pass: &Pass, span: Span<'_>, take: impl FnMut(Record)) -> Result<(), Failure> {
        self.read_merged(&[Job { pass: pass.clone(), spans: vec![span] }], take)
    }

    /// Does several jobs at once; gives their records to `take` in the order of the WAL.
    pub fn read_merged(&self, jobs: &[Job<'_>], mut take: impl FnMut(Record)) -> Result<(), Failure> {
        // All are started before one is waited for.
        let chains: Vec<_> = jobs.iter().map(|job| self.chain(job)).collect::<Result<_, _>>()?;
        let mut heads = Vec::new();
        for mut chain in chains {
            heads.push((chain.next()?, chain));
        }
        while let Some((head, chain)) =
            heads.iter_mut().filter(|(head, _)| head.is_some()).min_by_key(|(head, _)| head.as_ref().map(|it| it.lsn))
        {
            let following = chain.next()?;
            if let Some(record) = std::mem::replace(head, following) {
                take(record);
            }
        }
        Ok(())
    }

    /// The parts of a span in which a pass meets records of this type (`Heap/DELETE`), by pg_waldump's statistics. A part in
    /// which it meets none need not be printed.
    pub fn parts_with<'s>(&self, pass: &Pass, kind: &str, span: Span<'s>) -> Result<Vec<Span<'s>>, Failure> {
        let size = self.archive.segment_size;
        let count = usize::try_from(PART_BYTES / size.bytes()).unwrap_or_default().max(1);
        let parts: Vec<(usize, usize)> = (0..span.segments.len())
            .step_by(count)
            .map(|begin| (begin, (begin + count).min(span.segments.len())))
            .collect();
        let mut meets = vec![false; parts.len()];
        let mut running = VecDeque::new();
        for (number, (begin, end)) in parts.iter().enumerate() {
            for stretch in span.part(*begin, *end, size).stretches() {
                if running.len() == AT_ONCE {
                    count_one::<C>(running.pop_front(), &mut meets)?;
                }
                running.push_back((number, self.count(pass, kind, stretch)?));
            }
        }
        while !running.is_empty() {
            count_one::<C>(running.pop_front(), &mut meets)?;
        }
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for ((begin, end), _) in parts.into_iter().zip(meets).filter(|(_, meets)| *meets) {
            match ranges.last_mut() {
                Some((_, last)) if *last == begin => *last = end,
                _ => ranges.push((begin, end)),
            }
        }
        Ok(ranges.into_iter().map(|(begin, end)| span.part(begin, end, size)).collect())
    }

    /// Begins to count; prints the line of that type where there is one.
    fn count(&self, pass: &Pass, kind: &str, part: Stretch) -> Result<C::Process, Failure> {
        let arguments = [vec!["--stats=record".to_owned()], pass.arguments(self.archive, part)].concat();
        Ok(self.caps.spawn(self.machine, "pg_waldump", &arguments, &[vec![kind.to_owned()]])?)
    }

    fn chain<'s>(&'s self, job: &'s Job<'_>) -> Result<Chain<'s, C>, Failure> {
        let parts: Vec<Stretch> = job.spans.iter().flat_map(Span::stretches).collect();
        let mut parts = parts.into_iter();
        let stream = parts.next().map(|part| self.start(&job.pass, part)).transpose()?;
        Ok(Chain { reader: self, pass: &job.pass, parts, stream })
    }

    fn start(&self, pass: &Pass, part: Stretch) -> Result<Stream<C::Process>, Failure> {
        let arguments = pass.arguments(self.archive, part);
        let process = self.caps.spawn(self.machine, "pg_waldump", &arguments, &pass.keep)?;
        Ok(Stream { process, lines: Vec::new().into_iter(), over: false, to: part.to })
    }
}

/// Notes whether a part has a record that was counted. What cannot be counted is read, which says why.
fn count_one<C: Machine>(counting: Option<(usize, C::Process)>, meets: &mut [bool]) -> Result<(), Failure> {
    let Some((number, process)) = counting else { return Ok(()) };
    let found = !process.read_lines(1)?.is_empty() || !process.wait()?.succeeded();
    if let Some(part) = meets.get_mut(number) {
        *part |= found;
    }
    Ok(())
}

/// The programs of a job, one after the other.
struct Chain<'a, C: Machine> {
    reader: &'a Reader<'a, C>,
    pass: &'a Pass,
    parts: std::vec::IntoIter<Stretch>,
    stream: Option<Stream<C::Process>>,
}

impl<C: Machine> Chain<'_, C> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        while let Some(stream) = &mut self.stream {
            if let Some(record) = stream.next(self.reader.archive)? {
                return Ok(Some(record));
            }
            self.stream = self.parts.next().map(|part| self.reader.start(self.pass, part)).transpose()?;
        }
        Ok(None)
    }
}

struct Stream<P> {
    process: P,
    lines: std::vec::IntoIter<String>,
    over: bool,
    to: Option<Lsn>,
}

impl<P: Process> Stream<P> {
    /// The next record; none after a good end.
    fn next(&mut self, archive: &Archive) -> Result<Option<Record>, Failure> {
        loop {
            if let Some(line) = self.lines.next() {
                let record = waldump::parse(&line).ok_or_else(|| not_understood(&line))?;
                if self.to.is_some_and(|to| record.lsn >= to) {
                    continue;
                }
                return Ok(Some(record));
            }
            if self.over {
                return Ok(None);
            }
            self.lines = self.process.read_lines(LINES_AT_ONCE)?.into_iter();
            if self.lines.len() == 0 {
                self.over = true;
                judge(&self.process.wait()?, archive)?;
            }
        }
    }
}

/// How far a pass that prints statistics has read: `WAL statistics between 0/1000028 and 0/6000000:`.
pub fn read_to(statistics: &str) -> Option<Lsn> {
    let line = statistics.lines().find_map(|line| line.strip_prefix("WAL statistics between "))?;
    line.split_once(" and ")?.1.trim_end_matches(':').parse().ok()
}

/// The failure for a text that is none of pg_waldump's.
pub fn not_understood(line: &str) -> Failure {
    let line: String = line.chars().take(300).collect();
    let message = format!("pg_waldump printed a line that is not a record of PostgreSQL 15 to 17: `{line}`");
    Failure::permanent("pg-waldump-text", message)
}

/// What the end of pg_waldump over an archive means; of damage, the segment and the position are named.
pub fn judge(output: &Output, archive: &Archive) -> Result<(), Failure> {
    if output.succeeded() {
        return Ok(());
    }
    let says = output.last_lines(3);
    let code = if says.contains("could not find file") || says.contains("No such file") {
        "pg-wal-gap"
    } else if says.contains("Permission denied") || says.contains("Input/output error") {
        "pg-wal-unreadable"
    } else if says.contains("error in WAL record") || says.contains("could not find a valid record") {
        "pg-wal-damaged"
    } else {
        "pg-waldump"
    };
    let place = match unreadable::name(&says, &archive.chain, archive.segment_size) {
        place if place.is_empty() => String::new(),
        place => format!("{place}: "),
    };
    Err(Failure::permanent(code, format!("{place}pg_waldump ended with {}: {says}", output.exit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::{
        segment::{Segment, SegmentSize},
        timeline::Chain,
    };

    fn archive(segment_size: SegmentSize) -> Archive {
        Archive {
            path: "/archive".to_owned(),
            chain: Chain::of(1),
            odd: vec![],
            packed: vec![],
            segments: vec![],
            modified_ms: vec![],
            segment_size,
        }
    }

    #[test]
    fn the_command_line_says_what_to_print() {
        let archive = archive(SegmentSize::DEFAULT);
        let relation = Some(Filenode { tablespace: 1663, database: 5, node: 16_416 });
        let pass = Pass { relation, xid: Some(7), ..Pass::of(&["Heap", "Storage"]) };
        let check = |span: Span<'_>, expect: &[&str]| {
            let lines: Vec<_> = span.stretches().iter().map(|part| pass.arguments(&archive, *part).join(" ")).collect();
            assert_eq!(lines, expect);
        };
        let segment = |number, timeline| Segment { number, timeline };
        let segments = [segment(1, 1), segment(2, 1), segment(3, 1)];
        check(
            Span::of(&segments),
            &["-p /archive -r Heap -r Storage -R 1663/5/16416 -x 7 000000010000000000000001 000000010000000000000003"],
        );
        // A position lies in the first or the last segment, so each belongs to one timeline only.
        let segments = [segment(1, 1), segment(2, 1), segment(3, 2), segment(4, 2)];
        check(
            Span { segments: &segments, from: Some(Lsn(0x0100_0028)), to: Some(Lsn(0x0400_0060)) },
            &[
                "-p /archive -r Heap -r Storage -R 1663/5/16416 -x 7 -s 0/1000028 000000010000000000000001 000000010000000000000002",
                "-p /archive -r Heap -r Storage -R 1663/5/16416 -x 7 -e 0/4010000 000000020000000000000003 000000020000000000000004",
            ],
        );
    }

    #[test]
    fn a_bad_end_has_a_code() {
        let check = |exit: i32, says: &str, expect: &str| {
            let output = Output { exit, stdout: String::new(), stderr: format!("pg_waldump: error: {says}") };
            let judged = judge(&output, &archive(SegmentSize::DEFAULT)).err();
            assert_eq!(judged.as_ref().map_or("fine", Failure::code), expect, "{says}");
            let named =
                judged.is_some_and(|it| it.reason().message.contains("segment 000000010000000000000003 at 0/3000028"));
            assert_eq!(named, says.contains("0/3000028"), "{says}");
        };
        check(0, "", "fine");
        check(1, "could not find file \"000000010000000000000005\": No such file or directory", "pg-wal-gap");
        check(1, "error in WAL record at 0/3000028: invalid magic number 0000", "pg-wal-damaged");
        check(127, "not found", "pg-waldump");
        check(1, "could not open file \"/a/x\": Permission denied", "pg-wal-unreadable");
        assert_eq!(read_to("WAL statistics between 0/1000028 and 0/6000000:\nType N"), Some(Lsn(0x600_0000)));
        assert_eq!(read_to(""), None);
    }
}
