//! What a person must hand in who did the work of a step.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Refusal;
use crate::{
    expression::{self, Part},
    plan::{CallIndex, Invocation, Plan, Step, StepIndex, StepKind},
    types::Type,
};

/// What can be handed in for a step, with its type, and whether it must be. Other names may be handed in too, as text.
pub fn wanted(plan: &Plan, index: StepIndex) -> BTreeMap<String, (Type, bool)> {
    match &plan.steps[index].kind {
        StepKind::Manual { evidence, .. } => {
            evidence.iter().map(|(name, ty)| (name.clone(), (ty.clone(), true))).collect()
        }
        StepKind::Uses(action) => {
            let needed = referred_to(plan, index);
            let output = |(name, ty): (&String, &Type)| {
                let must = needed.contains(name);
                (name.clone(), (ty.clone(), must))
            };
            action.outputs.iter().map(output).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Refuses what is missing, empty or of the wrong type.
pub(super) fn check(plan: &Plan, index: StepIndex, evidence: &Value) -> Result<(), Refusal> {
    let id = &plan.steps[index].id;
    let nothing = || refuse(format!("nothing shows that `{id}` is done; give evidence: a ticket, an address, a time"));
    let Some(given) = evidence.as_object() else { return nothing() };
    outputs(plan, index, evidence)?;
    if given.is_empty() && asks_for_some(plan, index) { nothing() } else { Ok(()) }
}

/// Refuses what is missing or of the wrong type: a person who says that an attempt took effect must give its outputs.
pub(super) fn outputs(plan: &Plan, index: StepIndex, given: &Value) -> Result<(), Refusal> {
    let Some(given) = given.as_object() else {
        return refuse("the evidence must be an object of names and values".to_owned());
    };
    for (name, (ty, must)) in wanted(plan, index) {
        match given.get(&name) {
            Some(value) => {
                if let Err(mismatch) = ty.check(value) {
                    return refuse(format!("`{name}`: {mismatch}"));
                }
            }
            None if must => return refuse(missing(&plan.steps[index], &name, &ty)),
            None => {}
        }
    }
    Ok(())
}

fn refuse(message: String) -> Result<(), Refusal> {
    Err(Refusal::new("operator-evidence", message))
}

/// A manual step says itself what it wants, and that may be nothing.
fn asks_for_some(plan: &Plan, index: StepIndex) -> bool {
    !matches!(&plan.steps[index].kind, StepKind::Manual { evidence, .. } if evidence.is_empty())
}

fn missing(step: &Step, name: &str, ty: &Type) -> String {
    match &step.kind {
        StepKind::Manual { .. } => format!("`{}` needs the evidence `{name}` ({ty})", step.id),
        _ => format!("the output `{name}` ({ty}) of `{}` is missing; a later step refers to it", step.id),
    }
}

/// The outputs of a step that any text of the plan refers to, its own `undo` included.
fn referred_to(plan: &Plan, index: StepIndex) -> BTreeSet<String> {
    let mut search = Search { plan, own: &plan.steps[index], found: BTreeSet::new() };
    for step in &plan.steps {
        search.step(step);
    }
    for call in &plan.called {
        call.inputs.values().for_each(|input| search.value(call.within, input.value.as_value()));
        call.when.iter().for_each(|when| search.expression(call.within, when.as_str()));
    }
    search.found
}

/// Texts are read with the call in whose runbook they stand: names of steps are those of that runbook.
struct Search<'a> {
    plan: &'a Plan,
    own: &'a Step,
    found: BTreeSet<String>,
}

impl Search<'_> {
    fn step(&mut self, step: &Step) {
        let within = step.within;
        step.when.iter().for_each(|when| self.expression(within, when.as_str()));
        step.each.iter().for_each(|each| self.expression(within, each.over.as_str()));
        match &step.kind {
            StepKind::Uses(action) => self.action(within, action),
            StepKind::Approve { message, .. } => self.value(within, message.as_value()),
            StepKind::Manual { instruction, verify, .. } => {
                self.value(within, instruction.as_value());
                verify.iter().for_each(|action| self.action(within, action));
            }
        }
        step.undo.iter().for_each(|action| self.action(within, action));
    }

    fn action(&mut self, within: Option<CallIndex>, action: &Invocation) {
        action.with.values().for_each(|template| self.value(within, template.as_value()));
    }

    fn value(&mut self, within: Option<CallIndex>, value: &Value) {
        match value {
            Value::String(text) => {
                for part in expression::parts(text).unwrap_or_default() {
                    if let Part::Expression { text, .. } = part {
                        self.expression(within, text);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(within, item)),
            Value::Object(entries) => entries.values().for_each(|value| self.value(within, value)),
            _ => {}
        }
    }

    fn expression(&mut self, within: Option<CallIndex>, text: &str) {
        let references = expression::analyse(text).map(|analysis| analysis.references).unwrap_or_default();
        for reference in references {
            let [root, name, outputs, rest @ ..] = reference.path.as_slice() else { continue };
            if root != "steps" || outputs != "outputs" || !self.is_own(within, name) {
                continue;
            }
            match rest.first() {
                Some(output) => drop(self.found.insert(output.clone())),
                None => {
                    self.found.extend(self.own.action().into_iter().flat_map(|action| action.outputs.keys().cloned()))
                }
            }
        }
    }

    fn is_own(&self, within: Option<CallIndex>, name: &str) -> bool {
        let own = self.own.id.as_str();
        match within.and_then(|call| self.plan.called.get(call)) {
            Some(call) => own.strip_prefix(call.path.as_str()).and_then(|rest| rest.strip_prefix('/')) == Some(name),
            None => own == name,
        }
    }
}
