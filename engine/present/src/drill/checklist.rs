//! The check list that a drill is held for: each point, and what of the drill shows it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CheckKind, DrillReport, Verdict};

/// What can show a point beside checks and steps. `this-report`: that there is one.
pub const MEASURES: [&str; 4] = ["rto", "rpo", "residual-damage", "this-report"];

/// A check list as a drill file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Checklist {
    /// Whose list it is.
    pub source: String,
    /// Its points, in its order.
    pub points: Vec<ChecklistPoint>,
}

/// A point of a check list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChecklistPoint {
    /// Its words.
    pub point: String,
    /// Checks, steps of the runbooks and measures, all of which must show it; empty: nothing in the drill does.
    pub shown_by: Vec<String>,
}

impl ChecklistPoint {
    /// What the drill says of it; `None`: nothing, because nothing in it shows the point.
    pub fn verdict(&self, report: &DrillReport) -> Option<Verdict> {
        self.shown_by.iter().map(|name| shown(name, report)).reduce(Verdict::and)
    }
}

/// What all that is called so says together; what is not there was not measured.
fn shown(name: &str, report: &DrillReport) -> Verdict {
    let episodes = report.episodes.iter();
    let verdicts: Vec<Verdict> = match name {
        "rto" => episodes.map(|episode| episode.rto.verdict).collect(),
        "rpo" => episodes.map(|episode| episode.rpo.verdict).collect(),
        "residual-damage" => match report.residual_damage() {
            None => Vec::new(),
            Some(0) => vec![Verdict::Met],
            Some(_) => vec![Verdict::Missed],
        },
        "this-report" => vec![Verdict::Met],
        name => {
            let checks = report.checks.iter().filter(|check| check.name == name);
            let checks = checks.map(|check| match (check.passed && check.measured, check.kind, check.measured) {
                (true, ..) => Verdict::Met,
                (false, CheckKind::Result, true) => Verdict::Missed,
                (false, ..) => Verdict::Unmeasured,
            });
            let steps = report.steps().filter(|step| step.id == name);
            let steps = steps.map(|step| match step.state.as_str() {
                "succeeded" => Verdict::Met,
                "failed" => Verdict::Missed,
                _ => Verdict::Unmeasured,
            });
            checks.chain(steps).collect()
        }
    };
    verdicts.into_iter().reduce(Verdict::and).unwrap_or(Verdict::Unmeasured)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{read, testing::check};

    #[test]
    fn a_point_holds_where_everything_that_shows_it_does() {
        let mut report = read(include_str!("tests/report.json")).unwrap();
        report.checks.extend([check("wrong", CheckKind::Result, true), check("unknown", CheckKind::Result, false)]);
        report.episodes[0].steps[1].state = "skipped".to_owned();
        let verdict = |shown_by: &[&str]| {
            let shown_by = shown_by.iter().map(|name| (*name).to_owned()).collect();
            ChecklistPoint { point: "It is so".to_owned(), shown_by }.verdict(&report)
        };
        assert_eq!(verdict(&[]), None);
        assert_eq!(
            verdict(&["restore", "ledger-complete", "rto", "rpo", "residual-damage", "this-report"]),
            Some(Verdict::Met)
        );
        assert_eq!(verdict(&["restore", "unknown"]), Some(Verdict::Unmeasured));
        assert_eq!(verdict(&["restore", "unknown", "wrong"]), Some(Verdict::Missed));
        assert_eq!(verdict(&["report"]), Some(Verdict::Unmeasured), "a skipped step has shown nothing");
        assert_eq!(verdict(&["nothing-called-so"]), Some(Verdict::Unmeasured));
        report.episodes[0].rpo.residual_damage = None;
        let residual = ChecklistPoint { point: String::new(), shown_by: vec!["residual-damage".to_owned()] };
        assert_eq!(residual.verdict(&report), Some(Verdict::Unmeasured));
    }
}
