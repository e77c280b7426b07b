//! Base backups: what they say about themselves, and how old they are.

pub mod age;
pub mod base_backup;
pub mod control;
