//! The pages of relations as they are on disk: what is wrong with them, and what that calls for.

mod bad_page;
mod checksum;
mod entries;
#[cfg(test)]
pub(crate) mod example;
mod gaps;
mod listed;
mod mismatch;
mod page;
mod reading;
mod relations;
mod remedy;
mod search;

pub use bad_page::BadPage;
pub use checksum::{PAGE_BYTES, checksum};
pub use listed::ListedPage;
pub use mismatch::{Mismatches, mismatches};
pub use page::{Problem, is_empty, lsn, problem};
pub use reading::{PageRange, read};
pub use relations::{IndexOf, Relation, RelationKind, named, relations};
pub use remedy::{REPAIRED_MAX, Remedy, remedy};
pub use search::{Found, search};
