//! A measurement against its objective.

use jiff::SignedDuration;
use lifeboat_present::drill::{Interval, Verdict};

/// Compares a measurement with its objective. Both verdicts need proof: `met`, that it cannot have been longer; `missed`, that it
/// cannot have been shorter.
pub fn judge(measured: Option<Interval>, objective: Option<SignedDuration>) -> Verdict {
    let (Some(Interval { low, high }), Some(objective)) =
        (measured, objective.map(|objective| objective.as_secs_f64()))
    else {
        return Verdict::Unmeasured;
    };
    match high {
        Some(high) if high <= objective => Verdict::Met,
        _ if low > objective => Verdict::Missed,
        _ => Verdict::Unmeasured,
    }
}

/// Why [`judge`] could not decide: there is no objective, or it is between the bounds. `None` if it could decide, or if nothing
/// was measured, for which the measurement gives the reason.
pub(super) fn undecided(measured: Option<Interval>, objective: Option<SignedDuration>) -> Option<String> {
    let Some(objective) = objective else { return Some("the runbook states no objective".to_owned()) };
    let measured = measured.filter(|_| judge(measured, Some(objective)) == Verdict::Unmeasured)?;
    Some(format!("it was {measured}, and the objective of {objective:#} lies within that range"))
}
