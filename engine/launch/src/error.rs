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
#[error("{} has {} problems; the first: {}", file.name, diagnostics.len(), diagnostics.first().map_or("", |first| &first.message))]
pub struct Wrong {
    /// The file.
    pub file: SourceFile,
    /// What was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Whether one of the findings is an error.
pub(crate) fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}
