//! Grants: what one call may do with each role, and a refusal that names the line which would allow more.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use lifeboat_core::{
    action::Effect,
    bindings::{Binding, Bindings},
    event::Mode,
    failure::Reason,
    input::Call,
    name::RoleName,
    plan::Plan,
};

/// What one call may do, by role.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    roles: BTreeMap<String, Grant>,
    step: String,
    held_back: AtomicBool,
}

/// What one call may do with one role.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    allowed: Effect,
    /// What a real run would be allowed; the same, but in a dry-run.
    in_earnest: Effect,
    /// What set the limit, in words that tell where to change it.
    because: String,
}

impl Grants {
    /// The least of the action's declared effect, the runbook's access, the bindings' access, and read in a dry-run.
    pub(crate) fn of(call: &Call, plan: &Plan, bindings: &Bindings, mode: Mode) -> Self {
        let line = plan.steps.iter().find(|step| step.id == call.step).map_or(0, |step| step.line);
        let step = format!("step `{}` (line {line} of the runbook)", call.step);
        let roles = call
            .grants
            .iter()
            .map(|(role, effect)| (role.as_str().to_owned(), grant(role, *effect, call, plan, bindings, mode)))
            .collect();
        Self { roles, step, held_back: AtomicBool::new(false) }
    }

    /// Whether the dry-run, and nothing else, keeps the call from doing that with the role.
    pub(crate) fn would_hold_back(&self, role: &str, needed: Effect) -> bool {
        self.roles.get(role).is_some_and(|grant| grant.allowed < needed && needed <= grant.in_earnest)
    }

    /// Notes that the call was refused something for its effect.
    pub(crate) fn note_refusal(&self, role: &str, needed: Effect) {
        if self.would_hold_back(role, needed) {
            self.held_back.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the call was refused something that a real run would have been allowed.
    pub(crate) fn was_held_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed)
    }

    /// Whether the call may do that with the role; the reason says what would allow it.
    pub(crate) fn check(&self, role: &str, needed: Effect) -> Result<(), Reason> {
        let grant = self.granted(role)?;
        if needed <= grant.allowed {
            return Ok(());
        }
        self.note_refusal(role, needed);
        let (needed, allowed) = (word(needed), word(grant.allowed));
        Err(Reason::new(
            "host-refused-effect",
            format!("{} wants to {needed} `{role}`, but may only {allowed}: {}", self.step, grant.because),
        ))
    }

    /// The most that the call may do with the role.
    pub(crate) fn allowed(&self, role: &str) -> Result<Effect, Reason> {
        self.granted(role).map(|grant| grant.allowed)
    }

    fn granted(&self, role: &str) -> Result<&Grant, Reason> {
        self.roles.get(role).ok_or_else(|| {
            let given: Vec<_> = self.roles.keys().map(|role| format!("`{role}`")).collect();
            let given = if given.is_empty() { "none".to_owned() } else { given.join(", ") };
            let message = format!(
                "{} asked for the target `{role}`, which it was not given; its `with:` names {given}. A step can \
                 reach only targets that its parameters name",
                self.step
            );
            Reason::new("host-refused-role", message)
        })
    }
}

fn grant(role: &RoleName, declared: Effect, call: &Call, plan: &Plan, bindings: &Bindings, mode: Mode) -> Grant {
    let mut grant = Grant {
        allowed: declared,
        in_earnest: declared,
        because: format!("the action `{}` declares no more", call.action),
    };
    match plan.targets.get(role) {
        Some(target) => grant.limit(target.access, || {
            format!("`targets.{role}.access` in the runbook {} is `{}`", plan.runbook.id, spelled(target.access))
        }),
        None => grant.limit(Effect::Read, || format!("the runbook declares no target `{role}`")),
    }
    if let Some(Binding { access, line, .. }) = bindings.targets.get(role) {
        grant.limit(*access, || {
            format!("{}:{line} binds `{role}` with `access: {}`", bindings.source, spelled(*access))
        });
    }
    grant.in_earnest = grant.allowed;
    if mode == Mode::DryRun {
        grant.limit(Effect::Read, || "this is a dry-run; a real run would be allowed to".to_owned());
    }
    grant
}

impl Grant {
    fn limit(&mut self, most: Effect, because: impl FnOnce() -> String) {
        if most < self.allowed {
            *self = Self { allowed: most, because: because(), ..*self };
        }
    }
}

/// The effect as a verb.
fn word(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Mutate => "change",
        Effect::Destroy => "destroy in",
    }
}

/// The effect as YAML spells it.
pub(crate) fn spelled(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Mutate => "write",
        Effect::Destroy => "destroy",
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::bindings::{Endpoint, System};

    use super::*;
    use crate::fixture;

    #[track_caller]
    fn check(declared: Effect, runbook: Effect, bound: Effect, mode: Mode, expect: Effect, because: &str) {
        let endpoint = Endpoint::Http { url: "http://127.0.0.1/".to_owned() };
        let mut bindings = fixture::bindings([("app", System::Endpoint(endpoint))]);
        for binding in bindings.targets.values_mut() {
            binding.access = bound;
        }
        let plan = fixture::plan(&bindings, runbook);
        let call = fixture::call("endpoint/switch", serde_json::Value::Null, &[("app", declared)]);
        let grants = Grants::of(&call, &plan, &bindings, mode);
        assert_eq!(grants.allowed("app"), Ok(expect));
        if expect < Effect::Destroy {
            let reason = grants.check("app", Effect::Destroy).unwrap_err();
            assert_eq!(reason.code, "host-refused-effect");
            assert!(reason.message.contains(because), "{}", reason.message);
        }
        let earnest = declared.min(runbook).min(bound);
        assert_eq!(grants.was_held_back(), mode == Mode::DryRun && earnest == Effect::Destroy);
    }

    #[test]
    fn the_least_of_all_limits_counts_and_is_named() {
        use Effect::{Destroy, Mutate, Read};
        check(Destroy, Destroy, Destroy, Mode::Real, Destroy, "");
        check(Mutate, Destroy, Destroy, Mode::Real, Mutate, "the action `endpoint/switch` declares no more");
        check(Destroy, Mutate, Destroy, Mode::Real, Mutate, "`targets.app.access` in the runbook DR-003 is `write`");
        check(Destroy, Destroy, Read, Mode::Real, Read, "bindings.yaml:10 binds `app` with `access: read`");
        check(Destroy, Mutate, Mutate, Mode::DryRun, Read, "dry-run");
        check(Destroy, Destroy, Destroy, Mode::DryRun, Read, "dry-run");
    }
}
