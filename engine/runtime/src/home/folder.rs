//! The folder itself.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use lifeboat_core::name::RunId;
use serde_json::Value;

use super::RunFolder;
use crate::{Error, holder::Holder, lock::RunLock};

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
            fs::create_dir_all(&folder).map_err(Error::disk(&folder))?;
        }
        Ok(home)
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

    /// Who works on a run at this moment, if anyone does.
    pub fn holder(&self, run: &RunId) -> Result<Option<Holder>, Error> {
        RunLock::holder(&self.run_folder(run), run)
    }

    /// Adds a line to the history of drills and returns when it is durable.
    pub fn add_to_history(&self, entry: &Value) -> Result<(), Error> {
        let path = self.history_file();
        let write = || {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.lock()?;
            file.write_all(format!("{entry}\n").as_bytes())?;
            file.sync_data()
        };
        write().map_err(Error::disk(&path))
    }

    /// Every line of the history, oldest first. A line that was torn by a crash is left out.
    pub fn history(&self) -> Result<Vec<Value>, Error> {
        let path = self.history_file();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
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
