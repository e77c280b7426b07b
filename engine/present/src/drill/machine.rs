//! How busy the machine was on which a drill was held. What a system does not offer (`/proc` of Linux) is left out.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The load at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Load average over one minute.
    pub load_1m: Option<f64>,
    /// Load average over five minutes.
    pub load_5m: Option<f64>,
    /// Percent of the last ten seconds in which some task waited for a processor.
    pub cpu_pressure_10s: Option<f64>,
}

/// What the machine can do for a drill, measured for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Processors that this process may use.
    pub processors: usize,
    /// The load at that moment.
    pub load: Load,
    /// How late a timer fires, in seconds: half of them no later than this.
    pub timer_late_median_s: f64,
    /// The latest one.
    pub timer_late_worst_s: f64,
    /// The part of a processor that a thread gets which never pauses, between 0 and 1.
    pub cpu_share: Option<f64>,
    /// Whether that is too little for the drill's probes.
    pub too_busy: bool,
}

impl Readiness {
    /// In one line for people.
    pub fn line(&self, interval: Duration) -> String {
        let load = self.load.load_1m.map_or_else(String::new, |load| format!("load {load:.1} on "));
        let share = self
            .cpu_share
            .map_or_else(String::new, |share| format!(", a busy thread gets {:.0} % of one", share * 100.0));
        let facts = format!(
            "{load}{} processors{share}, timers fire up to {:.0} ms late",
            self.processors,
            self.timer_late_worst_s * 1e3
        );
        if self.too_busy {
            format!(
                "this machine is too busy for a probe of each kind every {interval:?}: {facts}. The drill may end unmeasured; \
                 hold it when the machine has less to do"
            )
        } else {
            format!("the machine has time for the probes: {facts}")
        }
    }
}
