//! Disasters. Each knows exactly what it did; that is for the measurement alone and never reaches the engine.

mod deletion;
mod read_back;

pub use deletion::{Deletion, Mistake, delete_customers};
pub use read_back::read_back;
