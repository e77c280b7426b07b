//! The folder of one run: what stands beside the journal, and in which order it is written.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use lifeboat_core::diagnostic::SourceFile;
use serde::{Deserialize, Serialize};

use crate::{Error, store::NewRun, sync::sync_folder};

/// Paths and files of one run.
#[derive(Debug, Clone)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

/// `leases.json`: what the run must hold whenever it continues.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Resources {
    pub(crate) resources: Vec<String>,
}

/// `origin.json`: where the run's files came from.
#[derive(Debug, Serialize, Deserialize)]
struct Origin {
    runbook: PathBuf,
    /// The runbooks that it calls, in the order in which they are kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    called: Vec<PathBuf>,
}

/// A file of the author that is not any more what the run was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Where it was.
    pub path: PathBuf,
    /// It is not there any more, or cannot be read.
    pub is_gone: bool,
}

impl RunFolder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    pub(crate) fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    pub(crate) fn runbook(&self) -> PathBuf {
        self.path.join("runbook.yaml")
    }

    /// Where the author's file is: what a resumed run says that it no longer follows.
    pub(crate) fn origin(&self) -> PathBuf {
        self.path.join("origin.json")
    }

    pub(crate) fn bindings(&self) -> PathBuf {
        self.path.join("bindings.yaml")
    }

    pub(crate) fn leases(&self) -> PathBuf {
        self.path.join("leases.json")
    }

    fn called(&self) -> PathBuf {
        self.path.join("called")
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What the engine logs for those who debug, where its terminal shows something else.
    pub(crate) fn engine_log(&self) -> PathBuf {
        self.logs().join("engine.log")
    }

    /// Writes everything that a resumed run needs, durably: the first event must find it there.
    pub(crate) fn prepare(&self, new: &NewRun, leases: &Resources) -> Result<(), Error> {
        self.write(&self.runbook(), &new.runbook_source)?;
        self.write(&self.bindings(), &new.bindings_source)?;
        self.write(&self.leases(), &json(&self.leases(), leases)?)?;
        if let Some(path) = &new.runbook_path {
            let absolute = |file: &SourceFile| std::path::absolute(&file.name).unwrap_or_else(|_| (&file.name).into());
            let called = new.called_sources.iter().map(absolute).collect();
            self.write(&self.origin(), &json(&self.origin(), &Origin { runbook: path.clone(), called })?)?;
        }
        self.write(&self.plan(), &json(&self.plan(), &new.plan)?)?;
        fs::create_dir_all(self.logs()).map_err(Error::disk(self.logs()))
    }

    /// Writes the runbooks that the run's own calls: `called/1-reports.yaml`. Only people need them; the plan holds their steps.
    pub(crate) fn keep_called(&self, files: &[SourceFile]) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        let folder = self.called();
        fs::create_dir_all(&folder).map_err(Error::disk(&folder))?;
        for (number, file) in (1..).zip(files) {
            self.write(&self.called_file(number, Path::new(&file.name)), file.text.as_bytes())?;
        }
        Ok(())
    }

    fn called_file(&self, number: usize, path: &Path) -> PathBuf {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("runbook.yaml");
        self.called().join(format!("{number}-{name}"))
    }

    /// Removes what belongs to a run that was refused before its first event, and the folder where nothing else is in it: a
    /// drill keeps its ledger there.
    pub(crate) fn discard(&self) {
        for file in [
            self.journal(),
            self.plan(),
            self.runbook(),
            self.origin(),
            self.bindings(),
            self.leases(),
            self.engine_log(),
            self.path.join("lock"),
        ] {
            let _ = fs::remove_file(file);
        }
        let _ = fs::remove_dir_all(self.called());
        for folder in [self.logs(), self.path.clone()] {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Where the run's files came from; `None` of a runbook that was in no file.
    fn read_origin(&self) -> Option<Origin> {
        fs::read(self.origin()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
    }

    /// Where the runbook was when the run was started.
    pub(crate) fn runbook_path(&self) -> Option<PathBuf> {
        Some(self.read_origin()?.runbook)
    }

    /// The files of the author that are not any more what the run was started with: the runbook, and those that it calls.
    pub(crate) fn changed_files(&self) -> Vec<ChangedFile> {
        let Some(Origin { runbook, called }) = self.read_origin() else { return Vec::new() };
        let called = (1..).zip(called).map(|(number, path)| (self.called_file(number, &path), path));
        std::iter::once((self.runbook(), runbook))
            .chain(called)
            .filter_map(|(kept, path)| changed(&kept, path))
            .collect()
    }

    /// Makes an empty journal whose name is durable too.
    pub(crate) fn create_journal(&self) -> Result<File, Error> {
        let path = self.journal();
        let create = || {
            let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
            file.sync_all()?;
            sync_folder(&self.path)?;
            Ok(file)
        };
        create().map_err(Error::disk(&path))
    }

    /// Opens the journal for appending.
    pub(crate) fn open_journal(&self) -> Result<File, Error> {
        let path = self.journal();
        OpenOptions::new().append(true).open(&path).map_err(Error::disk(&path))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let write = || {
            let mut file = File::create(path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(Error::disk(path))
    }
}

fn changed(kept: &Path, path: PathBuf) -> Option<ChangedFile> {
    let then = fs::read(kept).ok()?;
    match fs::read(&path) {
        Ok(now) => (now != then).then_some(ChangedFile { path, is_gone: false }),
        Err(_) => Some(ChangedFile { path, is_gone: true }),
    }
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::disk(path)(error.into()))
}
