//! How much of the RTO is left, for people.

use jiff::Timestamp;
use lifeboat_core::run::{Budget, Since};

use crate::{
    elapsed,
    output::{BAD, GOOD, WARN, styled},
};

/// What is left at that instant, coloured by how bad that is.
pub(crate) fn budget_text(budget: &Budget, now: Timestamp) -> String {
    let (objective, left) = (budget.objective, budget.left(now));
    if left.is_negative() {
        return styled(BAD, format_args!("RTO {} exceeded by {}", elapsed::text(objective), elapsed::text(left.abs())));
    }
    let since = match budget.since {
        Since::Onset => "onset",
        Since::Start => "start",
    };
    let style = if left < objective / 4 { WARN } else { GOOD };
    let left = styled(style, format_args!("{} left", elapsed::text(left)));
    format!("{left} of RTO {} (since {since})", elapsed::text(objective))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    fn check(since: Since, from: &str, now: &str, expected: &str) {
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        let budget = Budget { objective: SignedDuration::from_hours(1), from: instant(from), since };
        let text = budget_text(&budget, instant(now));
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), expected);
    }

    #[test]
    fn it_says_from_when_it_counts() {
        let now = "2026-11-21T12:10:00Z";
        check(Since::Start, "2026-11-21T12:00:00Z", now, "50m 00s left of RTO 1h 00m (since start)");
        check(Since::Onset, "2026-11-21T11:30:00Z", now, "20m 00s left of RTO 1h 00m (since onset)");
        check(Since::Onset, "2026-11-21T11:00:00Z", now, "RTO 1h 00m exceeded by 10m 00s");
    }
}
