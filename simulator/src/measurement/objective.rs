//! A measurement against its objective.

use jiff::SignedDuration;
use lifeboat_present::drill::{Interval, Verdict};

/// Compares a measurement with its objective, as [`Interval::against`] does.
pub fn judge(measured: Option<Interval>, objective: Option<SignedDuration>) -> Verdict {
    let both = measured.zip(objective);
    both.map_or(Verdict::Unmeasured, |(measured, objective)| measured.against(objective.as_secs_f64()))
}

/// Why [`judge`] could not decide: there is no objective, or it is between the bounds. `None` if it could decide, or if nothing
/// was measured, for which the measurement gives the reason.
pub(super) fn undecided(measured: Option<Interval>, objective: Option<SignedDuration>) -> Option<String> {
    let Some(objective) = objective else { return Some("the runbook states no objective".to_owned()) };
    let measured = measured.filter(|_| judge(measured, Some(objective)) == Verdict::Unmeasured)?;
    Some(format!("it was {measured}, and the objective of {objective:#} lies within that range"))
}
