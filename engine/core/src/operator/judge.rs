//! What a request leads to: the event that records it, or a refusal.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Command, Refusal, Request,
    case::Case,
    evidence, people,
    refusal::standing,
    retry::{self, Retry},
};
use crate::{
    decide::undo_is_possible,
    event::{Event, OperatorAnswer, SkipReason},
    name::StepId,
    plan::{Plan, StepKind},
    run::{Awaiting, Next, Phase, Readiness, Run, Settling, Slot, StepRun, StepState},
};

/// The event that records a request, if it is legal in this state; else why it cannot be carried out.
pub fn judge(plan: &Plan, run: &Run, request: &Request, now: Timestamp) -> Result<Event, Refusal> {
    let case = Case { plan, run, request, now };
    match &request.command {
        Command::Approve { step, comment } => case.answer(step, true, comment.as_deref()),
        Command::Reject { step, comment } => case.answer(step, false, comment.as_deref()),
        Command::Skip { step, reason } => case.skip(step, reason),
        Command::Resolve { step, evidence, reason } => case.resolve(step, evidence, reason.as_deref()),
        Command::Retry { steps, from, confirmed, reason } => {
            let asked = Retry { steps, from: *from, confirmed: *confirmed, reason: said(reason.as_deref()) };
            retry::retry(&case, &asked)
        }
        Command::Decide { step, answer } => case.decide(step, answer),
        Command::Pause { reason } => case.pause(reason.as_deref()),
        Command::Unpause { reason } => case.unpause(reason.as_deref()),
        Command::Onset { onset } => case.onset(*onset),
        Command::Abort { reason, undo } => case.abort(reason.as_deref(), *undo),
    }
}

/// A text that says something.
fn said(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl<'a> Case<'a> {
    fn answer(&self, id: &StepId, approved: bool, comment: Option<&str>) -> Result<Event, Refusal> {
        let index = self.position(id)?;
        let step = self.step(index);
        let StepState::Awaiting(Awaiting::Approval { by, expires, approved_by, .. }) = &step.state else {
            return Err(self.not_asked(step, "an approval"));
        };
        self.not_over_yet(index)?;
        if let Some(expires) = expires.filter(|expires| *expires <= self.now) {
            let message = format!("the question of `{id}` expired at {expires:.0}; use `retry` to ask it again");
            return Err(Refusal::new("operator-expired", message));
        }
        people::may_answer(self.people(), by, self.request.person(), &format!("`{id}` can only be answered"))?;
        if approved && approved_by.as_ref() == Some(&self.request.who) {
            let message = format!("you have already approved `{id}`; a second person must approve it too");
            return Err(Refusal::new("operator-same-person", message));
        }
        Ok(Event::ApprovalAnswered { step: id.clone(), who: self.who(), approved, comment: said(comment) })
    }

    fn decide(&self, id: &StepId, answer: &OperatorAnswer) -> Result<Event, Refusal> {
        let index = self.position(id)?;
        let step = self.step(index);
        let StepState::Awaiting(Awaiting::Decision { .. }) = &step.state else {
            return Err(self.not_asked(step, "a decision about an interrupted attempt"));
        };
        self.not_over_yet(index)?;
        if let OperatorAnswer::ItHappened { outputs } = answer {
            evidence::outputs(self.plan, self.run.place(index), outputs)?;
        }
        Ok(Event::OperatorAnswered { step: id.clone(), who: self.who(), answer: answer.clone(), reason: None })
    }

    fn not_asked(&self, step: &StepRun, what: &str) -> Refusal {
        match self.not_finished() {
            Err(over) => over,
            Ok(()) if step.state.is_over() => Refusal::new("operator-step-over", standing(step)),
            Ok(()) => Refusal::new("operator-not-asked", format!("{}, not for {what}", standing(step))),
        }
    }

    fn people(&self) -> &'a BTreeMap<String, Vec<String>> {
        static NONE: BTreeMap<String, Vec<String>> = BTreeMap::new();
        self.run.started.as_ref().map_or(&NONE, |(_, facts)| &facts.people)
    }

    fn skip(&self, id: &StepId, reason: &str) -> Result<Event, Refusal> {
        let index = self.position(id)?;
        let reason = said(Some(reason)).ok_or_else(|| no_reason("skipped"))?;
        self.can_be_dealt_with(index)?;
        if let StepKind::Approve { by, four_eyes, .. } = &self.planned(index).kind {
            if *four_eyes {
                let message = format!("`{id}` needs the approval of two people; nobody can skip it alone");
                return Err(Refusal::new("operator-approval", message));
            }
            people::may_answer(
                self.people(),
                by,
                self.request.person(),
                &format!("`{id}` can only be answered or skipped"),
            )?;
        }
        let (step, who) = (id.clone(), self.who());
        if self.holds_its_place(index) {
            return Ok(Event::SkipScheduled { step, who, reason });
        }
        Ok(Event::StepSkipped { step, reason: SkipReason::ByOperator { who, reason } })
    }

    fn resolve(&self, id: &StepId, given: &serde_json::Value, reason: Option<&str>) -> Result<Event, Refusal> {
        let index = self.position(id)?;
        let step = self.step(index);
        if let StepKind::Approve { .. } = self.planned(index).kind {
            let message = format!("`{id}` is an approval; use `approve` or `reject`");
            return Err(Refusal::new("operator-approval", message));
        }
        let reason = said(reason);
        let asked = matches!(step.state, StepState::Awaiting(Awaiting::Hands { .. }));
        if reason.is_none() && !asked {
            return Err(no_reason("done by hand"));
        }
        if asked {
            self.not_over_yet(index)?;
        } else {
            self.can_be_dealt_with(index)?;
        }
        if self.holds_its_place(index) {
            let message = format!("{}; it can be resolved when its turn comes", standing(step));
            return Err(Refusal::new("operator-needs", message));
        }
        evidence::check(self.plan, self.run.place(index), given)?;
        let (step, who, evidence) = (id.clone(), self.who(), given.clone());
        if asked {
            return Ok(Event::HandsReported { step, who, evidence, reason });
        }
        if self.planned(index).verify().is_none() {
            return Ok(Event::ResolvedByHand { step, who, evidence, reason });
        }
        self.can_be_verified(index)?;
        Ok(Event::HandsReported { step, who, evidence, reason })
    }

    /// Whether what needs the step would begin before its time if the step were over now.
    fn holds_its_place(&self, index: Slot) -> bool {
        matches!(self.step(index).state, StepState::Waiting | StepState::Cancelled) && !self.is_its_turn(index)
    }

    /// Whether every step that it needs is over.
    fn is_its_turn(&self, index: Slot) -> bool {
        let planned = self.planned(index);
        self.run.readiness(self.run.place(index), &planned.needs) == Readiness::Ready
    }

    /// Whether the `verify` of a step that did not ask can begin.
    fn can_be_verified(&self, index: Slot) -> Result<(), Refusal> {
        let others: Vec<&StepId> =
            self.unresolved().filter(|other| *other != index).map(|other| self.id(other)).collect();
        self.refuse_where_others_failed(&others)?;
        if self.is_its_turn(index) {
            return Ok(());
        }
        let message = format!("{}; its `verify` cannot run before that", standing(self.step(index)));
        Err(Refusal::new("operator-needs", message))
    }

    /// Whether an operator can decide about the step: nothing is in flight for it, and it was neither done nor left out.
    fn can_be_dealt_with(&self, index: Slot) -> Result<(), Refusal> {
        let step = self.step(index);
        self.can_be_reopened()?;
        self.is_of_the_recovery(index)?;
        if self.run.skips.contains_key(&index) {
            let message = format!("{} and will be skipped, as already requested", standing(step));
            return Err(Refusal::new("operator-step-over", message));
        }
        match &step.state {
            StepState::Waiting | StepState::Awaiting(_) | StepState::Failed { .. } | StepState::Cancelled => Ok(()),
            StepState::BackingOff { next, .. } | StepState::Settling(Settling::AttemptFailed { next, .. })
                if !matches!(next, Next::Undo { .. }) =>
            {
                Ok(())
            }
            state if state.is_over() => Err(Refusal::new("operator-step-over", standing(step))),
            _ => {
                let message = format!("{}; wait until it ends, or abort the run", standing(step));
                Err(Refusal::new("operator-in-flight", message))
            }
        }
    }

    fn pause(&self, reason: Option<&str>) -> Result<Event, Refusal> {
        self.not_finished()?;
        if let Some(pause) = &self.run.pause {
            let message = format!("the run is already paused (by {} since {:.0})", pause.who, pause.since);
            return Err(Refusal::new("operator-paused", message));
        }
        self.not_cut_off()?;
        Ok(Event::RunPaused { who: self.who(), reason: said(reason) })
    }

    fn unpause(&self, reason: Option<&str>) -> Result<Event, Refusal> {
        self.not_finished()?;
        if self.run.pause.is_none() {
            return Err(Refusal::new("operator-not-paused", "the run is not paused"));
        }
        Ok(Event::RunUnpaused { who: self.who(), reason: said(reason) })
    }

    fn onset(&self, onset: Timestamp) -> Result<Event, Refusal> {
        self.not_finished()?;
        if onset > self.now {
            let message = format!("the onset {onset} is in the future: the time is {:.0}", self.now);
            return Err(Refusal::new("operator-onset", message));
        }
        Ok(Event::OnsetStated { onset, who: self.who() })
    }

    fn abort(&self, reason: Option<&str>, undo: bool) -> Result<Event, Refusal> {
        let requested = || {
            let reason = said(reason).unwrap_or_else(|| "no reason was given".to_owned());
            Event::AbortRequested { who: self.who(), reason, undo }
        };
        if undo && self.run.can_be_taken_back() {
            if undo_is_possible(self.plan, self.run, self.now) {
                return Ok(requested());
            }
            let message = "the run is over, and nothing that it did can be undone";
            return Err(Refusal::new("operator-run-over", message));
        }
        self.not_finished()?;
        self.not_cut_off()?;
        match &self.run.phase {
            Phase::Undoing { .. } | Phase::Handling { .. } | Phase::Stopping { undo: true, aborted_by: Some(_) }
                if undo =>
            {
                Err(Refusal::new("operator-run-over", "the run is already being undone, or is ending"))
            }
            _ => Ok(requested()),
        }
    }

    /// Nobody has ended the run at once.
    fn not_cut_off(&self) -> Result<(), Refusal> {
        match &self.run.phase {
            Phase::Stopping { undo: false, aborted_by: Some(who) }
            | Phase::Undoing { aborted_by: Some(who) }
            | Phase::Handling { aborted_by: Some(who), .. } => {
                Err(Refusal::new("operator-run-over", format!("{who} has already aborted the run")))
            }
            _ => Ok(()),
        }
    }
}

fn no_reason(how: &str) -> Refusal {
    Refusal::new("operator-no-reason", format!("give a reason why it is {how}; the journal and the report show it"))
}
