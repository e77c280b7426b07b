//! The application at work: writers that follow a fixed schedule, whatever the store does.

mod driver;
mod generator;
pub mod shop;

pub use driver::{Schedule, Workload, WorkloadError, WriterReport, write_once};
pub use generator::Generator;
