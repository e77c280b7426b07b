//! The systems of a drill must match each other and the rest of the file.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::document::Document;
use serde_json::Value;

use super::spec::Moment;
use crate::{
    fault,
    testbed::{self, OUTSIDE, SystemSpec},
};

/// The systems that can be read, by name.
type Systems = BTreeMap<String, SystemSpec>;

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
    let stores: Vec<&str> = testbed::SYSTEMS.iter().filter(|kind| kind.is_store).map(|kind| kind.name).collect();
    for (key, kinds) in [("store", stores.as_slice()), ("through", &["switch"])] {
        if let Some(name) = document.get::<String>(&["workload", key]) {
            is_one_of(document, &systems, &["workload", key], &name, kinds);
        }
    }
    let moments = document.get::<Vec<Value>>(&["timeline"]).unwrap_or_default();
    for (place, moment) in moments.into_iter().enumerate() {
        let place = place.to_string();
        match serde_json::from_value(moment.clone()) {
            Ok(Moment::Recover(recover)) => {
                for (role, name) in &recover.roles {
                    is_there(document, &systems, &["timeline", &place, "recover", "roles", role], name);
                }
            }
            Ok(Moment::Lag(lag)) => {
                is_one_of(document, &systems, &["timeline", &place, "lag", "of"], &lag.of, &["standby"]);
            }
            Ok(Moment::Fault(_)) => fault_fits(document, &systems, &place, &moment["fault"]),
            _ => {}
        }
    }
}

fn regions_are_named(document: &mut Document<'_>, name: &str, spec: &SystemSpec) {
    if spec.region() == Some(OUTSIDE) {
        let message = format!("`{OUTSIDE}` means everything that is in no region");
        document.contradiction(&["systems", name, "region"], message, "leave `region` out");
    }
}

/// The systems and regions that a fault names, by the tables of faults.
fn fault_fits(document: &mut Document<'_>, systems: &Systems, place: &str, spec: &Value) {
    let Some(kind) = spec["kind"].as_str().and_then(fault::kind) else { return };
    for (key, kinds) in kind.systems {
        if let Some(name) = spec[key].as_str() {
            is_one_of(document, systems, &["timeline", place, "fault", key], name, kinds);
        }
    }
    let regions: BTreeSet<&str> = systems.values().filter_map(SystemSpec::region).chain([OUTSIDE]).collect();
    for key in kind.regions {
        let Some(name) = spec[key].as_str().filter(|name| !regions.contains(name)) else { continue };
        let known = regions.iter().map(|region| format!("`{region}`")).collect::<Vec<_>>().join(", ");
        let message = format!("no system is placed in a region `{name}`");
        document.contradiction(&["timeline", place, "fault", key], message, format!("one of {known}"));
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
        let known = systems.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        document.contradiction(path, format!("there is no system `{name}`"), format!("one of {known}"));
    }
    found
}

fn is_one_of(document: &mut Document<'_>, systems: &Systems, path: &[&str], name: &str, kinds: &[&str]) {
    let Some(found) = is_there(document, systems, path, name) else { return };
    // A system of an unknown kind has already been reported.
    if testbed::kind(found.kind()).is_some() && !kinds.contains(&found.kind()) {
        let message = format!("`{name}` is a `{}`", found.kind());
        document.contradiction(path, message, format!("must be a {}", kinds.join(" or a ")));
    }
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
                document.contradiction(&["systems", name, key], message, "cannot be built");
            }
            if way.contains(&next) {
                break;
            }
            way.push(next);
        }
    }
}
