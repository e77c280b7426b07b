//! The other files of a runbook: provided by the caller of the compiler, because the core reads no files.

use crate::diagnostic::SourceFile;

/// Where the runbooks lie that a runbook names.
pub trait Files {
    /// The file that the one called `from` names so, or why it cannot be had. Two ways to one file lead to one name: that is how
    /// a circle is seen.
    fn file(&self, from: &str, path: &str) -> Result<SourceFile, String>;
}

/// No files at all: a runbook on its own.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Files for NoFiles {
    fn file(&self, _from: &str, _path: &str) -> Result<SourceFile, String> {
        Err("other files cannot be read here".to_owned())
    }
}
