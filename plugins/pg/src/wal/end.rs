//! The end of the valid WAL in an archive: what a restore of the latest state has to reach.

use lifeboat_plugin::{Failure, Machine, Process};

use crate::wal::{
    archive::Archive,
    dump,
    segment::{Lsn, Segment},
    unreadable, waldump,
};

const LINES_AT_ONCE: u32 = 4_096;
/// The last record is looked for in so many bytes before the end; eight times as many each time that none begins there.
const TAIL_BYTES: u64 = 8 << 10;

/// The end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The archive's last segment.
    pub segment: Segment,
    /// Where the last whole record begins.
    pub record: Lsn,
    /// Where it ends.
    pub lsn: Lsn,
}

/// Where to read.
#[derive(Debug, Clone, Copy)]
pub struct Tail<'a, C> {
    /// Runs pg_waldump.
    pub caps: &'a C,
    /// On this machine.
    pub machine: &'a str,
    /// From this archive.
    pub archive: &'a Archive,
}

impl<C: Machine> Tail<'_, C> {
    /// The end of the archive. Fails with `pg-wal-damaged` where its last segment cannot be read to its end: a segment is archived
    /// when it is full or was switched, so nothing but damage, or a segment that was saved by hand, ends before.
    pub fn end(&self) -> Result<End, Failure> {
        let archive = self.archive;
        let last = *archive.segments.last().ok_or_else(|| archive.gap(Segment { number: 0, timeline: 1 }))?;
        let (first, lsn) = self.read_to(last)?;
        let record = match self.switch(last)? {
            Some(record) => record,
            None => self.last_record(first, last, lsn)?,
        };
        Ok(End { segment: last, record, lsn })
    }

    /// Reads the last segment, or as many as it takes until a record begins in one of them: the first one, and the end.
    pub fn read_to(&self, last: Segment) -> Result<(Segment, Lsn), Failure> {
        let archive = self.archive;
        for first in archive.segments.iter().rev().take_while(|segment| segment.timeline == last.timeline) {
            let mut arguments = self.arguments(*first, last);
            arguments.push("--stats".to_owned());
            let output = self.caps.run(self.machine, "pg_waldump", &arguments, None)?;
            if output.succeeded() {
                let end = dump::read_to(&output.stdout);
                return end.map(|lsn| (*first, lsn)).ok_or_else(|| dump::not_understood(&output.stdout));
            }
            if !output.stderr.contains("could not find a valid record") {
                return Err(self.ends_early(last, dump::judge(&output, archive)));
            }
        }
        let name = last.name(archive.segment_size);
        Err(Failure::permanent("pg-wal-damaged", format!("no record begins in {}/{name} or just before", archive.path)))
    }

    fn ends_early(&self, last: Segment, judged: Result<(), Failure>) -> Failure {
        let Err(Failure::Permanent(reason)) = judged else {
            return Failure::permanent("pg-wal-damaged", "pg_waldump did not read to the end");
        };
        let name = last.name(self.archive.segment_size);
        let hint = unreadable::last_line(&reason.message).is_some();
        let hint = if hint {
            ". If this segment was saved from a server before it was full, restore to a position (`lsn`)"
        } else {
            ""
        };
        Failure::permanent(&reason.code, format!("the archive's last segment {name}: {}{hint}", reason.message))
    }

    /// Where the segment was switched: nothing follows in it.
    fn switch(&self, last: Segment) -> Result<Option<Lsn>, Failure> {
        let mut arguments = self.arguments(last, last);
        arguments.extend(["-r".to_owned(), "XLOG".to_owned()]);
        let lines = self.lines(&arguments, &[vec!["desc: SWITCH".to_owned()]])?;
        Ok(lines.iter().filter_map(|line| waldump::parse(line)).map(|record| record.lsn).next_back())
    }

    /// The last record that begins before the end.
    fn last_record(&self, first: Segment, last: Segment, end: Lsn) -> Result<Lsn, Failure> {
        let archive = self.archive;
        let begin = first.start(archive.segment_size);
        let mut bytes = TAIL_BYTES;
        loop {
            let from = Lsn((end.0 - 1).saturating_sub(bytes).max(begin.0));
            let mut arguments = self
                .arguments(archive.chain.segment(from.0 / archive.segment_size.bytes(), archive.segment_size), last);
            if from > begin {
                arguments.extend(["-s".to_owned(), from.to_string()]);
            }
            let lines = self.lines(&arguments, &[vec!["lsn: ".to_owned()]])?;
            if let Some(record) = lines.iter().filter_map(|line| waldump::parse(line)).next_back() {
                return Ok(record.lsn);
            }
            if from == begin {
                let message = format!("pg_waldump printed no record of {} before {end}", archive.path);
                return Err(Failure::permanent("pg-waldump-text", message));
            }
            bytes *= 8;
        }
    }

    fn arguments(&self, first: Segment, last: Segment) -> Vec<String> {
        let size = self.archive.segment_size;
        vec!["-p".to_owned(), self.archive.path.clone(), first.name(size), last.name(size)]
    }

    /// What pg_waldump prints; where it finds no record at all, nothing.
    fn lines(&self, arguments: &[String], keep: &[Vec<String>]) -> Result<Vec<String>, Failure> {
        let process = self.caps.spawn(self.machine, "pg_waldump", arguments, keep)?;
        let mut lines = Vec::new();
        loop {
            let more = process.read_lines(LINES_AT_ONCE)?;
            if more.is_empty() {
                break;
            }
            lines.extend(more);
        }
        let output = process.wait()?;
        if !output.stderr.contains("could not find a valid record") {
            dump::judge(&output, self.archive)?;
        }
        Ok(lines)
    }
}
