//! Probes on the application's path: every 100 ms, read and write, pooled and fresh, and the content of sampled records.

mod content;
mod lag;
mod log;
mod prober;

pub use lag::{Lookouts, Sightings, Watched};
pub use log::{Detection, ProbeLog, is_down};
pub use prober::{ProbePlan, Probers};
