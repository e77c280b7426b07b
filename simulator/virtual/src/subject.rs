//! What is tested: a plan, and what follows from it for every case.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use lifeboat_core::{
    bindings::Bindings,
    event::{Mode, Person, RunStarted},
    failure::Reason,
    fit,
    input::Purpose,
    name::{RoleName, RunId, StepId},
    plan::{Invocation, Plan, Step, StepKind},
    types::Type,
};
use lifeboat_runtime::journal::FORMAT;
use serde_json::{Map, Value};

use super::{behaviour::Compared, chance::Chance};

/// A plan that is played in the virtual world.
#[derive(Debug)]
pub struct Subject {
    /// The plan.
    pub plan: Plan,
    /// When the host ends a call whose step has no time-out.
    pub(super) wall: SignedDuration,
    digest: String,
    compared: Compared,
    targets: BTreeMap<RoleName, Value>,
    /// Why the host refuses to destroy on these: nothing proves that they are what is meant.
    unproved: BTreeMap<RoleName, Reason>,
}

impl Subject {
    /// A plan, and the time after which the host ends a call whose step has no time-out.
    pub fn new(plan: Plan, wall: SignedDuration) -> Self {
        let targets = plan.targets.iter().map(|(role, target)| (role.clone(), target.kind.example().facts())).collect();
        let unproved = BTreeMap::new();
        Self { digest: plan.digest(), wall, compared: Compared::of(&plan), targets, unproved, plan }
    }

    /// The same with what these bindings tell of the systems behind the roles.
    #[must_use]
    pub fn bound(mut self, bindings: &Bindings) -> Self {
        self.targets = bindings.facts();
        let refusal = |role: &RoleName| {
            let message = format!(
                "refusing to destroy: nothing proves that `{role}` is the intended system; {} does not give its identity",
                bindings.source
            );
            (role.clone(), Reason::new("host-identity-missing", message))
        };
        self.unproved = fit::unproved(&self.plan, bindings).map(refusal).collect();
        self
    }

    /// Why the host refuses to destroy anything on the role; `None` where it compares its identity and finds it.
    pub(super) fn unproved(&self, role: &RoleName) -> Option<&Reason> {
        self.unproved.get(role)
    }

    /// Whether there is such a role.
    pub(super) fn has_unproved(&self) -> bool {
        !self.unproved.is_empty()
    }

    /// What a call of the step for that purpose runs.
    pub(super) fn action(&self, id: &StepId, purpose: Purpose) -> Option<&Invocation> {
        let step = planned(&self.plan, id)?;
        match purpose {
            Purpose::Run | Purpose::Observe => step.action(),
            Purpose::Verify => step.verify(),
            Purpose::Undo => step.undo.as_ref(),
        }
    }

    /// What the step tells when it worked: the same, however often it is run.
    pub(super) fn outputs(&self, seed: u64, id: &StepId) -> Value {
        let mut chance = Chance::of(seed, "outputs", id.as_str(), 0);
        self.action(id, Purpose::Run).map(|action| self.compared.outputs(&mut chance, action)).unwrap_or_default()
    }

    /// What a person hands in who did what the step asks for.
    pub(super) fn evidence(&self, seed: u64, id: &StepId) -> Value {
        let mut chance = Chance::of(seed, "evidence", id.as_str(), 0);
        let mut value = |(name, ty): (&String, &Type)| (name.clone(), self.compared.value(&mut chance, ty));
        match planned(&self.plan, id).map(|step| &step.kind) {
            Some(StepKind::Manual { evidence, .. }) => Value::Object(evidence.iter().map(&mut value).collect()),
            _ => Value::Object(Map::new()),
        }
    }

    /// Whether anything that a person hands in for the step is believed.
    pub(super) fn trusts_hands(&self, id: &StepId) -> bool {
        match planned(&self.plan, id).map(|step| &step.kind) {
            Some(StepKind::Manual { evidence, verify, .. }) => evidence.is_empty() && verify.is_none(),
            _ => true,
        }
    }

    /// What a virtual run is started with. An input that has a default is given half of the time.
    pub(super) fn started(&self, seed: u64) -> RunStarted {
        let input = |(name, input): (&String, &lifeboat_core::plan::InputDeclaration)| {
            let mut chance = Chance::of(seed, "input", name, 0);
            let value = match &input.default {
                Some(default) if chance.coin() => default.clone(),
                _ => self.compared.value(&mut chance, &input.ty),
            };
            (name.clone(), value)
        };
        RunStarted {
            run: run_id(),
            format: FORMAT,
            runbook: self.plan.runbook.clone(),
            plan_digest: self.digest.clone(),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            inputs: Value::Object(self.plan.inputs.iter().map(input).collect()),
            targets: self.targets.clone(),
            mode: Mode::Real,
            who: person(),
            // Everybody who can reach the run may answer.
            people: BTreeMap::new(),
            onset: None,
        }
    }
}

/// The step of the plan that a step of the run comes from: of an item (`copy[3]`), the step whose list it is in.
pub(super) fn planned<'a>(plan: &'a Plan, id: &StepId) -> Option<&'a Step> {
    let name = id.as_str().split('[').next().unwrap_or_default();
    let name = if id.as_str().ends_with(']') { name } else { id.as_str() };
    plan.steps.iter().find(|step| step.id.as_str() == name)
}

/// The name of every virtual run.
pub(super) fn run_id() -> RunId {
    RunId::new("virtual").expect("a name of lowercase letters")
}

/// Who starts virtual runs and answers their questions.
pub(super) fn person() -> Person {
    Person::User { name: "ada".to_owned() }
}

/// Who answers in turn with them, and is the second pair of eyes.
pub(super) fn colleague() -> Person {
    Person::User { name: "grace".to_owned() }
}
