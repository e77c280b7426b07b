//! The points of the check lists of several drills, each with everything that shows it.

use serde::Serialize;

use super::{Material, Reviewed};
use crate::{
    Tone,
    drill::{Checklist, Verdict, point_verdict},
};

/// A point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Whose check list.
    pub source: String,
    /// Its words.
    pub point: String,
    /// What the drills and the run say of it together.
    pub showing: Showing,
    /// What shows it: names of checks, steps and measures, by drill; and what the run says itself.
    pub shown_by: Vec<String>,
}

/// What is known of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Showing {
    /// Something shows it, and nothing that should show it did not.
    Shown,
    /// Something that should show it did not hold.
    DidNotHold,
    /// What should show it was not measured.
    NotMeasured,
    /// Nothing shows it.
    Nothing,
}

impl Showing {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::DidNotHold => "did not hold",
            Self::NotMeasured => "not measured",
            Self::Nothing => "nothing shows it",
        }
    }

    pub(super) fn tone(self) -> Tone {
        match self {
            Self::Shown => Tone::Good,
            Self::DidNotHold => Tone::Bad,
            Self::NotMeasured | Self::Nothing => Tone::Warn,
        }
    }

    fn of(verdict: Option<Verdict>) -> Self {
        match verdict {
            None => Self::Nothing,
            Some(Verdict::Met) => Self::Shown,
            Some(Verdict::Missed) => Self::DidNotHold,
            Some(Verdict::Unmeasured) => Self::NotMeasured,
        }
    }
}

/// Every point of every list once, in the order in which the drills have them.
pub(super) fn points(material: &Material) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for (source, point) in lists(material).flat_map(|list| list.points.iter().map(|point| (&list.source, &point.point)))
    {
        if points.iter().all(|known| (&known.source, &known.point) != (source, point)) {
            points.push(of(material, source, point));
        }
    }
    points
}

/// Evidence for a point that no list has: its words are wrong, and the point that is meant would be without it.
pub(super) fn unknown(material: &Material, points: &[Point]) -> Vec<String> {
    let is_known = |point: &str| points.iter().any(|known| known.point == point);
    let unknown = material.evidence.iter().filter(|evidence| !is_known(&evidence.point));
    unknown.map(|evidence| format!("no check list has the point \u{201c}{}\u{201d}", evidence.point)).collect()
}

fn lists(material: &Material) -> impl Iterator<Item = &Checklist> {
    material.drills.iter().filter_map(|drill| drill.report.checklist.as_ref())
}

fn of(material: &Material, source: &str, point: &str) -> Point {
    let by_drills = material.drills.iter().filter_map(|drill| by_drill(drill, source, point));
    let by_run = material.evidence.iter().filter(|it| it.point == point && !it.evidence.is_empty());
    let by_run = by_run.map(|it| (Verdict::Met, it.evidence.clone()));
    let (verdicts, shown_by): (Vec<Verdict>, Vec<String>) = by_drills.chain(by_run).unzip();
    let showing = Showing::of(verdicts.into_iter().reduce(Verdict::and));
    Point { source: source.to_owned(), point: point.to_owned(), showing, shown_by }
}

/// What a drill says of the point; `None` where nothing in it shows the point. What an unmeasured drill has seen is not proven.
fn by_drill(drill: &Reviewed, source: &str, point: &str) -> Option<(Verdict, String)> {
    let report = &drill.report;
    let list = report.checklist.as_ref().filter(|list| list.source == source)?;
    let point = list.points.iter().find(|known| known.point == point)?;
    let said = match (point_verdict(point, report)?, report.verdict) {
        (Verdict::Met, Verdict::Unmeasured) => Verdict::Unmeasured,
        (said, _) => said,
    };
    Some((said, format!("{}: {}", report.drill, point.shown_by.join(", "))))
}
