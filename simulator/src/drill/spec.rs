//! A drill file.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};

use super::error::DrillError;
use crate::workload::Size;

/// A drill as its author wrote it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillSpec {
    /// Version of the language.
    pub lifeboat: u32,
    /// Its name in reports.
    pub drill: String,
    /// The runbook, relative to the drill file.
    pub runbook: String,
    /// Which disaster.
    pub scenario: Scenario,
    /// How much is loaded.
    pub size: Size,
    /// How much for the controls.
    pub control_size: Size,
    /// The application.
    pub workload: WorkloadSpec,
    /// The probes.
    pub probes: ProbeSpec,
    /// How long the phases take.
    pub windows: Windows,
    /// The WAL archive.
    pub archive: Archive,
    /// Who answers the runbook's questions.
    pub approvals: Approvals,
    /// The runbook's inputs.
    pub inputs: BTreeMap<String, FactInput>,
    /// The step whose success means that the data is back.
    pub restored_by: String,
}

/// The disasters that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// One transaction deletes a range of customers, with all that belongs to them.
    AccidentalDeletion,
}

/// The application's writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSpec {
    /// How many.
    pub writers: u32,
    /// In sum.
    pub writes_per_second: u32,
}

/// The probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// From one probe of a kind to the next.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// Then it has failed.
    #[serde(deserialize_with = "duration")]
    pub answer_within: Duration,
    /// Customers in the content sample; an order and an item of each are looked at too.
    pub sampled_customers: usize,
    /// So many failures in a row make monitoring notice.
    pub detect_after: usize,
}

/// How long the phases take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Writers and probes run so long before the fault.
    #[serde(deserialize_with = "duration")]
    pub before_fault: Duration,
    /// A window this long without a failed probe counts as stable.
    #[serde(deserialize_with = "duration")]
    pub stable: Duration,
    /// What it would be in production.
    #[serde(deserialize_with = "duration")]
    pub stable_in_production: Duration,
    /// The engine is stopped after so long.
    #[serde(deserialize_with = "duration")]
    pub recovery_at_most: Duration,
}

/// The WAL archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// A segment is archived at the latest after so long.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// What it would be in production.
    #[serde(deserialize_with = "duration")]
    pub in_production: Duration,
}

/// The policy that answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Its name.
    pub policy: String,
    /// What it says.
    pub comment: String,
}

/// An input that is filled with something a responder would know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactInput {
    /// What.
    pub fact: Fact,
}

/// What a responder would know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The table in which rows are missing, with its schema.
    DamagedTable,
    /// When the probe that failed was last seen good.
    LastGoodProbe,
}

/// `8s`, `100ms`, `10m`: as in runbooks.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed: SignedDuration = text.parse().map_err(serde::de::Error::custom)?;
    Duration::try_from(parsed).map_err(serde::de::Error::custom)
}

impl DrillSpec {
    /// Reads a drill file. The error says where it is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, DrillError> {
        let wrong = |problem: String| DrillError::Spec { name: name.to_owned(), problem };
        let spec: Self = serde_yaml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        match spec.problem() {
            None => Ok(spec),
            Some(problem) => Err(wrong(problem)),
        }
    }

    fn problem(&self) -> Option<String> {
        let fits = |size: &Size| {
            size.customers > 0
                && size.orders >= size.customers
                && size.order_items >= size.orders
                && (1..=size.customers).contains(&size.damaged_customers)
        };
        let sizes = fits(&self.size) && fits(&self.control_size);
        let workload =
            (1..=64).contains(&self.workload.writers) && (1..=10_000).contains(&self.workload.writes_per_second);
        let probes =
            !self.probes.interval.is_zero() && self.probes.sampled_customers > 1 && self.probes.detect_after > 0;
        [
            (self.lifeboat == 1, "`lifeboat` must be 1"),
            (sizes, "a size needs at least one customer, no fewer orders than customers, no fewer items than orders, and damaged customers among them"),
            (workload, "`workload` takes 1 to 64 writers and 1 to 10,000 writes a second"),
            (probes, "`probes` needs an interval, at least two sampled customers, and `detect_after` of 1 or more"),
            (self.windows.stable >= self.probes.interval * 4, "`windows.stable` must hold at least four probes"),
        ]
        .into_iter()
        .find_map(|(holds, problem)| (!holds).then(|| problem.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../workflows/drills/dr-003.yaml");

    #[test]
    fn the_shipped_drill_is_as_large_as_it_must_be() {
        let spec = DrillSpec::parse("dr-003.yaml", SHIPPED).expect("valid");
        assert!(spec.size.rows() >= 200_000);
        assert!(spec.size.damaged_customers >= 10_000);
        assert_eq!((spec.workload.writers, spec.workload.writes_per_second), (4, 200));
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        for (from, to, expected) in [
            ("detect_after: 3", "detect_after: 3, detekt: 1", "detekt"),
            ("before_fault: 8s", "before_fault: eight", "eight"),
            ("lifeboat: 1\n", "lifeboat: 2\n", "must be 1"),
            ("writers: 4", "writers: 0", "1 to 64 writers"),
            ("damaged_customers: 12000", "damaged_customers: 50000", "damaged customers"),
        ] {
            let error = DrillSpec::parse("x.yaml", &SHIPPED.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }
}
