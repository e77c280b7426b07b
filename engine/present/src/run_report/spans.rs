//! What a run was doing when: attempts, waits and pauses as spans of time, read off its events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Person},
    name::StepId,
};

/// What a step was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// An attempt, a look at an interrupted one, or a list.
    Work,
    /// The same, and the attempt failed or was interrupted.
    FailedWork,
    /// It waited for a person.
    WaitForPerson,
    /// It waited for its next attempt.
    BackOff,
    /// It was being undone.
    Undo,
}

/// A step at something, for a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    pub(super) step: StepId,
    pub(super) doing: Doing,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    /// Whether it has ended.
    pub(super) is_over: bool,
    /// Who ended the wait.
    pub(super) by: Option<Person>,
}

/// A pause of the whole run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PauseSpan {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) who: Person,
    pub(super) reason: Option<String>,
}

/// Everything that steps were at, in the order in which it began. What is open counts until `until`.
pub(super) fn spans(events: &[(Timestamp, &Event)], until: Timestamp) -> Vec<Span> {
    let (mut spans, mut open): (Vec<Span>, BTreeMap<StepId, usize>) = (Vec::new(), BTreeMap::new());
    let mut answered: BTreeMap<StepId, Person> = BTreeMap::new();
    for (at, event) in events {
        let Some(step) = event.step() else {
            if let Event::RunFinished { .. } = event {
                open.values().for_each(|place| close(&mut spans[*place], *at, None));
                open.clear();
            }
            continue;
        };
        if let Some(who) = event.who() {
            answered.insert(step.clone(), who.clone());
        }
        if is_beside(event) {
            continue;
        }
        if let Some(place) = open.remove(step) {
            let by = answered.remove(step).or_else(|| done_by(event));
            close(&mut spans[place], *at, by);
            if matches!(
                event,
                Event::AttemptFailed { .. } | Event::AttemptInterrupted { .. } | Event::StepFailed { .. }
            ) && spans[place].doing == Doing::Work
            {
                spans[place].doing = Doing::FailedWork;
            }
        }
        if let Some(doing) = begun(event) {
            answered.remove(step);
            open.insert(step.clone(), spans.len());
            spans.push(Span { step: step.clone(), doing, from: *at, until, is_over: false, by: None });
        }
    }
    spans
}

fn close(span: &mut Span, at: Timestamp, by: Option<Person>) {
    (span.until, span.is_over) = (at.max(span.from), true);
    span.by = by.filter(|_| span.doing == Doing::WaitForPerson);
}

/// Said of a step without changing what it is at.
fn is_beside(event: &Event) -> bool {
    matches!(
        event,
        Event::ApprovalAnswered { approved: true, .. } | Event::SkipScheduled { .. } | Event::RetryRequested { .. }
    )
}

/// Work by hand that was asked for names who did it, and is no request of theirs.
fn done_by(event: &Event) -> Option<Person> {
    match event {
        Event::ResolvedByHand { who, .. } => Some(who.clone()),
        _ => None,
    }
}

fn begun(event: &Event) -> Option<Doing> {
    match event {
        Event::StepStarted { .. } | Event::FanOutBegan { .. } | Event::ObservationStarted { .. } => Some(Doing::Work),
        Event::ApprovalRequested { .. } | Event::HandsRequested { .. } | Event::OperatorAsked { .. } => {
            Some(Doing::WaitForPerson)
        }
        Event::RetryScheduled { .. } => Some(Doing::BackOff),
        Event::UndoStarted { .. } => Some(Doing::Undo),
        _ => None,
    }
}

/// The pauses of the run.
pub(super) fn pauses(events: &[(Timestamp, &Event)], until: Timestamp) -> Vec<PauseSpan> {
    let mut pauses: Vec<PauseSpan> = Vec::new();
    let mut is_paused = false;
    for (at, event) in events {
        match event {
            Event::RunPaused { who, reason } if !is_paused => {
                is_paused = true;
                pauses.push(PauseSpan { from: *at, until, who: who.clone(), reason: reason.clone() });
            }
            Event::RunUnpaused { .. } | Event::RunFinished { .. } if is_paused => {
                is_paused = false;
                pauses.iter_mut().next_back().into_iter().for_each(|pause| pause.until = *at);
            }
            _ => {}
        }
    }
    pauses
}
