//! How much of the RTO is left.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::plan::Objectives;

use crate::{
    elapsed,
    output::{BAD, GOOD, WARN, styled},
};

/// An objective and the instant from which it counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    objective: Option<SignedDuration>,
    onset: Option<Timestamp>,
}

impl Budget {
    /// The budget of these objectives. Without an onset it counts from the start of the run, which flatters.
    pub(crate) fn new(objectives: &Objectives, onset: Option<Timestamp>) -> Self {
        Self { objective: objectives.rto, onset }
    }

    /// What is left at that instant, coloured by how bad that is; `None` where there is no objective.
    pub(crate) fn text(self, started: Timestamp, now: Timestamp) -> Option<String> {
        let objective = self.objective?;
        let left = objective - now.duration_since(self.onset.unwrap_or(started));
        let since = if self.onset.is_some() { "onset" } else { "start" };
        Some(if left.is_negative() {
            styled(BAD, format_args!("RTO {} exceeded by {}", elapsed::text(objective), elapsed::text(left.abs())))
        } else {
            let style = if left < objective / 4 { WARN } else { GOOD };
            let left = styled(style, format_args!("{} left", elapsed::text(left)));
            format!("{left} of RTO {} (since {since})", elapsed::text(objective))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(onset: Option<&str>, now: &str, expected: &str) {
        let objectives = Objectives { rto: Some(SignedDuration::from_hours(1)), ..Objectives::default() };
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        let budget = Budget::new(&objectives, onset.map(instant));
        let text = budget.text(instant("2026-11-21T12:00:00Z"), instant(now)).unwrap();
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }

    #[test]
    fn it_counts_from_the_onset_where_that_is_known() {
        check(None, "2026-11-21T12:10:00Z", "50m 00s left of RTO 1h 00m (since start)");
        check(Some("2026-11-21T11:30:00Z"), "2026-11-21T12:10:00Z", "20m 00s left of RTO 1h 00m (since onset)");
        check(Some("2026-11-21T11:00:00Z"), "2026-11-21T12:10:00Z", "RTO 1h 00m exceeded by 10m 00s");
    }

    #[test]
    fn without_an_objective_there_is_no_budget() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(Budget::new(&Objectives::default(), None).text(now, now), None);
    }
}
