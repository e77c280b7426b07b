//! Tablespaces that the WAL creates between a backup and the target: replay links the copy to the folder of the original, and
//! writes there. Where these folders are has to be known before the copy is started.

use lifeboat_plugin::{Failure, Machine, Process};

use crate::{
    copy::choice::Choice,
    wal::{
        archive::Archive,
        segment::{Segment, stretches},
    },
};

const LINES_AT_ONCE: u32 = 1_024;

/// Readings that go on while the backup is copied.
pub struct TablespaceSearch<P> {
    readings: Vec<P>,
}

/// Begins to read the WAL of the choice.
pub fn search<C: Machine>(
    caps: &C,
    machine: &str,
    archive: &Archive,
    choice: &Choice,
) -> Result<TablespaceSearch<C::Process>, Failure> {
    let keep = [vec!["rmgr: Tablespace".to_owned(), "desc: CREATE".to_owned()]];
    let start = |(position, (first, last)): (usize, &(Segment, Segment))| {
        let mut arguments = ["-p", &archive.path, "-r", "Tablespace"].map(str::to_owned).to_vec();
        if position == 0 {
            arguments.extend(["-s".to_owned(), choice.backup.start_lsn.to_string()]);
        }
        arguments.extend([*first, *last].map(|segment| segment.name(archive.segment_size)));
        Ok(caps.spawn(machine, "pg_waldump", &arguments, &keep)?)
    };
    let readings = stretches(&choice.segments).iter().enumerate().map(start).collect::<Result<_, Failure>>()?;
    Ok(TablespaceSearch { readings })
}

impl<P: Process> TablespaceSearch<P> {
    /// The folders, each once.
    pub fn folders(self) -> Result<Vec<String>, Failure> {
        let mut folders = Vec::new();
        for reading in self.readings {
            loop {
                let lines = reading.read_lines(LINES_AT_ONCE)?;
                if lines.is_empty() {
                    break;
                }
                for line in &lines {
                    let folder = parse(line).ok_or_else(|| not_understood(line))?;
                    // One without a path was made in place, below the data folder.
                    if !folder.is_empty() && !folders.contains(&folder) {
                        folders.push(folder);
                    }
                }
            }
            let output = reading.wait()?;
            // Where the WAL ends for pg_waldump it ends for the server, which reads it with the same code.
            let ends = ["error in WAL record", "could not find a valid record"];
            let says = output.last_lines(3);
            if !output.succeeded() && !ends.iter().any(|end| says.contains(end)) {
                let message = format!("pg_waldump ended with {} while it looked for tablespaces: {says}", output.exit);
                return Err(Failure::permanent("pg-waldump", message));
            }
        }
        Ok(folders)
    }
}

/// `… desc: CREATE 16385 "/srv/fast"`.
fn parse(line: &str) -> Option<String> {
    let (oid, path) = line.split_once("desc: CREATE ")?.1.split_once(' ')?;
    oid.parse::<u32>().ok()?;
    Some(path.trim_end().strip_prefix('"')?.strip_suffix('"')?.to_owned())
}

fn not_understood(line: &str) -> Failure {
    let line: String = line.chars().take(300).collect();
    let message = format!("pg_waldump printed a tablespace record that Lifeboat cannot read: `{line}`");
    Failure::permanent("pg-waldump-text", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read() {
        let line = |desc: &str| {
            format!(
                "rmgr: Tablespace  len (rec/tot):     46/    46, tx:        735, lsn: 0/03000110, prev 0/030000D8, desc: {desc}"
            )
        };
        assert_eq!(parse(&line("CREATE 16385 \"/srv/a \\\"b\"")).as_deref(), Some("/srv/a \\\"b"));
        assert_eq!(parse(&line("CREATE 16385 \"\"")).as_deref(), Some(""));
        assert_eq!(parse(&line("CREATE 16385 \"/srv/cut")), None);
        assert_eq!(parse(&line("DROP 16385")), None);
    }
}
