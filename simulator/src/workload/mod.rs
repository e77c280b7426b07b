//! The application: a model of what it keeps, and writers that follow a fixed schedule, whatever the store does.

mod driver;
mod planned;
pub mod shop;

pub use driver::{Schedule, Workload, WorkloadError, WriterReport, write_once};
pub use planned::{Generator, Planned};
