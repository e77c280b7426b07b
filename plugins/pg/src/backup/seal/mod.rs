//! Seals: what a server held at one point of its WAL, recorded when a backup was taken. A copy that is restored from the backup to that
//! point must hold the same.

pub mod commit_order;
pub mod inventory;
pub mod measured;
pub mod random_values;
pub mod randomness;
pub mod sealed;
