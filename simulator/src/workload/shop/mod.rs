//! The writes of the shop's writers, and the application's other writes.

mod habits;
mod marker;
mod partition;
mod writes;

pub use habits::{GoneOn, Habits, go_on, orders_of};
pub use marker::write_marker;
pub use partition::Partition;
