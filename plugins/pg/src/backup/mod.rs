//! Base backups: what they say of themselves, and how old they are.

pub mod age;
pub mod base_backup;
pub mod control;
