//! The driver: the one loop that moves a run on, live and after a crash, in the real world and in virtual ones.

mod drive;
mod recovery;
mod world;

pub use drive::{How, drive};
pub use recovery::{fold, interrupted, opening};
pub use world::{Next, World};
