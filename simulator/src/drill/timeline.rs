//! The timeline of a drill must make sense in its order: a recovery comes after the fault that it recovers from, and uses only
//! facts that are known at that point.

use std::collections::BTreeSet;

use lifeboat_core::document::Document;
use serde_json::Value;

use super::spec::{LagSpec, Moment, RecoverSpec};
use crate::fault;

/// When the failed probe was last good. Monitoring, which watches every drill, provides this fact.
pub(super) const LAST_GOOD_PROBE: &str = "last_good_probe";

/// Checks the order of the timeline, the facts that its recoveries ask for, and the controls.
pub(super) fn fits(document: &mut Document<'_>) {
    let Some(moments) = document.get::<Vec<Value>>(&["timeline"]) else { return };
    let moments: Vec<Option<Moment>> = moments.into_iter().map(|moment| serde_json::from_value(moment).ok()).collect();
    let (mut struck, mut told) = (BTreeSet::new(), BTreeSet::from([LAST_GOOD_PROBE]));
    let mut known = BTreeSet::new();
    if moments.is_empty() {
        document.contradiction(&["timeline"], "the timeline is empty", "add at least one entry");
    }
    let mut all_known = true;
    for (place, moment) in (0..).zip(&moments) {
        let place: String = u32::to_string(&place);
        let Some(moment) = moment else {
            all_known = false;
            continue;
        };
        match moment {
            Moment::Steady(_) => {}
            Moment::Fault(spec) => {
                struck.insert(spec.kind().to_owned());
                let kind = fault::kind(spec.kind());
                all_known &= kind.is_some();
                told.extend(kind.iter().flat_map(|kind| kind.told));
                known.extend(kind.iter().flat_map(|kind| kind.known));
            }
            Moment::Recover(_) if struck.is_empty() && all_known => {
                let message = "there is no fault before this recovery";
                document.contradiction(&["timeline", &place, "recover"], message, "recovers from nothing");
            }
            // An unknown fault has already been reported, so its facts are not.
            Moment::Recover(_) if !all_known => {}
            Moment::Recover(recover) => recovery_fits(document, &place, recover, &told),
            Moment::Heal(kind) if !struck.contains(kind) && all_known => {
                let message = format!("the fault `{kind}` has not struck before this entry");
                document.contradiction(&["timeline", &place, "heal"], message, "heals nothing");
            }
            Moment::Heal(_) => {}
            Moment::Lag(lag) => lag_fits(document, &place, lag),
        }
    }
    steady_first(document, &moments);
    let recovers = |moment: &Option<Moment>| matches!(moment, Some(Moment::Recover(_)));
    if !moments.iter().any(|moment| recovers(moment) || matches!(moment, None | Some(Moment::Lag(_)))) {
        let message = "this drill recovers nothing and measures nothing";
        document.contradiction(&["timeline"], message, "add `recover` or `lag`");
    }
    if moments.iter().any(recovers) && document.get::<Value>(&["approvals"]).is_none() {
        let message = "the drill executes a runbook but has no policy that answers its questions";
        document.contradiction(&["timeline"], message, "add `approvals` to the file");
    }
    controls_fit(document, all_known.then_some(&known));
}

/// A limit must be set, and `within` needs a lag to wait for.
fn lag_fits(document: &mut Document<'_>, place: &str, lag: &LagSpec) {
    let path = ["timeline", place, "lag"];
    match (lag.at_most, lag.at_least) {
        (None, None) => document.contradiction(&path, "the block `lag` sets no limit", "add `at_most` or `at_least`"),
        (None, Some(_)) if lag.within.is_some() => {
            document.contradiction(&path, "`within` needs `at_most`, the lag to wait for", "add `at_most`");
        }
        (Some(at_most), Some(at_least)) if at_least > at_most => {
            document.contradiction(&path, "`at_least` is longer than `at_most`", "cannot both hold");
        }
        _ => {}
    }
}

fn recovery_fits(document: &mut Document<'_>, place: &str, recover: &RecoverSpec, told: &BTreeSet<&str>) {
    for (name, input) in &recover.inputs {
        if !told.contains(input.fact.as_str()) {
            let facts = told.iter().map(|fact| format!("`{fact}`")).collect::<Vec<_>>().join(", ");
            let message = format!("the fact `{}` is not known at this point", input.fact);
            let path = ["timeline", place, "recover", "inputs", name, "fact"];
            document.contradiction(&path, message, format!("known facts: {facts}"));
        }
    }
}

/// Without a steady time before the first fault there is no proof that the service was healthy.
fn steady_first(document: &mut Document<'_>, moments: &[Option<Moment>]) {
    let first = moments.first().and_then(Option::as_ref);
    if first.is_some_and(|first| !matches!(first, Moment::Steady(_))) {
        let message = "the timeline must begin with `steady`: only a service that was seen healthy can be seen to fail";
        document.contradiction(&["timeline", "0"], message, "comes too early");
    }
}

/// The parameters of a control may depend on the facts of the faults, if the faults themselves are known.
fn controls_fit(document: &mut Document<'_>, known: Option<&BTreeSet<&str>>) {
    let controls = document.get::<Vec<Value>>(&["controls"]).unwrap_or_default();
    for (place, control) in (0..).zip(controls) {
        let place: String = u32::to_string(&place);
        let mut facts = BTreeSet::new();
        collect_facts(&control["with"], &mut facts);
        for fact in facts.iter().filter(|fact| known.is_some_and(|known| !known.contains(fact.as_str()))) {
            let message = format!("no fault of this drill provides the fact `{fact}`");
            document.contradiction(&["controls", &place, "with"], message, "would be empty");
        }
    }
}

fn collect_facts(value: &Value, facts: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => match fields.get("fact").and_then(Value::as_str).filter(|_| fields.len() == 1) {
            Some(fact) => drop(facts.insert(fact.to_owned())),
            None => fields.values().for_each(|value| collect_facts(value, facts)),
        },
        Value::Array(items) => items.iter().for_each(|item| collect_facts(item, facts)),
        _ => {}
    }
}
