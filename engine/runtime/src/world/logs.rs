//! Log files: one a step, plain text with the time, for a pager. Progress is shown live and not kept.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
};

use jiff::Timestamp;
use lifeboat_core::name::StepId;

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

    /// Writes a log line. The first failure comes back as a note to show; a log that can not be written stops no recovery.
    pub(super) fn write(&mut self, at: Timestamp, note: &StepNote) -> Option<StepNote> {
        let StepNote { step, note: Note::Log { level, message, fields } } = note else { return None };
        match self.append(step, &line(at, *level, message, fields)) {
            Ok(()) => None,
            Err(_) if self.failed => None,
            Err(error) => {
                self.failed = true;
                let message = format!("log files can not be written any more: {}: {error}", self.folder.display());
                let note = Note::Log { level: Level::Warn, message, fields: Vec::new() };
                Some(StepNote { step: step.clone(), note })
            }
        }
    }

    fn append(&mut self, step: &StepId, line: &str) -> io::Result<()> {
        if !self.files.contains_key(step) {
            let path = self.folder.join(format!("{step}.log"));
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
        // Writing into a string can not fail.
        let _ = write!(line, " {name}={}", one_line(value));
    }
    line.push('\n');
    line
}

/// A plugin's text must not look like a line that the engine wrote.
fn one_line(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
