//! What can go wrong with a testbed.

use std::{io, path::PathBuf};

/// Why a backend cannot be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// What is missing, and what to do about it.
    pub reason: String,
}

/// A testbed could not be built, used or torn down.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// This machine cannot run the backend.
    #[error("the testbed cannot run here: {0}")]
    Unavailable(#[from] Unavailable),
    /// A folder or file could not be made, read or removed.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user that must run PostgreSQL cannot enter the folder.
    #[error("the user {user}, which runs PostgreSQL, cannot enter {}: choose another folder", path.display())]
    Unreachable {
        /// The folder.
        path: PathBuf,
        /// The user.
        user: String,
    },
    /// A program failed.
    #[error("{program}: {message}")]
    Program {
        /// Its name.
        program: String,
        /// Its output, or why it could not be run.
        message: String,
    },
    /// PostgreSQL did not start.
    #[error("PostgreSQL did not start: {message}")]
    ServerStart {
        /// The last lines of its log.
        message: String,
    },
    /// PostgreSQL refused something the testbed needs.
    #[error("{doing}: {}", postgres_message(source))]
    Sql {
        /// What was being done.
        doing: &'static str,
        /// The server's or the driver's answer.
        source: tokio_postgres::Error,
    },
    /// No image with PostgreSQL is available.
    #[error("no image with PostgreSQL {major}: {message}")]
    Image {
        /// The major version.
        major: u16,
        /// Why, and what to do.
        message: String,
    },
    /// A system cannot be built as requested.
    #[error("the system `{name}`: {message}")]
    System {
        /// Its name.
        name: String,
        /// Why not.
        message: String,
    },
    /// The container engine refused something.
    #[error("container engine, {doing}: {message}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// Its answer.
        message: String,
    },
    /// The operating system gave no port or no random bytes.
    #[error("{what}: {source}")]
    Resource {
        /// What was needed.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The caller stopped the start.
    #[error("the start of the testbed was stopped")]
    Stopped,
    /// Parts of the testbed remain after its teardown.
    #[error("the teardown left behind: {}", left.join(", "))]
    Leftover {
        /// Processes, containers, folders.
        left: Vec<String>,
    },
}

impl TestbedError {
    /// The stable code; `lifeboat explain CODE` prints its page.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "drill-testbed-unavailable",
            Self::Folder { .. } | Self::Unreachable { .. } => "drill-testbed-folder",
            Self::Program { .. } => "drill-testbed-program",
            Self::ServerStart { .. } => "drill-testbed-server",
            Self::Sql { .. } => "drill-testbed-sql",
            Self::Image { .. } => "drill-testbed-image",
            Self::System { .. } => "drill-testbed-system",
            Self::Engine { .. } => "drill-testbed-engine",
            Self::Resource { .. } => "drill-testbed-resource",
            Self::Stopped => "drill-stopped",
            Self::Leftover { .. } => "drill-testbed-leftover",
        }
    }
}

/// The driver's own text says only `db error`; the server's message is behind it.
fn postgres_message(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} (SQLSTATE {})", answer.message(), answer.code().code()),
        None => std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    }
}
