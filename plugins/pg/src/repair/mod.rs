//! Pages of a stopped server's files, replaced by their last version from a copy.

mod judgement;
mod later;
mod replacement;
mod server_files;

pub use judgement::{Pair, Proof, judge};
pub use later::touched_since;
pub use replacement::{ReplacedPage, Replacement};
pub use server_files::{ServerFiles, check_cluster};
