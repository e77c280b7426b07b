//! The systems of a drill must match each other and the rest of the file.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use lifeboat_core::{
    diagnostic::meant,
    document::{Document, Shape},
};
use serde_json::Value;

use super::entries::{Named, TimelineEntry};
use crate::{
    fault::FaultKind,
    testbed::{self, OUTSIDE, SYSTEMS, SystemKind, SystemPart, SystemSpec},
};

/// The systems that can be read, by name.
pub(super) type Systems = BTreeMap<String, SystemSpec>;

/// Checks the references between systems, the application's store and switch, the roles of the recoveries, and the targets of the
/// faults.
pub(super) fn fit(document: &mut Document<'_>) {
    let Some(systems) = document.get::<Systems>(&["systems"]) else { return };
    for (name, spec) in &systems {
        regions_are_named(document, name, spec);
        for (key, other, kinds) in testbed::named(spec) {
            is_one_of(document, &systems, &["systems", name, key], other, kinds);
        }
    }
    circles(document, &systems);
    application_fits(document, &systems);
    for entry in TimelineEntry::all(document).unwrap_or_default() {
        if let Some(Named::Known(kind)) = entry.fault() {
            fault_fits(document, &systems, &entry, &kind);
        }
        if let Some(executed) = entry.under("recover").or_else(|| entry.under("routine")) {
            for (role, name) in executed["roles"].as_object().into_iter().flatten() {
                if let Some(name) = name.as_str() {
                    is_there(document, &systems, &entry.path(&["roles", role]), name);
                }
            }
        }
        if let Some(name) = entry.under("lag").and_then(|lag| lag["of"].as_str()) {
            lag_fits(document, &systems, &entry, name);
        }
    }
}

/// The names of the kinds that have that part.
fn kinds_of(is_meant: impl Fn(&SystemKind) -> bool) -> Vec<&'static str> {
    SYSTEMS.iter().filter(|kind| is_meant(kind)).map(|kind| kind.name).collect()
}

fn regions_are_named(document: &mut Document<'_>, name: &str, spec: &SystemSpec) {
    if spec.region() == Some(OUTSIDE) {
        let message = format!("`{OUTSIDE}` means everything that is in no region");
        let help = "remove it: without a region the system is outside";
        document.contradiction_with_help(&["systems", name, "region"], message, "leave `region` out", help);
    }
}

/// The application reaches its store, also through a switch.
fn application_fits(document: &mut Document<'_>, systems: &Systems) {
    for (key, part) in [("store", SystemPart::Store), ("through", SystemPart::Switch)] {
        if let Some(name) = document.get::<String>(&["workload", key]) {
            is_one_of(document, systems, &["workload", key], &name, &kinds_of(|kind| kind.part == part));
        }
    }
    let store = document.get::<String>(&["workload", "store"]).filter(|store| systems.contains_key(store));
    let through = document.get::<String>(&["workload", "through"]);
    let Some((store, through)) = store.zip(through) else { return };
    let directs = systems.get(&through).filter(|spec| part(spec) == Some(SystemPart::Switch));
    let Some((key, to, _)) = directs.and_then(|spec| testbed::named(spec).next()) else { return };
    if to != store && systems.contains_key(to) {
        let message = format!("`{through}` directs the application to `{to}`, and its store is `{store}`");
        let help = format!("set `{key}: {store}` in the system `{through}`");
        document.contradiction_with_help(&["workload", "through"], message, "leads elsewhere", help);
    }
}

fn part(spec: &SystemSpec) -> Option<SystemPart> {
    testbed::kind(spec.kind()).map(|kind| kind.part)
}

/// Its lag is measured by the writes of the application, which a standby of another server never gets.
fn lag_fits(document: &mut Document<'_>, systems: &Systems, entry: &TimelineEntry, name: &str) {
    let standbys = kinds_of(|kind| matches!(kind.part, SystemPart::Standby { .. }));
    let path = entry.path(&["of"]);
    if !is_one_of(document, systems, &path, name, &standbys) {
        return;
    }
    let is_store = |store: &String| systems.get(store).and_then(part) == Some(SystemPart::Store);
    let Some(store) = document.get::<String>(&["workload", "store"]).filter(is_store) else { return };
    let mut way = vec![name];
    while let Some(spec) = way.last().and_then(|last| systems.get(*last)) {
        // It leads to the store, to something that has been reported, or to another server.
        match part(spec) {
            Some(SystemPart::Standby { of }) => match spec.text(of) {
                Some(next) if next != store && !way.contains(&next) => way.push(next),
                _ => return,
            },
            Some(SystemPart::Store) => break,
            _ => return,
        }
    }
    if let Some(source) = way.last().filter(|source| systems.contains_key(**source)) {
        let message = format!("`{name}` follows `{source}`, not the application's store `{store}`");
        let help = "watch a standby that follows the store";
        document.contradiction_with_help(&path, message, "never gets its records", help);
    }
}

/// The systems, regions and times that a fault names, by the tables of faults.
fn fault_fits(document: &mut Document<'_>, systems: &Systems, entry: &TimelineEntry, kind: &FaultKind) {
    let Some(spec) = entry.under("fault") else { return };
    for (key, kinds) in kind.systems {
        if let Some(name) = spec[key].as_str() {
            is_one_of(document, systems, &entry.path(&[key]), name, kinds);
        }
    }
    let regions: BTreeSet<&str> = systems.values().filter_map(SystemSpec::region).chain([OUTSIDE]).collect();
    for key in kind.regions {
        let Some(name) = spec[key].as_str().filter(|name| !regions.contains(name)) else { continue };
        let message = format!("no system is placed in a region `{name}`");
        let help = meant(name, "regions", regions.iter().copied());
        document.contradiction_with_help(&entry.path(&[key]), message, "not a region", help);
    }
    if let [first, second] = kind.regions
        && spec[*first].as_str().is_some_and(|region| spec[*second].as_str() == Some(region))
    {
        let message = format!("`{first}` and `{second}` are the same");
        let help = "name two regions, or a region and `outside`: traffic within a region cannot be hindered";
        document.contradiction_with_help(&entry.path(&[*second]), message, "no traffic between them", help);
    }
    times_are_longer_than_zero(document, entry, kind, spec);
}

/// A fault that lasts no time is none.
fn times_are_longer_than_zero(document: &mut Document<'_>, entry: &TimelineEntry, kind: &FaultKind, spec: &Value) {
    let times = kind.parameters.fields.iter().filter(|field| matches!(field.shape, Shape::Duration));
    for field in times {
        let time = spec[field.key].as_str().and_then(|text| text.parse::<SignedDuration>().ok());
        if time.is_some_and(|time| time.is_zero()) {
            let message = format!("a `{}` with `{}` of zero has no effect", kind.name, field.key);
            document.contradiction(&entry.path(&[field.key]), message, "must be longer than zero");
        }
    }
}

fn is_there<'s>(
    document: &mut Document<'_>,
    systems: &'s Systems,
    path: &[&str],
    name: &str,
) -> Option<&'s SystemSpec> {
    let found = systems.get(name);
    if found.is_none() {
        let help = meant(name, "systems of this drill", systems.keys().map(String::as_str));
        document.contradiction_with_help(path, format!("there is no system `{name}`"), "not a system", help);
    }
    found
}

/// Whether the system is of one of these kinds, as far as it is known.
fn is_one_of(document: &mut Document<'_>, systems: &Systems, path: &[&str], name: &str, kinds: &[&str]) -> bool {
    let Some(found) = is_there(document, systems, path, name) else { return false };
    // A system of an unknown kind has already been reported.
    if testbed::kind(found.kind()).is_none() || kinds.contains(&found.kind()) {
        return true;
    }
    let possible = systems.iter().filter(|(_, spec)| kinds.contains(&spec.kind())).map(|(name, _)| name.as_str());
    let possible: Vec<String> = possible.map(|name| format!("`{name}`")).collect();
    let kinds = kinds.join(" or a ");
    let help = match possible.is_empty() {
        true => format!("add a {kinds} to the systems"),
        false => format!("one of {}", possible.join(", ")),
    };
    let message = format!("`{name}` is a `{}`", found.kind());
    document.contradiction_with_help(path, message, format!("must be a {kinds}"), help);
    false
}

/// Systems that cannot be built in any order because each waits for another one. A system names at most one other.
fn circles(document: &mut Document<'_>, systems: &Systems) {
    let named = |name: &str| systems.get(name).and_then(|spec| testbed::named(spec).next());
    for name in systems.keys() {
        let mut way = vec![name.as_str()];
        while let Some((_, next, _)) = way.last().and_then(|last| named(last)) {
            if next == name {
                let (key, ..) = named(name).unwrap_or_default();
                let message = format!("`{name}` waits for itself: {} → {name}", way.join(" → "));
                let help = "let one of them name a system outside of the circle";
                document.contradiction_with_help(&["systems", name, key], message, "cannot be built", help);
            }
            if way.contains(&next) {
                break;
            }
            way.push(next);
        }
    }
}
