//! Each role of a runbook must be played by a system of the drill that can play it, which is known before the systems are built.

use lifeboat_core::{diagnostic::meant, document::Document, plan::Plan, types::TargetKind};
use serde_json::Value;

use super::{entries::TimelineEntry, systems::Systems};
use crate::testbed;

/// Checks who plays the roles of the runbook that a recovery executes.
pub(super) fn fit(document: &mut Document<'_>, entry: &TimelineEntry, recover: &Value, plan: &Plan) {
    // What cannot be read at all has been reported, and plays nothing.
    let Some(systems) = document.get::<Systems>(&["systems"]) else { return };
    let (id, roles) = (&plan.runbook.id, &recover["roles"]);
    for (role, declared) in &plan.targets {
        let role = role.as_str();
        let given = roles[role].as_str();
        let path = if given.is_some() { entry.path(&["roles", role]) } else { entry.path(&[]) };
        let played = match systems.get(given.unwrap_or(role)) {
            Some(system) => testbed::kind(system.kind()).map(|kind| (system, kind)),
            None if given.is_some() => continue,
            None => {
                let message = format!("no system plays the role `{role}` of {id}, a target of kind {}", declared.kind);
                let help = who_can(&systems, role, declared.kind);
                document.contradiction_with_help(&path, message, format!("`{role}` is not bound"), help);
                continue;
            }
        };
        // A system of an unknown kind has been reported.
        let Some((system, kind)) = played.filter(|(_, kind)| kind.target != declared.kind) else { continue };
        let name = given.unwrap_or(role);
        let message = format!(
            "the role `{role}` of {id} is a target of kind {}, and `{name}` is a `{}`, a target of kind {}",
            declared.kind,
            system.kind(),
            kind.target
        );
        let help = who_can(&systems, role, declared.kind);
        document.contradiction_with_help(&path, message, "cannot play it", help);
    }
    for role in roles.as_object().into_iter().flatten().map(|(role, _)| role) {
        if !plan.targets.keys().any(|known| known.as_str() == role) {
            let help = meant(role, &format!("roles of {id}"), plan.targets.keys().map(|role| role.as_str()));
            let path = entry.path(&["roles", role]);
            document.contradiction_with_help(&path, format!("{id} has no role `{role}`"), "plays nothing", help);
        }
    }
}

/// What to write so that the role is played.
fn who_can(systems: &Systems, role: &str, wanted: TargetKind) -> String {
    let can = |kind: &str| testbed::kind(kind).is_some_and(|kind| kind.target == wanted);
    if let Some((name, _)) = systems.iter().find(|(_, spec)| can(spec.kind())) {
        return format!("add `roles: {{ {role}: {name} }}` to the recovery, or a system `{role}`");
    }
    let kinds: Vec<String> =
        testbed::SYSTEMS.iter().filter(|kind| can(kind.name)).map(|kind| format!("`kind: {}`", kind.name)).collect();
    match kinds.is_empty() {
        true => format!("no system of a testbed is a target of kind {wanted}"),
        false => format!("add a system `{role}` with {}", kinds.join(" or ")),
    }
}
