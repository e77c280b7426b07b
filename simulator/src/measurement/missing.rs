//! What was missing when something could not be measured.

use std::fmt;

use jiff::SignedDuration;

use super::probe::ProbeKind;

/// What the probes do not prove. As text it is the end of "not measured: …".
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Missing {
    /// There is no probe at all.
    Probes,
    /// No probe saw the fault.
    Sight,
    /// The kind of probe that saw the fault had failed right before it, or was never made before.
    HealthBefore {
        /// Which kind.
        kind: ProbeKind,
    },
    /// Too few good probes of a kind.
    GoodProbes {
        /// The kind with the fewest.
        kind: ProbeKind,
        /// How many there are.
        made: usize,
        /// How many there must be.
        wanted: usize,
        /// In the fullest window of this length; `None`: in total.
        window: Option<SignedDuration>,
    },
    /// The service was healthy when the probes ended, but not for long enough.
    Time {
        /// How long it was healthy, in seconds.
        watched_s: f64,
        /// The length that is needed.
        window: SignedDuration,
    },
    /// Some probe failed in every window.
    QuietWindow {
        /// Of this length.
        window: SignedDuration,
    },
    /// A window was proven, then a probe failed again, and no window was proven after that.
    LastingStability,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probes => f.write_str("there are no probes"),
            Self::Sight => f.write_str("no probe saw the fault"),
            Self::HealthBefore { kind } => {
                write!(f, "the probe `{}` had no good result right before it failed", kind.title())
            }
            Self::GoodProbes { kind, made, wanted, window: Some(window) } => write!(
                f,
                "too few probes: in {window:#} without a failed probe there are at most {made} good ones of `{}`; {wanted} are \
                 needed",
                kind.title()
            ),
            Self::GoodProbes { kind, made, wanted, window: None } => {
                write!(f, "too few probes: {made} of `{}`, and {wanted} are needed", kind.title())
            }
            Self::Time { watched_s, window } => {
                write!(f, "the probes ended after {watched_s:.1} s without a failed probe, and {window:#} are needed")
            }
            Self::QuietWindow { window } => write!(f, "no period of {window:#} passed without a failed probe"),
            Self::LastingStability => {
                f.write_str("a probe failed again after a stable window, and no stable window came after that")
            }
        }
    }
}
