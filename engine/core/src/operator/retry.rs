//! Another attempt of a step, or of everything from a step on.

use super::{Refusal, case::Case, refusal::standing};
use crate::{
    action::Effect,
    event::{Event, OperatorAnswer},
    failure::FailureKind,
    name::StepId,
    plan::{Plan, StepIndex},
    run::{Awaiting, Next, Settling, Slot, StepRun, StepState, is_unresolved},
};

/// What was asked for.
pub(super) struct Retry<'a> {
    pub(super) steps: &'a [StepId],
    pub(super) from: bool,
    pub(super) confirmed: bool,
    pub(super) reason: Option<String>,
}

/// These steps and all that need them, directly or not, in plan order.
pub fn behind(plan: &Plan, first: &[StepIndex]) -> Vec<StepIndex> {
    plan.needs().behind(first)
}

pub(super) fn retry(case: &Case<'_>, asked: &Retry<'_>) -> Result<Event, Refusal> {
    let named: Vec<Slot> = asked.steps.iter().map(|id| case.position(id)).collect::<Result<_, _>>()?;
    let [first, more @ ..] = named.as_slice() else {
        return Err(Refusal::new("operator-unknown-step", "name the step to retry"));
    };
    if !asked.from && more.is_empty() {
        let (step, who, reason) = (case.id(*first).clone(), case.who(), asked.reason.clone());
        if matches!(case.step(*first).state, StepState::Awaiting(Awaiting::Decision { .. })) {
            may_run_again(case, *first, asked.confirmed)?;
            return Ok(Event::OperatorAnswered { step, who, answer: OperatorAnswer::RunAgain, reason });
        }
        if waits_for_an_attempt(case, *first)? {
            case.not_over_yet(*first)?;
            return Ok(Event::RetryRequested { step, who, reason });
        }
    }
    case.can_be_reopened()?;
    named.iter().try_for_each(|index| is_no_item(case, *index).and_then(|()| case.is_of_the_recovery(*index)))?;
    let steps = if asked.from { behind(case.plan, &named) } else { named.clone() };
    for index in &named {
        has_begun(case, *index, asked.from)?;
    }
    for index in &steps {
        can_wait_again(case, *index)?;
        if asked.from {
            has_no_list(case, *index)?;
        }
    }
    others_have_not_failed(case, &steps)?;
    if !asked.confirmed {
        nothing_is_done_twice(case, &steps)?;
    }
    let steps = steps.into_iter().map(|index| case.plan.steps[index].id.clone()).collect();
    Ok(Event::StepsReopened { steps, who: case.who(), reason: asked.reason.clone() })
}

/// A person who says that an attempt of unknown effect may be repeated must have looked.
fn may_run_again(case: &Case<'_>, index: Slot, confirmed: bool) -> Result<(), Refusal> {
    case.not_over_yet(index)?;
    if confirmed || is_repeatable(case, index) {
        return Ok(());
    }
    let message = format!(
        "it is unknown whether the last attempt of `{}` took effect; examine the target, then run the step again \
         with `--yes` or report what it did with `resolve`",
        case.id(index)
    );
    Err(Refusal::new("operator-confirm", message))
}

/// An item has failed with its list.
fn is_no_item(case: &Case<'_>, index: Slot) -> Result<(), Refusal> {
    let list = &case.planned(index).id;
    if list == case.id(index) {
        return Ok(());
    }
    let message =
        format!("`{}` is an item of `{list}`; retry `{list}`, which repeats all failed items", case.id(index));
    Err(Refusal::new("operator-list", message))
}

/// What a list is made of is evaluated once in a run.
fn has_no_list(case: &Case<'_>, index: Slot) -> Result<(), Refusal> {
    if case.run.items_of(index).is_none() {
        return Ok(());
    }
    let message = format!(
        "the list of `{}` is evaluated once in a run and cannot be evaluated again; start a new run",
        case.id(index)
    );
    Err(Refusal::new("operator-list", message))
}

/// Whether the step has an attempt ahead of it that can come sooner.
fn waits_for_an_attempt(case: &Case<'_>, index: Slot) -> Result<bool, Refusal> {
    let step = case.step(index);
    match &step.state {
        StepState::BackingOff { .. } => Ok(true),
        StepState::Settling(Settling::AttemptFailed { .. }) => is_looked_into(case, index).map(|()| true),
        _ => Ok(false),
    }
}

/// Refuses an attempt that would come before it is known what became of the last one.
fn is_looked_into(case: &Case<'_>, index: Slot) -> Result<(), Refusal> {
    let step = case.step(index);
    match &step.state {
        StepState::Settling(Settling::AttemptFailed { failure, next: Next::Run, .. })
            if failure.kind() == FailureKind::Interrupted && !is_repeatable(case, index) =>
        {
            let message = format!(
                "it is unknown whether the last attempt of `{}` took effect, and repeating it may do harm; resume \
                 the run, which finds out",
                step.id
            );
            Err(Refusal::new("operator-in-flight", message))
        }
        _ => Ok(()),
    }
}

/// Only what was begun, and has failed, can be begun once more.
fn has_begun(case: &Case<'_>, index: Slot, from: bool) -> Result<(), Refusal> {
    let step = case.step(index);
    let fits = match &step.state {
        StepState::Failed { .. } => true,
        // Nothing was there to say that it failed when its time passed.
        StepState::Awaiting(Awaiting::Approval { expires: Some(expires), .. }) if *expires <= case.now => true,
        StepState::Waiting => false,
        _ => from,
    };
    if fits {
        return Ok(());
    }
    let (code, hint) = match &step.state {
        state if is_in_flight(state) => ("operator-in-flight", "wait until it ends, or abort the run"),
        StepState::Waiting | StepState::Cancelled => ("operator-not-failed", "it runs when its turn comes"),
        StepState::Awaiting(_) => ("operator-not-failed", "answer the question"),
        _ => ("operator-step-over", "use `--from` to repeat it and all steps after it"),
    };
    Err(Refusal::new(code, format!("{}; {hint}", standing(step))))
}

/// A call, or the question what became of one.
fn is_in_flight(state: &StepState) -> bool {
    matches!(
        state,
        StepState::Running(_)
            | StepState::Interrupted(_)
            | StepState::Observing(_)
            | StepState::Verifying { .. }
            | StepState::Undoing { .. }
            | StepState::FannedOut { .. }
            | StepState::BackingOff { next: Next::Observe(_) | Next::Undo { .. }, .. }
            | StepState::Settling(
                Settling::Decision { .. } | Settling::AttemptFailed { next: Next::Observe(_) | Next::Undo { .. }, .. }
            )
            | StepState::Awaiting(Awaiting::Decision { .. })
    )
}

fn can_wait_again(case: &Case<'_>, index: Slot) -> Result<(), Refusal> {
    let step = case.step(index);
    if !is_in_flight(&step.state) {
        return is_looked_into(case, index);
    }
    let message = format!("{}; it cannot be repeated before that has ended", standing(step));
    Err(Refusal::new("operator-in-flight", message))
}

/// A run continues when every step is dealt with whose failure stopped it.
fn others_have_not_failed(case: &Case<'_>, steps: &[Slot]) -> Result<(), Refusal> {
    let others: Vec<&StepId> =
        case.unresolved().filter(|index| !steps.contains(index)).map(|index| case.id(index)).collect();
    case.refuse_where_others_failed(&others)
}

/// What has changed something, and does not do nothing the second time, is begun once more only by who has seen it.
fn nothing_is_done_twice(case: &Case<'_>, steps: &[Slot]) -> Result<(), Refusal> {
    let twice: Vec<String> = steps
        .iter()
        .filter(|index| is_done(case, **index) && !does_no_harm_twice(case, **index))
        .map(|index| format!("`{}`", case.id(*index)))
        .collect();
    if twice.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} would be repeated, and repeating it may do harm; look at what was done, then confirm with `--yes`",
        twice.join(", ")
    );
    Err(Refusal::new("operator-confirm", message))
}

/// Whether what it does has been done, or may have been: also by an item of its list that would be tried again.
fn is_done(case: &Case<'_>, index: Slot) -> bool {
    let may_be = |step: &StepRun| match &step.state {
        StepState::Failed { failure } if failure.kind() == FailureKind::Interrupted => true,
        state => state.is_over() && step.in_doubt && !is_repeatable(case, index),
    };
    let step = case.step(index);
    let done = matches!(step.state, StepState::Succeeded { .. } | StepState::ResolvedByHand { .. }) || may_be(step);
    done || case.run.items_of(index).is_some_and(|mut items| items.any(|item| may_be(case.step(item))))
}

fn is_repeatable(case: &Case<'_>, index: Slot) -> bool {
    case.planned(index).action().is_none_or(|action| action.idempotent)
}

fn does_no_harm_twice(case: &Case<'_>, index: Slot) -> bool {
    case.planned(index)
        .action()
        .is_none_or(|action| action.effect == Effect::Read || action.idempotent && action.effect != Effect::Destroy)
}

impl Case<'_> {
    /// The failed steps that keep the run from going on.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = Slot> {
        (0..self.plan.steps.len()).filter(|index| is_unresolved(self.run, *index))
    }
}
