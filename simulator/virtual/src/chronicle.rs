//! What is told of a case that broke something: everything that happened, in order, for people.

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Person},
    input::Purpose,
    name::StepId,
};

use super::{
    faults::{AppendFault, CallFault, QuestionFault},
    lives::LifeEnd,
};

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) enum Told {
    /// An engine began or went on with the run.
    EngineBegan,
    /// It ended.
    EngineEnded(LifeEnd),
    /// An event is on disk.
    Recorded(Box<Event>),
    /// A call began.
    Called { step: StepId, purpose: Purpose },
    /// A call took effect.
    TookEffect { step: StepId, purpose: Purpose },
    /// A call was cut off and took effect all the same.
    TookEffectUnheard { step: StepId, purpose: Purpose },
    /// Something goes wrong with a call.
    CallFault { fault: CallFault, step: StepId, purpose: Purpose },
    /// An answer of an attempt that is over arrived.
    OldAnswer { step: StepId, attempt: u32 },
    /// Something goes wrong with a question.
    QuestionFault { fault: QuestionFault, step: StepId },
    /// Somebody wanted something that cannot be done.
    Refused { who: Person, message: String },
    /// Something happens around the engine.
    AppendFault { fault: AppendFault },
}

/// What happened in a case, if the story is requested.
#[derive(Debug, Default)]
pub(super) struct Chronicle {
    lines: Option<Vec<(Timestamp, Told)>>,
}

impl Chronicle {
    /// One that is kept.
    pub(super) fn kept() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    /// Adds a line, which costs nothing if the story is not requested.
    pub(super) fn tell(&mut self, at: Timestamp, told: impl FnOnce() -> Told) {
        if let Some(lines) = &mut self.lines {
            lines.push((at, told()));
        }
    }

    /// Everything that was told.
    pub(super) fn into_lines(self) -> Vec<(Timestamp, Told)> {
        self.lines.unwrap_or_default()
    }
}
