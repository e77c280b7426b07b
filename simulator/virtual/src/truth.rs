//! What really happened to the targets of a virtual run, whatever the engine knows of it.

use lifeboat_core::{
    action::Effect,
    event::Person,
    failure::FailureKind,
    input::Purpose,
    name::{RoleName, StepId},
};

/// What really happened, in order.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Every call that began.
    pub calls: Vec<CallMade>,
    /// All work that was done by hand in the stead of a step, or for one that asks for it.
    pub hands: Vec<HandWork>,
    /// Every answer that a person gave to a question that stood.
    pub replies: Vec<ReplyGiven>,
    /// Everything that somebody told the run without having been asked.
    pub told: Vec<RequestTold>,
    /// How often each step was asked about.
    pub askings: Vec<(StepId, u32)>,
    /// Every question that stood when an engine ended, and in which life.
    pub questions_cut_off: Vec<(StepId, usize)>,
    /// What the disk said is durable: sequence number and hash of the last record of each decision.
    pub durable: Vec<(u64, String)>,
    /// How many records there were when each life of the engine ended.
    pub left: Vec<u64>,
    clock: u64,
}

/// A call as the targets saw it. Its moments are numbers that only grow.
#[derive(Debug, Clone)]
pub struct CallMade {
    /// Of which step.
    pub step: StepId,
    /// The purpose of the call.
    pub purpose: Purpose,
    /// Of which attempt.
    pub attempt: u32,
    /// The how manieth call of the step for that purpose.
    pub nth: u32,
    /// In which life of the engine, counted from 0.
    pub life: usize,
    /// When it began.
    pub began: u64,
    /// How many records were durable then.
    pub durable: u64,
    /// The roles whose identity was compared with the bindings before anything was done.
    pub identified: Vec<RoleName>,
    /// When it took effect, if it did.
    pub effect: Option<u64>,
    /// When it was over.
    pub ended: Option<u64>,
    /// Whether it outlived its engine: it was in flight when that ended.
    pub outlived: bool,
    /// What it answered in time: nothing, that it worked, or a failure.
    pub answer: Option<Result<(), FailureKind>>,
}

/// Work that was done by hand.
#[derive(Debug, Clone)]
pub struct HandWork {
    /// For which step.
    pub step: StepId,
    /// When it was known to be done: what nobody knows of is nothing that can be taken back.
    pub effect: u64,
}

/// An answer of a person.
#[derive(Debug, Clone)]
pub struct ReplyGiven {
    /// To the question of which step, or about which step, where nobody asked.
    pub step: StepId,
    /// Who gave it.
    pub who: Person,
    /// Whether it was a yes, or work that was really done.
    pub good: bool,
}

/// What somebody told the run without having been asked.
#[derive(Debug, Clone)]
pub struct RequestTold {
    /// The person who did it, or the policy of a drill.
    pub who: Person,
    /// Whether it can be done, as the journal stood then.
    pub can_be_done: bool,
    /// The last record of the journal then.
    pub before: u64,
    /// What they were told, and the last record of the journal then; `None` where the engine ended before it answered.
    pub answer: Option<(Answered, u64)>,
}

/// What somebody was told who wanted something of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// That it is recorded.
    Recorded,
    /// That it cannot be done.
    Refused,
}

impl Truth {
    /// The next moment.
    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// How often the step was called for that purpose.
    pub(super) fn calls_of(&self, step: &StepId, purpose: Purpose) -> impl Iterator<Item = &CallMade> {
        self.calls.iter().filter(move |call| call.purpose == purpose && call.step == *step)
    }

    /// The last effect of the step that was not taken back.
    pub fn standing_effect(&self, step: &StepId) -> Option<&CallMade> {
        let last =
            |purpose| self.calls_of(step, purpose).filter(|call| call.effect.is_some()).max_by_key(|call| call.effect);
        let undone = last(Purpose::Undo).and_then(|call| call.effect);
        last(Purpose::Run).filter(|call| call.effect > undone)
    }

    /// Whether anything is left of the step, of its attempts or of work by hand, that was not taken back.
    pub fn is_left(&self, step: &StepId) -> bool {
        let undone = self.calls_of(step, Purpose::Undo).filter_map(|call| call.effect).max();
        let by_hand = self.hands.iter().filter(|work| work.step == *step).map(|work| work.effect).max();
        self.standing_effect(step).is_some() || by_hand > undone
    }

    /// Whether a person really did what the step asks for.
    pub fn is_done_by_hand(&self, step: &StepId) -> bool {
        self.replies.iter().any(|reply| reply.step == *step && reply.good)
    }
}

/// Whether an effect leaves the target other than it was.
pub(super) fn changes(effect: Effect) -> bool {
    effect > Effect::Read
}
