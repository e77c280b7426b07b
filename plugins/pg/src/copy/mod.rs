//! Copies: restoring a backup to a moment, within walls, as a server of its own.

pub mod choice;
pub mod copying;
pub mod environment;
pub mod instance;
pub mod isolation;
pub mod marker;
pub mod own_wal;
pub mod proof;
pub mod recovery;
pub mod restore_command;
pub mod run_files;
pub mod session_settings;
pub mod target;
pub mod wal_tablespaces;
pub mod which;
