//! What a drill says of the points of its check list.

use crate::drill::{CheckKind, ChecklistPoint, DrillReport, Verdict};

/// What the drill says of a point; `None`: nothing, because nothing in it shows the point.
pub fn verdict(point: &ChecklistPoint, report: &DrillReport) -> Option<Verdict> {
    point.shown_by.iter().map(|name| shown(name, report)).reduce(Verdict::and)
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
        let mut report = read(include_str!("../tests/report.json")).unwrap();
        report.checks.extend([check("wrong", CheckKind::Result, true), check("unknown", CheckKind::Result, false)]);
        report.episodes[0].steps[1].state = "skipped".to_owned();
        let of = |shown_by: &[&str]| {
            let shown_by = shown_by.iter().map(|name| (*name).to_owned()).collect();
            verdict(&ChecklistPoint { point: "It is so".to_owned(), shown_by }, &report)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(
            of(&["restore", "ledger-complete", "rto", "rpo", "residual-damage", "this-report"]),
            Some(Verdict::Met)
        );
        assert_eq!(of(&["restore", "unknown"]), Some(Verdict::Unmeasured));
        assert_eq!(of(&["restore", "unknown", "wrong"]), Some(Verdict::Missed));
        assert_eq!(of(&["report"]), Some(Verdict::Unmeasured), "a skipped step has shown nothing");
        assert_eq!(of(&["nothing-called-so"]), Some(Verdict::Unmeasured));
        report.episodes[0].rpo.residual_damage = None;
        let residual = ChecklistPoint { point: String::new(), shown_by: vec!["residual-damage".to_owned()] };
        assert_eq!(verdict(&residual, &report), Some(Verdict::Unmeasured));
    }
}
