//! What a dry-run found, for people: how far one comes without changing anything, and what lies behind that point.

use lifeboat_core::{
    event::Mode,
    failure::{Failure, FailureKind},
    plan::{Plan, Step, StepKind},
    run::{Run, StepRun, StepState},
};

use crate::table;

/// What is said at the end of a dry-run; nothing after a real one.
pub(crate) fn lines(plan: &Plan, run: &Run) -> Vec<String> {
    if !run.started.as_ref().is_some_and(|(_, facts)| facts.mode == Mode::DryRun) {
        return Vec::new();
    }
    let passed = run.steps.iter().filter(|step| matches!(step.state, StepState::Succeeded { .. })).count();
    let mut lines = vec![format!("dry-run: nothing was changed; {passed} of {} steps could be tried", run.steps.len())];
    lines.extend(run.steps.iter().find(|step| was_refused(step)).map(|step| {
        format!("  `{}` is the first step that needs to change something: it was refused, as it must be here", step.id)
    }));
    let behind: Vec<&Step> = plan.steps.iter().filter(|step| was_not_tried(step, run)).collect();
    if !behind.is_empty() {
        lines.push("  not tried, because a step before was not done:".to_owned());
        let rows: Vec<Vec<String>> = behind.iter().map(|step| row(step)).collect();
        lines.extend(table::lines(&rows).into_iter().map(|line| format!("    {line}")));
    }
    lines
}

fn was_refused(step: &StepRun) -> bool {
    // A person's no is a denial too, and needs no change.
    let by_the_sandbox =
        |failure: &Failure| failure.kind() == FailureKind::Denied && failure.reason().code.starts_with("host-refused-");
    step.state.failure().is_some_and(by_the_sandbox)
}

fn was_not_tried(step: &Step, run: &Run) -> bool {
    let untried =
        |state: &StepState| matches!(state, StepState::Waiting | StepState::Cancelled | StepState::Skipped { .. });
    run.steps.iter().any(|candidate| candidate.id == step.id && candidate.attempts == 0 && untried(&candidate.state))
}

/// Step, action, and what the step may do in a real run.
fn row(step: &Step) -> Vec<String> {
    let (what, may) = match &step.kind {
        StepKind::Uses(invocation) => {
            let may = invocation.grants.iter().map(|(role, effect)| format!("{} {role}", effect.access()));
            (invocation.action.to_string(), format!("may {}", may.collect::<Vec<_>>().join(", ")))
        }
        StepKind::Approve { .. } => ("approval".to_owned(), "asks a person".to_owned()),
        StepKind::Manual { .. } => ("by hand".to_owned(), "asks a person".to_owned()),
    };
    vec![step.id.to_string(), what, may]
}

#[cfg(test)]
mod tests {
    use lifeboat_core::failure::Reason;

    use super::*;

    fn check(failure: Failure, expected: bool) {
        let state = StepState::Failed { failure };
        let step = StepRun {
            id: lifeboat_core::name::StepId::new("archive").unwrap(),
            state,
            attempts: 1,
            failures: 1,
            interruptions: 0,
            observations: 0,
            undo_attempts: 0,
            on_failure: lifeboat_core::plan::OnFailure::Stop,
            started: None,
            changed: None,
        };
        assert_eq!(was_refused(&step), expected);
    }

    #[test]
    fn only_what_the_sandbox_refused_needs_to_change_something() {
        check(Failure::Denied(Reason::new("host-refused-statement", "it has effects")), true);
        check(Failure::Denied(Reason::new("run-rejected", "a person said no")), false);
        check(Failure::Permanent(Reason::new("host-refused-statement", "it has effects")), false);
    }
}
