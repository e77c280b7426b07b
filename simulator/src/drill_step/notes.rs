//! The progress of a drill, for those who watch the run that holds it.

use std::sync::Arc;

use lifeboat_core::{event::Event, run::Run};
use lifeboat_runtime::{
    invoke::{Level, Note},
    report::Report,
};

use crate::drill::{DrillObserver, Phase};

/// Reports the phases of a drill, and the steps that its engine starts, as log lines of the step.
pub(super) struct Notes(pub(super) Arc<dyn Fn(Note) + Send + Sync>);

impl Notes {
    fn say(&self, level: Level, message: String) {
        (self.0)(Note::Log { level, message, fields: Vec::new() });
    }
}

impl DrillObserver for Notes {
    fn phase(&self, _holding: &str, phase: &Phase) {
        self.say(Level::Info, phase.to_string());
    }

    fn engine(&self, report: &Report, run: &Run) {
        let Report::Recorded(recorded) = report else { return };
        match &recorded.event {
            Event::RunStarted(started) => self.say(Level::Info, format!("the recovery is the run {}", started.run)),
            Event::StepStarted { step, .. } => self.say(Level::Debug, format!("the recovery runs `{step}`")),
            Event::StepFailed { step, failure } => {
                let reason = failure.reason();
                let message = format!("`{step}` of the recovery failed: {} ({})", reason.message, reason.code);
                self.say(Level::Warn, message);
            }
            Event::RunFinished { .. } => self.say(Level::Info, format!("the recovery {}", ended(run))),
            _ => {}
        }
    }
}

fn ended(run: &Run) -> String {
    let failed = run.steps.iter().find(|step| step.state.failure().is_some());
    failed.map_or_else(|| "has ended".to_owned(), |step| format!("has ended; `{}` failed", step.id))
}
