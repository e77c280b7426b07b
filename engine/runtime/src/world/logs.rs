//! Log files: one a step (`restore.log`, `reports.restore.log`), plain text with the time, for a pager. Progress is shown live and not kept.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};

use jiff::Timestamp;
use lifeboat_core::{name::StepId, text::steers};

use crate::invoke::{Level, Note, StepNote};

/// The log files of a run.
pub(super) struct Logs {
    folder: PathBuf,
    files: BTreeMap<StepId, File>,
    failed: bool,
}

impl Logs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, files: BTreeMap::new(), failed: false }
    }

    /// Writes a log line. The first failure comes back as a note to show; a log that cannot be written stops no recovery.
    pub(super) fn write(&mut self, at: Timestamp, note: &StepNote) -> Option<StepNote> {
        let StepNote { step, note: Note::Log { level, message, fields } } = note else { return None };
        match self.append(step, &line(at, *level, message, fields)) {
            Ok(()) => None,
            Err(_) if self.failed => None,
            Err(error) => {
                self.failed = true;
                let message = format!("cannot write log files: {}: {error}", self.folder.display());
                let note = Note::Log { level: Level::Warn, message, fields: Vec::new() };
                Some(StepNote { step: step.clone(), note })
            }
        }
    }

    fn append(&mut self, step: &StepId, line: &str) -> io::Result<()> {
        if !self.files.contains_key(step) {
            let path = self.folder.join(format!("{}.log", step.as_str().replace('/', ".")));
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            self.files.insert(step.clone(), file);
        }
        match self.files.get_mut(step) {
            Some(file) => file.write_all(line.as_bytes()),
            None => Ok(()),
        }
    }
}

fn line(at: Timestamp, level: Level, message: &str, fields: &[(String, String)]) -> String {
    let level = match level {
        Level::Debug => "DEBUG",
        Level::Info => "INFO ",
        Level::Warn => "WARN ",
        Level::Error => "ERROR",
    };
    let mut line = format!("{at:.6} {level} {}", one_line(message));
    for (name, value) in fields {
        // Writing into a string cannot fail.
        let _ = write!(line, " {name}={}", one_line(value));
    }
    line.push('\n');
    line
}

/// A plugin's text must not look like a line that the engine wrote.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if steers(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> StepNote {
        let fields = vec![("table".to_owned(), "orders\u{1b}[2J".to_owned())];
        let note = Note::Log { level: Level::Error, message: message.to_owned(), fields };
        StepNote { step: StepId::new("merge").unwrap(), note }
    }

    #[test]
    fn a_line_is_one_line_whatever_the_plugin_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Logs::new(folder.path().to_owned());
        let at = "2026-11-21T03:00:00Z".parse().unwrap();
        assert_eq!(logs.write(at, &said("first\n2026 ERROR second")), None);
        assert_eq!(logs.write(at, &said("ümlaut\u{202e}")), None);
        let text = std::fs::read_to_string(folder.path().join("merge.log")).unwrap();
        let expected = "2026-11-21T03:00:00.000000Z ERROR first\\n2026 ERROR second table=orders\\u{1b}[2J\n\
                        2026-11-21T03:00:00.000000Z ERROR ümlaut\\u{202e} table=orders\\u{1b}[2J\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_told_once() {
        let mut logs = Logs::new(PathBuf::from("/nonexistent/logs"));
        let at = "2026-11-21T03:00:00Z".parse().unwrap();
        let warning = logs.write(at, &said("lost")).unwrap();
        assert!(matches!(warning.note, Note::Log { level: Level::Warn, .. }));
        assert_eq!(logs.write(at, &said("lost too")), None);
    }
}
