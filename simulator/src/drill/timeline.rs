//! The timeline of a drill must make sense in its order: a recovery comes after the fault that it recovers from, and uses only
//! facts that are known at that point.

use std::collections::BTreeSet;

use lifeboat_core::{
    diagnostic::{closest, meant},
    document::Document,
};
use serde_json::Value;

use super::{
    entries::{Named, TimelineEntry, may_hold_other_faults},
    spec::LagSpec,
};
use crate::fault::{self, DAMAGED, FAULTS, FaultKind};

/// When the failed probe was last good. Monitoring, which watches every drill, provides this fact.
pub(super) const LAST_GOOD_PROBE: &str = "last_good_probe";

/// Checks the order of the timeline, the facts that its recoveries ask for, and those of the controls.
pub(super) fn fits(document: &mut Document<'_>) {
    let Some(entries) = TimelineEntry::all(document) else { return };
    if entries.is_empty() {
        let help = "begin with `steady`";
        document.contradiction_with_help(&["timeline"], "the timeline is empty", "add at least one entry", help);
    }
    let mut so_far = SoFar::default();
    for entry in &entries {
        so_far.goes_on(document, entry);
    }
    steady_first(document, &entries);
    let is = |keys: &[&str]| entries.iter().any(|entry| entry.key.is_none_or(|key| keys.contains(&key)));
    if !entries.is_empty() && !is(&["recover", "lag", "routine"]) {
        let message = "this drill recovers nothing and measures nothing";
        document.contradiction(&["timeline"], message, "add `recover`, `lag` or `routine`");
    }
    let executes = entries.iter().any(|entry| matches!(entry.key, Some("recover" | "routine")));
    if executes && document.get::<Value>(&["approvals"]).is_none() {
        let message = "the drill executes a runbook but has no policy that answers its questions";
        document.contradiction(&["timeline"], message, "add `approvals` to the file");
    }
    controls_fit(document, &so_far.known, may_hold_other_faults(&entries));
}

/// What the entries before one have done.
#[derive(Default)]
struct SoFar<'e> {
    /// Every fault that struck, by its kind.
    struck: BTreeSet<&'e str>,
    /// Those that were not healed.
    open: Vec<&'e Value>,
    /// Those of them that no recovery followed.
    fresh: Vec<&'e Value>,
    /// What strikes or is healed gives the next recovery something to do.
    happened: bool,
    has_recovered: bool,
    /// The facts for responders, and those for controls.
    told: BTreeSet<&'static str>,
    known: BTreeSet<&'static str>,
    /// Words that stand for a fault that is in no table.
    unknown: Vec<&'e str>,
    /// Whether an entry could be any fault.
    any: bool,
}

fn kind_of(spec: &Value) -> &str {
    spec["kind"].as_str().unwrap_or_default()
}

impl<'e> SoFar<'e> {
    fn goes_on(&mut self, document: &mut Document<'_>, entry: &'e TimelineEntry) {
        if let Some(spec) = entry.under("fault") {
            self.strikes(document, entry, spec);
        } else if let Some(recover) = entry.under("recover") {
            self.recovers(document, entry, recover);
        } else if let Some(kind) = entry.under("heal").and_then(Value::as_str) {
            self.heals(document, entry, kind);
        } else if let Some(lag) = entry.under("lag") {
            lag_fits(document, entry, lag);
        } else if let Some(routine) = entry.under("routine") {
            self.runs(document, entry, routine);
        } else if entry.under("steady").is_none() {
            self.any = true;
        }
    }

    fn strikes(&mut self, document: &mut Document<'_>, entry: &'e TimelineEntry, spec: &'e Value) {
        self.happened = true;
        let kind = match entry.fault() {
            Some(Named::Known(kind)) => kind,
            _ => {
                self.any |= kind_of(spec).is_empty();
                return self.unknown.push(kind_of(spec));
            }
        };
        if self.fresh.contains(&spec) {
            let message = format!("the same `{}` has already struck", kind.name);
            let help = "remove it, or put `heal` or `recover` before it";
            document.contradiction_with_help(&entry.path(&[]), message, "has no effect", help);
        }
        self.struck.insert(kind_of(spec));
        self.open.push(spec);
        self.fresh.push(spec);
        self.told.extend(kind.told);
        self.known.extend(kind.known);
    }

    fn recovers(&mut self, document: &mut Document<'_>, entry: &TimelineEntry, recover: &Value) {
        if !self.happened && !self.any {
            let (message, help) = match self.has_recovered {
                false => ("there is no fault before this recovery", "put a `fault` before it"),
                true => {
                    let message = "nothing has struck or was healed since the recovery before this one";
                    (message, "put a `fault` or a `heal` between them, or remove one")
                }
            };
            document.contradiction_with_help(&entry.path(&[]), message, "recovers from nothing", help);
        }
        for (name, input) in recover["inputs"].as_object().into_iter().flatten() {
            let Some(fact) = input["fact"].as_str().filter(|fact| !self.tells(fact)) else { continue };
            let message = format!("the fact `{fact}` is not known at this point");
            let told = self.told.iter().copied().chain([LAST_GOOD_PROBE]);
            let help = meant(fact, "facts that are known here", told);
            let path = entry.path(&["inputs", name, "fact"]);
            document.contradiction_with_help(&path, message, "would be empty", help);
        }
        (self.happened, self.has_recovered) = (false, true);
        self.fresh.clear();
    }

    /// Whether a responder knows that fact. One that is in no table could tell what others of the table tell.
    fn tells(&self, fact: &str) -> bool {
        let is_doubtful = self.any || !self.unknown.is_empty();
        let is_told_by_any = || FAULTS.iter().any(|kind| kind.told.contains(&fact));
        fact == LAST_GOOD_PROBE || self.told.contains(fact) || (is_doubtful && is_told_by_any())
    }

    /// A routine can fail only for something that is open, and name only what a fault tells.
    fn runs(&self, document: &mut Document<'_>, entry: &TimelineEntry, routine: &Value) {
        if routine["fails_with"].is_null() || self.any || !self.unknown.is_empty() {
            return;
        }
        let tells = |kind: FaultKind| kind.told.contains(&DAMAGED);
        if !self.open.iter().any(|spec| fault::kind(kind_of(spec)).is_some_and(tells)) {
            let message = "no fault is open that this routine could find";
            let names =
                FAULTS.iter().filter(|kind| kind.told.contains(&DAMAGED)).map(|kind| format!("`{}`", kind.name));
            let help = format!("put a fault before it: {}", names.collect::<Vec<_>>().join(", "));
            document.contradiction_with_help(&entry.path(&["fails_with"]), message, "would not fail", help);
        }
    }

    fn heals(&mut self, document: &mut Document<'_>, entry: &TimelineEntry, kind: &str) {
        if self.open.iter().any(|spec| kind_of(spec) == kind) || self.any || self.may_be_unknown(kind) {
            self.open.retain(|spec| kind_of(spec) != kind);
            self.fresh.retain(|spec| kind_of(spec) != kind);
            self.happened = true;
        } else if self.struck.contains(kind) {
            let message = format!("the fault `{kind}` has already been healed");
            document.contradiction_with_help(&entry.path(&[]), message, "heals nothing", "remove it");
        } else {
            let message = format!("the fault `{kind}` has not struck before this entry");
            let help = meant(kind, "faults before it", self.struck.iter().copied());
            document.contradiction_with_help(&entry.path(&[]), message, "heals nothing", help);
        }
    }

    /// Whether a fault that is in no table has that name, or should have it.
    fn may_be_unknown(&self, kind: &str) -> bool {
        let is_kind = |word: &str| word == kind || (fault::kind(kind).is_some() && closest(word, [kind]).is_some());
        self.unknown.iter().any(|word| is_kind(word))
    }
}

/// A limit must be set, and `within` needs a lag to wait for.
fn lag_fits(document: &mut Document<'_>, entry: &TimelineEntry, lag: &Value) {
    let Ok(lag) = serde_json::from_value::<LagSpec>(lag.clone()) else { return };
    let path = entry.path(&[]);
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

/// Without a steady time before the first fault there is no proof that the service was healthy.
fn steady_first(document: &mut Document<'_>, entries: &[TimelineEntry]) {
    if entries.first().is_some_and(|first| first.key.is_some_and(|key| key != "steady")) {
        let message = "the timeline must begin with `steady`: only a service that was seen healthy can be seen to fail";
        let help = "put `- steady: 8s` before it";
        document.contradiction_with_help(&["timeline", "0"], message, "comes too early", help);
    }
}

/// The parameters of a control may depend on the facts of the faults. One that is in no table could know what others of the table know.
fn controls_fit(document: &mut Document<'_>, known: &BTreeSet<&str>, is_doubtful: bool) {
    let controls = document.get::<Vec<Value>>(&["controls"]).unwrap_or_default();
    for (place, control) in (0..).zip(controls) {
        let place: String = u32::to_string(&place);
        let mut facts = BTreeSet::new();
        collect_facts(&control["with"], &mut facts);
        let is_known =
            |fact: &str| known.contains(fact) || (is_doubtful && FAULTS.iter().any(|kind| kind.known.contains(&fact)));
        for fact in facts.iter().filter(|fact| !is_known(fact)) {
            let message = format!("no fault of this drill provides the fact `{fact}`");
            let help = meant(fact, "facts that its faults provide", known.iter().copied());
            document.contradiction_with_help(&["controls", &place, "with"], message, "would be empty", help);
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
