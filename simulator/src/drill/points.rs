//! The check list of a drill: each of its points is shown by what there is in the drill.

use lifeboat_core::{diagnostic::meant, document::Document};

use super::{breakages::Breakable, checks::names};
use crate::report::{ChecklistPoint, POINT_MEASURES};

/// Checks the points. What a runbook that cannot be read could show is not reported.
pub(super) fn fit(document: &mut Document<'_>, runbooks: &Breakable<'_>) {
    let points = document.get::<Vec<ChecklistPoint>>(&["checklist", "points"]).unwrap_or_default();
    let mut all: Vec<&str> = names().chain(POINT_MEASURES).collect();
    all.extend(runbooks.plans.iter().flat_map(|plan| &plan.steps).map(|step| step.id.as_str()));
    for (place, point) in points.iter().enumerate() {
        for (number, name) in point.shown_by.iter().enumerate() {
            if runbooks.is_whole && !all.contains(&name.as_str()) {
                let path = ["checklist", "points", &place.to_string(), "shown_by", &number.to_string()];
                let message = format!("this drill has no check, no step and no measure `{name}`");
                let help = meant(name, "checks, steps and measures", all.iter().copied());
                document.contradiction_with_help(&path, message, "shows nothing", help);
            }
        }
    }
}
