//! Faults as data: first-match rules with a verdict.

use std::time::Duration;

/// The direction of a piece of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass,
    /// It arrives later by this time; order and throughput stay.
    Delay(Duration),
    /// It flows at most at this rate, for each connection and direction.
    Throttle {
        /// Bytes per second; 0 counts as 1.
        bytes_per_s: u64,
    },
    /// A percentage of the pieces is lost and sent again: each arrives later, and what follows it waits, as in TCP. A piece is
    /// what is read at once, at most 16 KiB; the time is the sender's retransmission time-out.
    Lose {
        /// Lost pieces in percent, from 0 to 100.
        percent: u8,
        /// A piece that is lost again waits again.
        retransmit_after: Duration,
    },
    /// Both sides of the connection are closed normally; new connections are closed as soon as they are accepted.
    Cut,
    /// Both sides of the connection are reset; new connections are reset as soon as they are accepted.
    Reset,
    /// Connections and data are accepted, but nothing arrives and nothing is answered. When the rule is removed, the held data
    /// arrives, as after TCP's retransmissions.
    BlackHole,
    /// As a black hole, for an end that is gone for good: what is on its way is lost. When the rule is removed, the connections that
    /// were open are reset and nothing that was held arrives.
    Vanish,
}

impl Verdict {
    /// Whether it ends the connection.
    pub(super) fn is_fatal(self) -> bool {
        matches!(self, Self::Cut | Self::Reset)
    }
}

/// One rule. `None` matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Traffic in this direction only. Opening a connection is traffic to the server.
    pub direction: Option<Direction>,
    /// Connections accepted from this number on only; see [`super::ProxyStatistics::accepted`].
    pub from_connection: Option<u64>,
    /// What happens.
    pub verdict: Verdict,
}

impl Rule {
    /// A rule for all traffic.
    pub fn all(verdict: Verdict) -> Self {
        Self { direction: None, from_connection: None, verdict }
    }

    /// A rule for one direction.
    pub fn direction(direction: Direction, verdict: Verdict) -> Self {
        Self { direction: Some(direction), ..Self::all(verdict) }
    }

    fn matches(&self, connection: u64, direction: Direction) -> bool {
        self.direction.is_none_or(|wanted| wanted == direction)
            && self.from_connection.is_none_or(|first| connection >= first)
    }
}

/// The verdict of the first rule that matches, [`Verdict::Pass`] if none does.
pub(super) fn judge(rules: &[Rule], connection: u64, direction: Direction) -> Verdict {
    rules.iter().find(|rule| rule.matches(connection, direction)).map_or(Verdict::Pass, |rule| rule.verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_match_wins() {
        let rules = [
            Rule { from_connection: Some(3), ..Rule::direction(Direction::ToClient, Verdict::Reset) },
            Rule::direction(Direction::ToClient, Verdict::BlackHole),
            Rule { from_connection: Some(5), ..Rule::all(Verdict::Cut) },
        ];
        let check = |connection, direction, expected| {
            assert_eq!(judge(&rules, connection, direction), expected, "{connection} {direction:?}");
        };
        check(1, Direction::ToClient, Verdict::BlackHole);
        check(3, Direction::ToClient, Verdict::Reset);
        check(4, Direction::ToServer, Verdict::Pass);
        check(5, Direction::ToServer, Verdict::Cut);
        check(6, Direction::ToClient, Verdict::Reset);
    }
}
