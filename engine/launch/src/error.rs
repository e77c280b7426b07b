//! Why files do not become a run.

use std::io;

use lifeboat_core::diagnostic::{Diagnostic, Severity, SourceFile};

/// A file that cannot be read, or a runbook that cannot be executed as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read `{name}`: {source}")]
    Unreadable {
        /// Its path.
        name: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The runbook has variants, and none was chosen.
    #[error("the runbook has variants (planned, disaster), and none is chosen")]
    VariantMissing,
    /// A variant was chosen, and the runbook has none.
    #[error("the runbook has no variants")]
    NoVariants,
}

impl SourceError {
    /// A stable code, where it has a page in `docs/errors`.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } => None,
            Self::VariantMissing | Self::NoVariants => Some("run-variant"),
        }
    }
}

/// A file with errors, and everything that was found in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", summary(file, diagnostics))]
pub struct Wrong {
    /// The file.
    pub file: SourceFile,
    /// What was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// How many errors a file has, and the first of them: `a.yaml has 2 problems; the first: …`.
pub fn summary(file: &SourceFile, diagnostics: &[Diagnostic]) -> String {
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error);
    let first = errors().next().map_or("", |first| first.message.as_str());
    match errors().count() {
        1 => format!("{} has 1 problem: {first}", file.name),
        count => format!("{} has {count} problems; the first: {first}", file.name),
    }
}

/// Whether one of the findings is an error.
pub(crate) fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}
