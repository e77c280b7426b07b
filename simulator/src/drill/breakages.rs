//! The controls of a drill must break something, and be detected by something that this drill looks at.

use lifeboat_core::{
    action::Catalogue,
    diagnostic::meant,
    document::Document,
    plan::{Plan, Step},
};
use serde_json::Value;

use super::{
    checks::results,
    control::{CONTROL_RUN, MEASURES},
    entries::{Named, TimelineEntry},
    rule::Outline,
};

/// The runbooks whose steps a control can break.
pub(super) struct Breakable<'p> {
    /// Those without errors.
    pub(super) plans: Vec<&'p Plan>,
    /// Whether those are all.
    pub(super) is_whole: bool,
    /// The actions that their steps run.
    pub(super) catalogue: &'p Catalogue,
}

/// Checks the controls.
pub(super) fn fit(document: &mut Document<'_>, entries: &[TimelineEntry], breakable: &Breakable<'_>) {
    let controls = document.get::<Vec<Value>>(&["controls"]).unwrap_or_default();
    let is_readable = entries.iter().all(|entry| entry.key.is_some());
    let has = |key: &str| entries.iter().any(|entry| entry.key == Some(key));
    let outline = Outline {
        recovers: has("recover"),
        watches_standbys: has("lag"),
        runs_routines: has("routine"),
        may_lose_writes: entries.iter().any(may_lose_writes),
    };
    for (place, control) in controls.iter().enumerate() {
        let place = place.to_string();
        has_own_name(document, &place, control, &controls);
        can_be_seen(document, &place, control, is_readable.then_some(&outline));
        breaks_a_step(document, &place, control, breakable);
    }
}

fn may_lose_writes(entry: &TimelineEntry) -> bool {
    let Some(Named::Known(kind)) = entry.fault() else { return false };
    let fault = entry.under("fault").and_then(|spec| (kind.make)(spec).ok());
    fault.is_some_and(|fault| fault.may_lose_writes())
}

/// Each control has a folder of its own name.
fn has_own_name(document: &mut Document<'_>, place: &str, control: &Value, all: &[Value]) {
    let Some(name) = control["name"].as_str() else { return };
    let path = ["controls", place, "name"];
    if name == CONTROL_RUN {
        let message = format!("`{CONTROL_RUN}` is the name of the run without a fault");
        document.contradiction_with_help(&path, message, "reserved", "choose another name");
    }
    let first = all.iter().position(|other| other["name"] == name);
    if first.is_some_and(|first| first.to_string() != place) {
        let message = format!("another control is called `{name}` too");
        document.contradiction_with_help(&path, message, "must be unique", "choose another name");
    }
}

/// A control can be detected only by something that can turn this drill red. `outline`: `None` if it is not known what the drill does.
fn can_be_seen(document: &mut Document<'_>, place: &str, control: &Value, outline: Option<&Outline>) {
    let Some(red_by) = control["red_by"].as_str() else { return };
    let all = || MEASURES.into_iter().chain(results().map(|rule| rule.name));
    let measures = MEASURES.into_iter().filter(|_| outline.is_none_or(|outline| outline.recovers));
    let checks = results().filter(|rule| outline.is_none_or(|outline| (rule.possible)(outline)));
    let possible: Vec<&str> = measures.chain(checks.map(|rule| rule.name)).collect();
    if possible.contains(&red_by) {
        return;
    }
    let (message, label) = match all().any(|name| name == red_by) {
        true => (format!("this drill has nothing that `{red_by}` looks at"), "never turns red"),
        false => (format!("`{red_by}` cannot turn a drill red"), "not a check"),
    };
    let help = meant(red_by, "checks that can turn this drill red", possible);
    document.contradiction_with_help(&["controls", place, "red_by"], message, label, help);
}

fn breaks_a_step(document: &mut Document<'_>, place: &str, control: &Value, breakable: &Breakable<'_>) {
    let Some(name) = control["step"].as_str() else { return };
    let path = ["controls", place, "step"];
    let steps = || breakable.plans.iter().flat_map(|plan| &plan.steps);
    let found: Vec<&Step> = steps().filter(|step| step.id.as_str() == name).collect();
    if found.is_empty() {
        return not_there(document, &path, name, steps().map(|step| step.id.as_str()).collect(), breakable.is_whole);
    }
    let actions: Vec<_> = found.iter().filter_map(|step| step.action()).collect();
    if actions.is_empty() {
        let message = format!("the step `{name}` runs no action");
        let help = "name a step that has `uses`";
        return document.contradiction_with_help(&path, message, "breaks nothing", help);
    }
    let known: Vec<_> = actions.iter().filter_map(|uses| breakable.catalogue.get(&uses.action)).collect();
    for parameter in control["with"].as_object().into_iter().flatten().map(|(parameter, _)| parameter) {
        let names = || known.iter().flat_map(|action| &action.parameters).map(|field| field.name.as_str());
        if known.len() == actions.len() && !names().any(|name| name == parameter) {
            let uses: Vec<String> = known.iter().map(|action| format!("`{}`", action.name)).collect();
            let message = format!("{} has no parameter `{parameter}`", uses.join(" or "));
            let help = meant(parameter, &format!("parameters of {}", uses.join(" or ")), names());
            let path = ["controls", place, "with", parameter];
            document.contradiction_with_help(&path, message, "changes nothing", help);
        }
    }
}

/// A step can be in a runbook that cannot be read; but a name that is almost that of a step that can be read is a slip.
fn not_there(document: &mut Document<'_>, path: &[&str], name: &str, steps: Vec<&str>, is_whole: bool) {
    let is_slip = lifeboat_core::diagnostic::closest(name, steps.iter().copied()).is_some();
    if !is_whole && !is_slip {
        return;
    }
    let message = format!("no runbook of this drill has a step `{name}`");
    let help = match steps.is_empty() {
        true => "a control breaks a step of a runbook that `recover` or `routine` executes".to_owned(),
        false => meant(name, "steps", steps),
    };
    document.contradiction_with_help(path, message, "breaks nothing", help);
}
