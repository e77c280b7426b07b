//! What every run of this process is given.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{invoke::Invoke, people::People, report::Reporter};

/// What surrounds every run of this process.
#[derive(Clone)]
pub struct Surroundings {
    /// Runs plugin calls.
    pub invoke: Arc<dyn Invoke>,
    /// Answers questions.
    pub people: Arc<dyn People>,
    /// Reads the stream of reports.
    pub reporter: Arc<dyn Reporter>,
    /// Fires when the engine should stop. Nothing begins any more; calls in flight are told to end, and what they still did is
    /// journalled. An attempt that fails, or does not end in time, is found interrupted by the engine that resumes the run.
    pub stop: CancellationToken,
}
