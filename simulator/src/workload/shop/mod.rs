//! The shop: customers, their orders, the items of these. One model application, which every store can keep.

mod collection;
mod content;
mod habits;
mod marker;
mod partition;
mod sample;
mod size;

pub use collection::Collection;
pub use content::{Origin, content, fields};
pub use habits::{GoneOn, Habits, go_on, orders_of};
pub use marker::write_marker;
pub use partition::Partition;
pub use sample::sample;
pub use size::{Size, baseline};
