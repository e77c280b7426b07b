//! How much of the RTO is left, for people.

use jiff::Timestamp;
use lifeboat_core::run::{Budget, Since};

use crate::{Text, Tone, elapsed};

/// What is left at that instant; its tone says how bad that is.
pub fn text(budget: &Budget, now: Timestamp) -> Text {
    let (objective, left) = (elapsed::text(budget.objective), budget.left(now));
    if left.is_negative() {
        return Text::toned(Tone::Bad, format!("RTO {objective} exceeded by {}", elapsed::text(left.abs())));
    }
    let since = match budget.since {
        Since::Onset => "onset",
        Since::Start => "start",
    };
    let tone = if left < budget.objective / 4 { Tone::Warn } else { Tone::Good };
    Text::toned(tone, format!("{} left", elapsed::text(left))) + format!(" of RTO {objective} (since {since})")
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::Part;

    fn check(since: Since, from: &str, now: &str, expected: (Tone, &str)) {
        let instant = |text: &str| text.parse::<Timestamp>().unwrap();
        let budget = Budget { objective: SignedDuration::from_hours(1), from: instant(from), since };
        let text = text(&budget, instant(now));
        assert_eq!(text.to_string(), expected.1);
        assert!(matches!(text.parts()[0], Part::Toned(tone, _) if tone == expected.0), "{text:?}");
    }

    #[test]
    fn it_says_from_when_it_counts_and_how_bad_it_is() {
        let now = "2026-11-21T12:10:00Z";
        check(Since::Start, "2026-11-21T12:00:00Z", now, (Tone::Good, "50m 00s left of RTO 1h 00m (since start)"));
        check(Since::Onset, "2026-11-21T11:30:00Z", now, (Tone::Good, "20m 00s left of RTO 1h 00m (since onset)"));
        check(Since::Onset, "2026-11-21T11:20:00Z", now, (Tone::Warn, "10m 00s left of RTO 1h 00m (since onset)"));
        check(Since::Onset, "2026-11-21T11:00:00Z", now, (Tone::Bad, "RTO 1h 00m exceeded by 10m 00s"));
    }
}
