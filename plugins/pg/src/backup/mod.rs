//! Base backups: what they say about themselves, how old they are, and what they must hold.

pub mod age;
pub mod base_backup;
pub mod control;
pub mod seal;
