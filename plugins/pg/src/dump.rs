//! Passes of pg_waldump over the archive. What is wanted decides which passes are made: printing a record costs far more
//! than reading it, so three passes that print little are cheaper than one that prints everything.

use lifeboat_plugin::{Failure, Machine, Process, machine::Output};

use crate::{
    archive::Archive,
    wal_name::{Segment, stretches},
    waldump::{self, Filenode, Record},
};

const LINES_AT_ONCE: u32 = 4_096;

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

impl Pass {
    /// All records of these resource managers.
    pub fn of(managers: &'static [&'static str]) -> Self {
        Self { managers, ..Self::default() }
    }

    fn arguments(&self, archive: &Archive, first: Segment, last: Segment) -> Vec<String> {
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
        arguments.extend([first.name(archive.segment_size), last.name(archive.segment_size)]);
        arguments
    }
}

impl<C: Machine> Reader<'_, C> {
    /// Gives every record of a pass over these segments to `take`, in order.
    pub fn read(&self, pass: &Pass, segments: &[Segment], mut take: impl FnMut(Record)) -> Result<(), Failure> {
        for (first, last) in stretches(segments) {
            let mut stream = self.start(pass, first, last)?;
            while let Some(record) = stream.next()? {
                take(record);
            }
        }
        Ok(())
    }

    /// As [`Reader::read`] for several passes at once, their records in the order of the WAL.
    pub fn read_merged(
        &self,
        passes: &[Pass],
        segments: &[Segment],
        mut take: impl FnMut(Record),
    ) -> Result<(), Failure> {
        for (first, last) in stretches(segments) {
            let mut heads = Vec::new();
            for pass in passes {
                let mut stream = self.start(pass, first, last)?;
                heads.push((stream.next()?, stream));
            }
            while let Some((head, stream)) = heads
                .iter_mut()
                .filter(|(head, _)| head.is_some())
                .min_by_key(|(head, _)| head.as_ref().map(|it| it.lsn))
            {
                let following = stream.next()?;
                if let Some(record) = std::mem::replace(head, following) {
                    take(record);
                }
            }
        }
        Ok(())
    }

    fn start(&self, pass: &Pass, first: Segment, last: Segment) -> Result<Stream<C::Process>, Failure> {
        let arguments = pass.arguments(self.archive, first, last);
        let process = self.caps.spawn(self.machine, "pg_waldump", &arguments, &pass.keep)?;
        Ok(Stream { process, lines: Vec::new().into_iter(), over: false })
    }
}

struct Stream<P> {
    process: P,
    lines: std::vec::IntoIter<String>,
    over: bool,
}

impl<P: Process> Stream<P> {
    /// The next record; none after a good end.
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        loop {
            if let Some(line) = self.lines.next() {
                match waldump::parse(&line) {
                    Some(record) => return Ok(Some(record)),
                    None => return Err(not_understood(&line)),
                }
            }
            if self.over {
                return Ok(None);
            }
            self.lines = self.process.read_lines(LINES_AT_ONCE)?.into_iter();
            if self.lines.len() == 0 {
                self.over = true;
                judge(&self.process.wait()?)?;
            }
        }
    }
}

fn not_understood(line: &str) -> Failure {
    let line: String = line.chars().take(300).collect();
    let message = format!("pg_waldump printed something that is no record of PostgreSQL 15 to 17: `{line}`");
    Failure::permanent("pg-waldump-text", message)
}

fn judge(output: &Output) -> Result<(), Failure> {
    if output.succeeded() {
        return Ok(());
    }
    let says = output.last_lines(3);
    let code = if says.contains("could not find file") || says.contains("No such file") {
        "pg-wal-gap"
    } else if says.contains("error in WAL record") || says.contains("could not find a valid record") {
        "pg-wal-damaged"
    } else {
        "pg-waldump"
    };
    Err(Failure::permanent(code, format!("pg_waldump ended with {}: {says}", output.exit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal_name::SegmentSize;

    #[test]
    fn the_command_line_says_what_to_print() {
        let archive = Archive {
            path: "/archive".to_owned(),
            segments: vec![],
            modified_ms: vec![],
            segment_size: SegmentSize::DEFAULT,
        };
        let relation = Some(Filenode { tablespace: 1663, database: 5, node: 16_416 });
        let pass = Pass { relation, xid: Some(7), ..Pass::of(&["Heap", "Storage"]) };
        let segment = |number| Segment { number, timeline: 1 };
        assert_eq!(
            pass.arguments(&archive, segment(1), segment(3)).join(" "),
            "-p /archive -r Heap -r Storage -R 1663/5/16416 -x 7 000000010000000000000001 000000010000000000000003"
        );
    }

    #[test]
    fn a_bad_end_has_a_code() {
        let check = |exit: i32, says: &str, expect: &str| {
            let output = Output { exit, stdout: String::new(), stderr: format!("pg_waldump: error: {says}") };
            let code = judge(&output).map_or_else(|failure| failure.code().to_owned(), |()| "fine".to_owned());
            assert_eq!(code, expect, "{says}");
        };
        check(0, "", "fine");
        check(1, "could not find file \"000000010000000000000005\": No such file or directory", "pg-wal-gap");
        check(1, "error in WAL record at 0/3000028: invalid magic number 0000", "pg-wal-damaged");
        check(127, "not found", "pg-waldump");
    }
}
