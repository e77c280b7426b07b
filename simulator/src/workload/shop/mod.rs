//! What the writers of the shop do, and what the application does besides.

mod habits;
mod marker;
mod partition;
mod writes;

pub use habits::{GoneOn, Habits, go_on, orders_of};
pub use marker::write_marker;
pub use partition::Partition;
