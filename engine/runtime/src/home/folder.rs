//! The folder itself.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use lifeboat_core::name::RunId;
use serde_json::Value;

use super::RunFolder;
use crate::{Error, holder::Holder, lock::RunLock, sync::sync_folder};

/// The state folder of Lifeboat on this machine. Several processes may use it at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Opens the folder, and makes it and what it needs where they are missing.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let home = Self { path: path.into() };
        for folder in [home.runs_folder(), home.cache(), home.leases_folder()] {
            if !folder.is_dir() {
                fs::create_dir_all(&folder).and_then(|()| sync_folder(&home.path)).map_err(Error::disk(&folder))?;
            }
        }
        Ok(home)
    }

    /// The folder for a reader: nothing is made, and a missing folder has no runs.
    pub fn to_read(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where compiled plugins are kept; may be deleted at any time.
    pub fn cache(&self) -> PathBuf {
        self.path.join("cache")
    }

    /// The folder of a run: `journal.jsonl`, `plan.json`, `runbook.yaml`, `bindings.yaml`, `logs/`, and what a drill adds.
    pub fn run_folder(&self, run: &RunId) -> PathBuf {
        self.runs_folder().join(run.as_str())
    }

    /// The journal of a run.
    pub fn journal(&self, run: &RunId) -> PathBuf {
        self.folder(run).journal()
    }

    /// The report of a drill.
    pub fn report(&self, run: &RunId) -> PathBuf {
        self.run_folder(run).join("report.json")
    }

    /// Where an engine that works on a run logs for those who debug, where its terminal shows something else.
    pub fn engine_log(&self, run: &RunId) -> PathBuf {
        self.folder(run).engine_log()
    }

    /// Who works on a run at this moment, if anyone does.
    pub fn holder(&self, run: &RunId) -> Result<Option<Holder>, Error> {
        RunLock::holder(&self.run_folder(run), run)
    }

    /// Adds a line to the history of drills and returns when it is durable.
    pub fn add_to_history(&self, entry: &Value) -> Result<(), Error> {
        let path = self.history_file();
        let write = || {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
            file.lock()?;
            // A line that a crash cut short stays alone.
            let cut = if ends_in_the_middle(&mut file)? { "\n" } else { "" };
            file.write_all(format!("{cut}{entry}\n").as_bytes())?;
            file.sync_all()?;
            sync_folder(&self.path)
        };
        write().map_err(Error::disk(&path))
    }

    /// The lines of the history of drills, in the order in which they were added. A line that is none (cut short by a crash, or
    /// written by something else) is left out.
    pub fn history(&self) -> Result<Vec<Value>, Error> {
        let path = self.history_file();
        match fs::read(&path) {
            Ok(bytes) => {
                Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::unreadable(path)(error)),
        }
    }

    pub(super) fn runs_folder(&self) -> PathBuf {
        self.path.join("runs")
    }

    pub(crate) fn folder(&self, run: &RunId) -> RunFolder {
        RunFolder::new(self.run_folder(run))
    }

    pub(super) fn leases_folder(&self) -> PathBuf {
        self.path.join("leases")
    }

    fn history_file(&self) -> PathBuf {
        self.path.join("history.jsonl")
    }
}

/// Whether the last line of the file has no end.
fn ends_in_the_middle(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0_u8];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_the_history_that_was_cut_short_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        home.add_to_history(&json!({ "drill": 1 })).unwrap();
        let path = home.history_file();
        OpenOptions::new().append(true).open(&path).unwrap().write_all("{\"drill\": \"M\u{fc}".as_bytes()).unwrap();
        home.add_to_history(&json!({ "drill": 3 })).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"drill\":1}\n{\"drill\": \"Mü\n{\"drill\":3}\n");
        assert_eq!(home.history().unwrap(), [json!({ "drill": 1 }), json!({ "drill": 3 })]);
    }

    #[test]
    fn who_only_reads_makes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let home = Home::to_read(&path);
        assert!(home.runs().unwrap().is_empty() && home.leases().unwrap().is_empty());
        assert!(home.history().unwrap().is_empty() && home.find("last").is_err() && home.find("dr-003").is_err());
        assert!(!path.exists());
    }
}
