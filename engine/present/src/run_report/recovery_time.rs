//! The recovery time of a run against the objective of its runbook, as far as the journal can say it: until the engine was done, not until
//! users were served.

use lifeboat_core::{
    event::{Mode, Outcome},
    plan::Clock,
    run::{Budget, Since},
};

use super::Told;
use crate::{
    Text, Tone,
    drill::{Interval, Verdict},
    elapsed,
};

/// The recovery time and what it came to.
pub(super) struct Recovery {
    pub(super) measured: Interval,
    pub(super) objective: f64,
    pub(super) verdict: Verdict,
    /// From what it is counted, in words.
    pub(super) from: &'static str,
    /// What it lacks, in words.
    pub(super) lacks: Option<&'static str>,
}

/// `None` where the runbook has no objective, and of a dry-run, which recovers nothing.
pub(super) fn recovery(told: &Told<'_>) -> Option<Recovery> {
    let objectives = &told.report.plan.objectives;
    let budget = told.report.run.budget(objectives).filter(|_| told.facts.mode == Mode::Real)?;
    let measured = measured(told, &budget, objectives.clock);
    let objective = budget.objective.as_secs_f64();
    let (from, lacks) = match (objectives.clock, budget.since) {
        (_, Since::Onset) => ("users noticed", None),
        (Clock::Declare, Since::Start) => ("the start of the run", None),
        (Clock::Onset, Since::Start) => ("the start of the run", Some("nobody stated when users noticed")),
        (Clock::Detect, Since::Start) => ("the start of the run", Some("when monitoring noticed is not recorded")),
    };
    Some(Recovery { verdict: measured.against(objective), measured, objective, from, lacks })
}

/// A run that did not end well has lasted for longer than what can be measured, and so has one whose beginning nobody stated.
fn measured(told: &Told<'_>, budget: &Budget, clock: Clock) -> Interval {
    let seconds = |from: jiff::Timestamp| told.until.duration_since(from).as_secs_f64();
    let is_done = matches!(told.outcome, Some(Outcome::Succeeded | Outcome::SucceededWithExceptions));
    match (is_done, clock, budget.since) {
        (true, Clock::Onset, Since::Onset) | (true, Clock::Declare, Since::Start) => {
            Interval::between(seconds(budget.from), seconds(budget.from))
        }
        // Monitoring noticed, and somebody declared it, after users noticed and before the run started.
        (true, Clock::Detect | Clock::Declare, Since::Onset) => {
            Interval::between(seconds(told.started.max(budget.from)), seconds(budget.from))
        }
        (true, Clock::Onset | Clock::Detect, Since::Start) => Interval::more_than(seconds(budget.from)),
        (false, Clock::Onset, _) => Interval::more_than(seconds(budget.from)),
        (false, Clock::Detect | Clock::Declare, _) => Interval::more_than(seconds(told.started.max(budget.from))),
    }
}

impl Recovery {
    /// The time itself: `12m 04s`, `> 12m 04s`.
    pub(super) fn time(&self) -> String {
        match self.measured.high {
            Some(high) if high == self.measured.low => elapsed::seconds(high),
            Some(high) => format!("{} to {}", elapsed::seconds(self.measured.low), elapsed::seconds(high)),
            None => format!("> {}", elapsed::seconds(self.measured.low)),
        }
    }

    /// What it came to, with its tone.
    pub(super) fn came_to(&self) -> Text {
        let objective = elapsed::seconds(self.objective);
        match self.verdict {
            Verdict::Met => Text::toned(Tone::Good, format!("objective {objective} met")),
            Verdict::Missed => Text::toned(Tone::Bad, format!("objective {objective} missed")),
            Verdict::Unmeasured => Text::toned(Tone::Warn, format!("objective {objective}: not known")),
        }
    }

    pub(super) fn sentence(&self) -> String {
        let objective = elapsed::seconds(self.objective);
        let came_to = match self.verdict {
            Verdict::Met => format!("The objective of {objective} was met"),
            Verdict::Missed => format!("The objective of {objective} was missed"),
            Verdict::Unmeasured => format!("Whether the objective of {objective} was met is not known"),
        };
        let lacks = self.lacks.map(|lacks| format!("; {lacks}")).unwrap_or_default();
        format!("{came_to}: the recovery took {} since {}{lacks}.", self.time(), self.from)
    }
}
