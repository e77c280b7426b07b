//! The application: three related tables, their initial content, and writers that follow a fixed schedule.

mod connection;
mod content;
mod habits;
mod load;
mod partition;
mod schema;
mod writer;

pub use connection::{ConnectError, connect};
pub use content::{Origin, columns, origin};
pub use habits::{GoneOn, Habits, go_on, orders_of};
pub use load::{Size, baseline, load, parent_of_item, parent_of_order, referrer};
pub use partition::{Partition, Planned};
pub use schema::SCHEMA;
pub use writer::{Workload, WorkloadError, WorkloadPlan, WriterReport, write_marker};
