//! A case in numbered sentences, as one would tell it to the people who wrote the runbook.

use std::fmt;

use lifeboat_core::{
    event::{Event, KnownBy, OperatorAnswer, Outcome, SkipReason},
    input::Purpose,
    name::StepId,
};

use super::{
    chronicle::Told,
    faults::{AppendFault, CallFault, QuestionFault},
    lives::{LifeEnd, Played},
};

/// What happened, a sentence a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// The sentences, in order.
    pub sentences: Vec<String>,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentences.iter().enumerate().try_for_each(|(place, sentence)| writeln!(f, "{:>3}. {sentence}", place + 1))
    }
}

/// Longer stories are not read.
const SENTENCES_MAX: usize = 60;

/// Tells a case whose happenings were kept.
pub(super) fn tell(played: &Played) -> Story {
    let told: Vec<&Told> = played.chronicle.iter().map(|(_, told)| told).collect();
    let mut teller = Teller::default();
    for (place, what) in told.iter().enumerate() {
        teller.tell(what, &told[place + 1..]);
    }
    let mut sentences: Vec<String> = teller.lines.into_iter().map(Line::into_sentence).collect();
    if sentences.len() > SENTENCES_MAX {
        let (left_out, last) = (sentences.len() - SENTENCES_MAX, sentences.pop());
        sentences.truncate(SENTENCES_MAX - 1);
        sentences.push(format!("And so on ({left_out} more sentences)."));
        sentences.extend(last);
    }
    Story { sentences }
}

/// A sentence in the making: what several steps did alike is told in one.
#[derive(Debug)]
enum Line {
    /// The steps, what one of them did, and what several did.
    Steps(Vec<StepId>, &'static str, &'static str),
    Plain(String),
}

impl Line {
    fn into_sentence(self) -> String {
        match self {
            Self::Plain(text) => text,
            Self::Steps(steps, did, _) if steps.len() == 1 => format!("{} {did}.", list(&steps)),
            Self::Steps(steps, _, did) => format!("{} {did}.", list(&steps)),
        }
    }
}

fn list(steps: &[StepId]) -> String {
    joined(steps.iter().map(|step| format!("`{step}`")).collect())
}

fn joined(names: Vec<String>) -> String {
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[derive(Debug, Default)]
struct Teller {
    lines: Vec<Line>,
    lives: usize,
    /// Calls in flight.
    flying: Vec<(StepId, Purpose)>,
    /// Steps that are being taken back.
    undoing: Vec<StepId>,
    /// What happened to what was being written when the engine ended.
    died: Option<AppendFault>,
    /// The engine that ended last had lost the run to another one.
    disowned: bool,
}

impl Teller {
    fn say(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Plain(text.into()));
    }

    /// What one step did, and how the same is said of several.
    fn did(&mut self, step: &StepId, one: &'static str, several: &'static str) {
        match self.lines.last_mut() {
            Some(Line::Steps(steps, before, _)) if *before == one => steps.push(step.clone()),
            _ => self.lines.push(Line::Steps(vec![step.clone()], one, several)),
        }
    }

    fn tell(&mut self, told: &Told, rest: &[&Told]) {
        match told {
            Told::EngineBegan => {
                self.lives += 1;
                self.flying.clear();
                match (self.lives, std::mem::take(&mut self.disowned)) {
                    (1, _) => {}
                    (_, false) => self.say("The engine was started again."),
                    (_, true) => self.say("That other engine continued the run."),
                }
            }
            Told::EngineEnded(end) => self.ended(end),
            Told::Recorded(event) => self.event(event),
            Told::Called { step, purpose } => self.flying.push((step.clone(), *purpose)),
            Told::TookEffect { step, purpose, .. } => {
                if !is_heard(step, rest) {
                    self.say(format!("{} took effect.", what(step, *purpose, "The")));
                }
            }
            Told::TookEffectUnheard { step, purpose, .. } => {
                self.say(format!("{} was cut off, but took effect anyway.", what(step, *purpose, "The")));
            }
            Told::CallFault { fault, step, purpose, .. } => self.call_fault(*fault, step, *purpose),
            Told::OldAnswer { step, attempt } => {
                self.say(format!("A late answer of attempt {attempt} of `{step}` arrived; it reported success."));
            }
            Told::QuestionFault { fault, step } => self.question_fault(*fault, step),
            Told::Refused { who, message } => {
                self.say(format!("A request of {who} was refused: {message}."));
            }
            Told::AppendFault { fault } => self.append_fault(*fault),
        }
    }

    fn ended(&mut self, end: &LifeEnd) {
        let flying = std::mem::take(&mut self.flying);
        let died = self.died.take();
        self.disowned = *end == LifeEnd::Disowned;
        let text = match end {
            LifeEnd::Finished(outcome) => format!("The run ended: {}.", outcome_words(*outcome)),
            LifeEnd::Waiting(steps) => format!("Nobody was there to answer; the run waits at {}.", list(steps)),
            LifeEnd::Stopped => "The engine ended.".to_owned(),
            LifeEnd::Died => match died {
                Some(AppendFault::CrashBefore) => "The engine died before it recorded the result.".to_owned(),
                Some(AppendFault::CrashDuring) => "The engine died while it recorded that.".to_owned(),
                Some(_) => "The engine died right after it recorded that.".to_owned(),
                None if flying.is_empty() => "The engine died.".to_owned(),
                None => {
                    let running = flying.iter().map(|(step, purpose)| what(step, *purpose, "the")).collect();
                    format!("The engine died while {} ran.", joined(running))
                }
            },
            LifeEnd::DiskFull => "The disk was full, and the engine stopped.".to_owned(),
            LifeEnd::Unwritten => match died {
                Some(AppendFault::AppendUnanswered) => {
                    "The engine got no answer whether this was recorded, and stopped.".to_owned()
                }
                _ => "The store refused to record the result, and the engine stopped.".to_owned(),
            },
            LifeEnd::Disowned => {
                "Another engine owned the run by then: this one could record nothing, and stopped.".to_owned()
            }
            LifeEnd::Hung(why) => format!("The run hangs: {why}."),
            LifeEnd::Defect(what) => format!("The engine finds a bug in itself: {what}."),
            LifeEnd::Damaged(why) => format!("Its journal cannot be used: {why}."),
        };
        self.say(text);
    }

    fn call_fault(&mut self, fault: CallFault, step: &StepId, purpose: Purpose) {
        let what = what(step, purpose, "The");
        match fault {
            CallFault::Slow => self.say(format!("{what} was much slower than usual.")),
            CallFault::NeverAnswers => self.say(format!("{what} never answered.")),
            CallFault::AnswerTwice => self.say(format!("{what} answered twice.")),
            // What becomes of the others is told by the journal.
            _ => {}
        }
    }

    fn question_fault(&mut self, fault: QuestionFault, step: &StepId) {
        match fault {
            QuestionFault::Unanswered => self.say(format!("Nobody answered the question of `{step}` in time.")),
            QuestionFault::Mistakes => self.say(format!("The first answer to the question of `{step}` was a mistake.")),
            QuestionFault::Repeats => {
                self.say(format!(
                    "The same person answers the question of `{step}` twice; the second answer does not count."
                ));
            }
            QuestionFault::Crash => self.say(format!("The person who was asked about `{step}` answered late.")),
            QuestionFault::Absent | QuestionFault::Refuses => {}
        }
    }

    fn append_fault(&mut self, fault: AppendFault) {
        match fault {
            AppendFault::CrashBefore
            | AppendFault::CrashDuring
            | AppendFault::CrashAfter
            | AppendFault::AppendRefused
            | AppendFault::AppendUnanswered => self.died = Some(fault),
            AppendFault::DiskFull | AppendFault::SecondOwner => {}
            AppendFault::AppendSlow => self.say("The store was slow to record what follows."),
            AppendFault::Stop => self.say("The engine was told to stop."),
            AppendFault::SecondEngine => self.say("Somebody started a second engine on the run; it was refused."),
            AppendFault::ClockForward => self.say("The system clock jumped forward by hours."),
            AppendFault::ClockBack => self.say("The system clock was set back."),
            // What they tell the run stands in the journal, or is refused.
            AppendFault::Abort
            | AppendFault::Pauses
            | AppendFault::Skips
            | AppendFault::Resolves
            | AppendFault::Retries
            | AppendFault::Undoes
            | AppendFault::Answers => {}
            AppendFault::Stray => self.say("Somebody answered questions that nobody had asked."),
        }
    }

    fn event(&mut self, event: &Event) {
        let undoing = event.step().is_some_and(|step| self.undoing.contains(step));
        let mut purpose = if undoing { Purpose::Undo } else { Purpose::Run };
        if let Event::UndoStarted { step, .. } = event {
            self.undoing.push(step.clone());
        }
        if let Some(step) = event.step().filter(|_| !matches!(event, Event::RetryScheduled { .. })) {
            let called = self.flying.iter().find(|(flying, _)| flying == step);
            purpose = called.map_or(purpose, |(_, purpose)| *purpose);
            self.flying.retain(|(flying, _)| flying != step);
        }
        match event {
            Event::StepStarted { step, attempt, .. } if *attempt > 1 => {
                self.say(format!("`{step}` was run again (attempt {attempt})."));
            }
            Event::StepSucceeded { step, known_by, .. } => self.succeeded(step, *known_by),
            Event::AttemptFailed { step, failure, .. } => {
                let (what, kind) = (what(step, purpose, "The"), failure.kind().as_str().replace('_', " "));
                self.say(format!("{what} failed: {} ({kind}).", failure.reason().message));
            }
            Event::StepFailed { step, failure } => {
                self.say(format!("`{step}` failed for good: {}.", failure.reason().message));
            }
            Event::StepSkipped { step, reason } => match reason {
                SkipReason::NothingFailed => self.did(step, "had nothing to do", "had nothing to do"),
                SkipReason::DoneBefore => self.did(
                    step,
                    "was skipped, because it cannot be repeated and may have been done before",
                    "were skipped, because they cannot be repeated and may have been done before",
                ),
                SkipReason::NotAsked => {
                    self.did(
                        step,
                        "had nothing to ask, its `when` is false",
                        "had nothing to ask, their `when` is false",
                    );
                }
                SkipReason::WhenFalse => self.did(
                    step,
                    "was skipped, because its `when` is false",
                    "were skipped, because their `when` is false",
                ),
                SkipReason::ByOperator { who, reason } => self.say(format!("{who} skipped `{step}`: ‘{reason}’.")),
                _ => self.did(
                    step,
                    "was skipped, because what it needs failed",
                    "were skipped, because what they need failed",
                ),
            },
            Event::AttemptInterrupted { step, .. } => self.did(step, "was found interrupted", "were found interrupted"),
            Event::ObservationStarted { step, .. } => {
                self.say(format!("The plugin was asked what became of `{step}`."))
            }
            Event::ObservedNotDone { step, .. } => self.say(format!("It found no effect of `{step}`.")),
            Event::StepCancelled { step } => self.did(step, "was cancelled", "were cancelled"),
            Event::HandlersBegan { .. } => self.say("The handlers began."),
            Event::UndoBegan => self.say("The engine began to undo what was done."),
            Event::UndoStarted { step, attempt, .. } if *attempt > 1 => {
                self.say(format!("The undo of `{step}` was run again (attempt {attempt})."));
            }
            Event::StepUndone { step } => self.did(step, "was undone", "were undone"),
            Event::UndoFailed { step, failure } => {
                self.say(format!("`{step}` could not be undone: {}.", failure.reason().message));
            }
            _ => self.people(event),
        }
    }

    fn succeeded(&mut self, step: &StepId, known_by: KnownBy) {
        match known_by {
            KnownBy::Answer | KnownBy::Items => self.did(step, "succeeded", "succeeded"),
            KnownBy::NoItems => self.say(format!("The list of `{step}` was empty: nothing was done.")),
            KnownBy::Observation => self.say(format!("It found that `{step}` had taken effect.")),
            KnownBy::Operator => self.did(step, "counts as done", "count as done"),
            KnownBy::Approval => {}
        }
    }

    fn people(&mut self, event: &Event) {
        match event {
            Event::ApprovalAnswered { step, who, approved: true, .. } => self.say(format!("{who} approved `{step}`.")),
            Event::ApprovalAnswered { step, who, .. } => self.say(format!("{who} rejected `{step}`.")),
            Event::HandsReported { step, who, reason: None, .. } => {
                self.say(format!("{who} reported that `{step}` was done."));
            }
            Event::HandsReported { step, who, reason: Some(reason), .. }
            | Event::ResolvedByHand { step, who, reason: Some(reason), .. } => {
                self.say(format!("{who} did `{step}` by hand: ‘{reason}’."));
            }
            Event::ResolvedByHand { step, .. } => self.did(step, "counts as done by hand", "count as done by hand"),
            Event::OperatorAsked { step, .. } => self.say(format!("Somebody was asked what became of `{step}`.")),
            Event::OperatorAnswered { step, who, answer, .. } => self.say(match answer {
                OperatorAnswer::RunAgain => format!("{who} saw no effect of `{step}`, and had it run again."),
                OperatorAnswer::ItHappened { .. } => format!("{who} saw that `{step}` had taken effect."),
                OperatorAnswer::GiveUp => format!("{who} gave `{step}` up."),
            }),
            Event::SkipScheduled { step, who, reason } => {
                self.say(format!("{who} requested to skip `{step}` when its turn comes: ‘{reason}’."));
            }
            Event::RetryRequested { step, who, .. } => self.say(format!("{who} retried `{step}` at once.")),
            Event::StepsReopened { steps, who, .. } => self.say(format!("{who} had {} repeated.", list(steps))),
            Event::RunPaused { who, .. } => self.say(format!("{who} paused the run.")),
            Event::RunUnpaused { who, .. } => self.say(format!("{who} resumed the run.")),
            Event::OnsetStated { who, onset } => self.say(format!("{who} reported that users noticed at {onset}.")),
            Event::AbortRequested { who, undo: true, .. } => {
                self.say(format!("{who} aborted the run and requested to undo everything."));
            }
            Event::AbortRequested { who, .. } => self.say(format!("{who} aborted the run.")),
            _ => {}
        }
    }
}

/// Whether the engine heard of the effect: the next that is said of the step is that it worked.
fn is_heard(step: &StepId, rest: &[&Told]) -> bool {
    let next = rest.iter().find_map(|told| match told {
        Told::Recorded(event) if event.step() == Some(step) => Some(Some(event.as_ref())),
        Told::EngineEnded(_) => Some(None),
        _ => None,
    });
    matches!(
        next.flatten(),
        Some(
            Event::StepSucceeded { .. }
                | Event::StepUndone { .. }
                | Event::ResolvedByHand { .. }
                | Event::ObservedNotDone { .. }
        )
    )
}

/// What was called, with the article as it stands in the sentence.
fn what(step: &StepId, purpose: Purpose, the: &str) -> String {
    match purpose {
        Purpose::Run => format!("`{step}`"),
        Purpose::Observe => format!("{the} question what became of `{step}`"),
        Purpose::Verify => format!("{the} check of `{step}`"),
        Purpose::Undo => format!("{the} undo of `{step}`"),
    }
}

fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "it succeeded",
        Outcome::SucceededWithExceptions => "it succeeded, with exceptions",
        Outcome::Failed => "it failed",
        Outcome::RolledBack => "everything was undone",
        Outcome::Aborted => "it was aborted",
        Outcome::DryRun => "it was a dry-run",
    }
}
