//! Whether bindings fit a plan, and what a run of the plan must have for itself alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    action::Effect,
    bindings::Bindings,
    diagnostic::{Code, Diagnostic, Span, codes},
    name::RoleName,
    plan::{Plan, StepKind},
};

/// Reports roles without a system, of the wrong kind, with too little access, or without the identity that destroying
/// demands. Places are whole lines of the bindings file.
pub fn check(plan: &Plan, bindings: &Bindings) -> Vec<Diagnostic> {
    let used = strongest_effects(plan);
    let mut found = Vec::new();
    for (role, declared) in &plan.targets {
        let Some(binding) = bindings.targets.get(role) else {
            let help = format!("add `{role}` under `targets`, of kind {}", declared.kind);
            found.push(finding(codes::NOT_BOUND, 0, format!("no system plays the role `{role}`"), Some(help)));
            continue;
        };
        if binding.system.kind() != declared.kind {
            let message = format!(
                "`{role}` is bound to a system of kind {}; the runbook expects kind {}",
                binding.system.kind(),
                declared.kind
            );
            found.push(finding(codes::BOUND_KIND, binding.line, message, None));
            continue;
        }
        let Some(effect) = used.get(role).copied() else { continue };
        if effect > binding.access {
            let message = format!(
                "the runbook needs `access: {}` on `{role}`; the bindings grant `{}`",
                effect.access(),
                binding.access.access()
            );
            let help = format!("set `access: {}` if this is intended", effect.access());
            found.push(finding(codes::BOUND_ACCESS, binding.line, message, Some(help)));
        }
        if let (Effect::Destroy, Some(help)) = (effect, binding.system.lacks_identity()) {
            let message = format!("a step may destroy data on `{role}`, but the bindings do not prove its identity");
            found.push(finding(codes::NO_IDENTITY, binding.line, message, Some(help.to_owned())));
        }
    }
    check_people(plan, bindings, &mut found);
    for (role, binding) in bindings.targets.iter().filter(|(role, _)| !plan.targets.contains_key(*role)) {
        found.push(finding(codes::SPARE_ROLE, binding.line, format!("the runbook has no role `{role}`"), None));
    }
    found
}

/// The code of what [`check`] reports for each of [`unproved`].
pub const NO_IDENTITY: &str = codes::NO_IDENTITY.id;

/// The roles on which a step of the plan may destroy something, and of which the bindings do not prove what they are.
pub fn unproved<'a>(plan: &Plan, bindings: &'a Bindings) -> impl Iterator<Item = &'a RoleName> + use<'a> {
    let used = strongest_effects(plan);
    let destroyed = move |role: &RoleName| used.get(role) == Some(&Effect::Destroy);
    bindings
        .targets
        .iter()
        .filter(move |(role, binding)| destroyed(role) && binding.system.lacks_identity().is_some())
        .map(|(role, _)| role)
}

/// A bindings file that names people must name them for every role that is asked: otherwise nobody could answer.
fn check_people(plan: &Plan, bindings: &Bindings, found: &mut Vec<Diagnostic>) {
    for step in &plan.steps {
        let StepKind::Approve { by, four_eyes, .. } = &step.kind else { continue };
        let named: BTreeSet<&String> = by.iter().filter_map(|role| bindings.people.get(role)).flatten().collect();
        let (id, roles) = (&step.id, by.join(" or "));
        if by.is_empty() {
            continue;
        }
        if bindings.people.is_empty() {
            let message =
                format!("`{id}` asks {roles}, but the bindings name nobody: anyone who can reach the run may answer");
            let help = format!("add `people: {{ {}: [LOGIN, \"group:NAME\"] }}`", by[0]);
            found.push(finding(codes::NO_PEOPLE, 0, message, Some(help)));
        } else if named.is_empty() {
            let help = format!("add `{}` under `people`", by[0]);
            found.push(finding(
                codes::NOBODY,
                0,
                format!("`{id}` asks {roles}, but `people` names nobody for that role"),
                Some(help),
            ));
        } else if *four_eyes && named.len() == 1 && !named.iter().any(|entry| entry.starts_with("group:")) {
            let message = format!("`{id}` needs two people, but `people` names only one for {roles}");
            found.push(finding(codes::NOBODY, 0, message, None));
        }
    }
}

/// The exclusive resources that a run of the plan writes to, for one lease each: sorted, each once.
pub fn leases(plan: &Plan, bindings: &Bindings) -> Vec<String> {
    let systems = changed(plan).into_iter().filter_map(|role| bindings.targets.get(&role));
    let mut leases: Vec<String> = systems.flat_map(|target| target.system.leases()).collect();
    leases.sort();
    leases.dedup();
    leases
}

/// The roles that some action of the plan changes.
pub fn changed(plan: &Plan) -> BTreeSet<RoleName> {
    let changed = strongest_effects(plan).into_iter().filter(|(_, effect)| *effect >= Effect::Mutate);
    changed.map(|(role, _)| role).collect()
}

/// The most that any action of the plan does with each role.
fn strongest_effects(plan: &Plan) -> BTreeMap<RoleName, Effect> {
    let mut effects = BTreeMap::new();
    let actions = plan.steps.iter().flat_map(|step| {
        let main = match &step.kind {
            StepKind::Uses(action) => Some(action),
            StepKind::Manual { verify, .. } => verify.as_ref(),
            StepKind::Approve { .. } => None,
        };
        main.into_iter().chain(&step.undo)
    });
    for (role, effect) in actions.flat_map(|action| &action.grants) {
        let strongest = effects.entry(role.clone()).or_insert(*effect);
        *strongest = (*strongest).max(*effect);
    }
    effects
}

fn finding(code: Code, line: u32, message: String, help: Option<String>) -> Diagnostic {
    let span = Span { line, column: u32::from(line > 0), ..Span::default() };
    Diagnostic { code: code.id, severity: code.severity, message, span, label: String::new(), help }
}
