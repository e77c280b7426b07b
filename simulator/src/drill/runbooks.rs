//! Compares a drill with the runbooks that it names: what it says about their steps and inputs must be true.

use std::{collections::BTreeMap, path::Path};

use lifeboat_core::{
    action::Catalogue,
    diagnostic::{Diagnostic, SourceFile},
    document::Document,
    plan::{Plan, Variant},
};
use lifeboat_launch::{Runbook, source};

use super::{
    checks::{names, results},
    control::MEASURES,
    error::DrillError,
    hold::{hold_action, refuse_nested},
    request::{DrillRequest, read},
    spec::{DrillSpec, Moment, RecoverSpec},
};
use crate::{
    controls::Control,
    report::{ChecklistPoint, POINT_MEASURES},
};

/// The plans of runbooks, by their names in a drill file.
type Plans = BTreeMap<String, Plan>;

/// All problems of a drill file, and of what it says about its runbooks, which are beside it. Problems within a runbook are not
/// reported here.
pub fn check(file: &SourceFile, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let mut document = DrillSpec::document(file);
    let catalogue = &with_drills(catalogue);
    let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    let mut plans = Plans::new();
    for (place, recover) in recoveries(&document) {
        match read(&folder.join(&recover.runbook)) {
            Ok(runbook) => {
                let plan = source::check_runbook(runbook, catalogue).plan().cloned();
                if let Some(nested) = plan.as_ref().and_then(|plan| refuse_nested(plan).err()) {
                    let path = ["timeline", &place, "recover", "runbook"];
                    document.contradiction(&path, nested.to_string(), "would never end");
                }
                plans.extend(plan.map(|plan| (recover.runbook, plan)));
            }
            Err(error) => {
                let path = ["timeline", &place, "recover", "runbook"];
                document.contradiction(&path, error.to_string(), "cannot be read");
            }
        }
    }
    runbooks_fit(&mut document, &plans);
    document.finish::<DrillSpec>().err().unwrap_or_default()
}

impl DrillRequest {
    /// Whether the drill can be held according to its files: its runbooks have no errors, hold no drill themselves, and match the
    /// drill file.
    ///
    /// # Errors
    /// The first file with errors; for the drill file, everything that does not match its runbooks.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), DrillError> {
        let catalogue = &with_drills(catalogue);
        let mut plans = Plans::new();
        for recover in self.spec.recoveries() {
            let Runbook { plan, .. } = compiled(self.runbook(recover), catalogue)?;
            refuse_nested(&plan)?;
            plans.insert(recover.runbook.clone(), plan);
        }
        match problems(&self.file, &plans) {
            found if found.is_empty() => Ok(()),
            diagnostics => Err(DrillError::Diagnostics { file: self.file.clone(), diagnostics }),
        }
    }
}

/// A runbook that holds a drill can be read, so that it is refused for just that.
fn with_drills(catalogue: &Catalogue) -> Catalogue {
    Catalogue::new(catalogue.iter().cloned().chain([hold_action()]))
}

/// A runbook as a drill executes it: a drill is a disaster.
pub(super) fn compiled(file: SourceFile, catalogue: &Catalogue) -> Result<Runbook, DrillError> {
    let Runbook { plan, sources } = Runbook::of(source::check_runbook(file, catalogue))?;
    let plan = if plan.has_variants() { plan.of_variant(Variant::Disaster) } else { plan };
    Ok(Runbook { plan, sources })
}

/// The problems of what a drill file says about these runbooks.
fn problems(file: &SourceFile, plans: &Plans) -> Vec<Diagnostic> {
    let mut document = DrillSpec::document(file);
    runbooks_fit(&mut document, plans);
    document.finish::<DrillSpec>().err().unwrap_or_default()
}

/// The recoveries of a file, as far as it can be read, with their indexes in the timeline.
fn recoveries(document: &Document<'_>) -> Vec<(String, RecoverSpec)> {
    let moments = document.get::<Vec<serde_json::Value>>(&["timeline"]).unwrap_or_default();
    let recovery = |(place, moment): (usize, serde_json::Value)| match serde_json::from_value(moment) {
        Ok(Moment::Recover(recover)) => Some((place.to_string(), recover)),
        _ => None,
    };
    moments.into_iter().enumerate().filter_map(recovery).collect()
}

/// A control can be detected only by something that can turn a drill red.
fn controls_can_be_seen(document: &mut Document<'_>) {
    let controls = document.get::<Vec<serde_json::Value>>(&["controls"]).unwrap_or_default();
    for (place, control) in controls.iter().enumerate() {
        let Some(red_by) = control["red_by"].as_str() else { continue };
        let reds: Vec<&str> = MEASURES.into_iter().chain(results()).collect();
        if !reds.contains(&red_by) {
            let message = format!("`{red_by}` cannot turn a drill red");
            let path = ["controls", &place.to_string(), "red_by"];
            document.contradiction(&path, message, format!("one of {}", reds.join(", ")));
        }
    }
}

fn runbooks_fit(document: &mut Document<'_>, plans: &Plans) {
    controls_can_be_seen(document);
    let recoveries = recoveries(document);
    for (place, recover) in &recoveries {
        if let Some(plan) = plans.get(&recover.runbook) {
            recovery_fits(document, place, recover, plan);
        }
    }
    if recoveries.iter().any(|(_, recover)| !plans.contains_key(&recover.runbook)) {
        return;
    }
    checklist_can_be_shown(document, plans);
    let controls = document.get::<Vec<serde_json::Value>>(&["controls"]).unwrap_or_default();
    for (place, control) in controls.into_iter().enumerate() {
        let Ok(Control { step: Some(step), .. }) = serde_json::from_value(control) else { continue };
        if !plans.values().any(|plan| has_step(plan, &step)) {
            let path = ["controls", &place.to_string(), "step"];
            document.contradiction(&path, format!("no runbook of this drill has a step `{step}`"), "breaks nothing");
        }
    }
}

/// A point of a check list is shown by what there is in a drill.
fn checklist_can_be_shown(document: &mut Document<'_>, plans: &Plans) {
    let points = document.get::<Vec<ChecklistPoint>>(&["checklist", "points"]).unwrap_or_default();
    for (place, point) in points.iter().enumerate() {
        for (number, name) in point.shown_by.iter().enumerate() {
            let is_known = names().chain(POINT_MEASURES).any(|known| known == name)
                || plans.values().any(|plan| has_step(plan, name));
            if !is_known {
                let path = ["checklist", "points", &place.to_string(), "shown_by", &number.to_string()];
                let message = format!("this drill has no check, no step and no measure `{name}`");
                document.contradiction(&path, message, "shows nothing");
            }
        }
    }
}

fn recovery_fits(document: &mut Document<'_>, place: &str, recover: &RecoverSpec, plan: &Plan) {
    let (id, step) = (&plan.runbook.id, &recover.restored_by);
    if !has_step(plan, step) {
        let path = ["timeline", place, "recover", "restored_by"];
        document.contradiction(&path, format!("{id} has no step `{step}`"), "never succeeds");
    }
    for name in recover.inputs.keys().filter(|name| !plan.inputs.contains_key(*name)) {
        let path = ["timeline", place, "recover", "inputs", name];
        document.contradiction(&path, format!("{id} has no input `{name}`"), "not asked for");
    }
    let needed = plan.inputs.iter().filter(|(_, declared)| declared.default.is_none());
    let missing: Vec<String> =
        needed.filter(|(name, _)| !recover.inputs.contains_key(*name)).map(|(name, _)| format!("`{name}`")).collect();
    if !missing.is_empty() {
        let path = ["timeline", place, "recover"];
        let message = format!("{id} needs the inputs {}", missing.join(", "));
        document.contradiction(&path, message, "cannot start");
    }
}

fn has_step(plan: &Plan, name: &str) -> bool {
    plan.steps.iter().any(|step| step.id.as_str() == name)
}
