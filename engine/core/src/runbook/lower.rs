//! Makes the plan of a runbook in which nothing is wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    model::{Body, Runbook, Step as Written, Use},
    order::Order,
};
use crate::{
    action::{Action, Catalogue, Effect, Field},
    diagnostic::SourceFile,
    digest::sha256,
    expression::{Expression, Template},
    name::{ActionName, RoleName, StepId},
    plan::{Invocation, Plan, RunbookRef, Section, Step, StepKind},
    types::Type,
    yaml::{Node, Yaml},
};

/// The plan.
pub(super) fn lower(file: &SourceFile, runbook: &Runbook<'_>, order: &Order, catalogue: &Catalogue) -> Plan {
    let mut index = vec![0; order.sequence.len()];
    order.sequence.iter().enumerate().for_each(|(at, place)| index[*place] = at);
    let steps = order.sequence.iter().filter_map(|place| {
        let mut needs: Vec<usize> = order.needs[*place].iter().map(|need| index[*need]).collect();
        needs.sort_unstable();
        step(&runbook.steps[*place], needs, catalogue)
    });
    Plan {
        runbook: RunbookRef {
            id: runbook.id.clone(),
            name: runbook.name.clone(),
            digest: sha256(file.text.as_bytes()),
        },
        objectives: runbook.objectives.clone(),
        inputs: runbook.inputs.iter().map(|(name, input)| (name.value.to_owned(), input.clone())).collect(),
        targets: runbook
            .targets
            .iter()
            .filter_map(|(name, target)| Some((RoleName::new(name.value).ok()?, target.clone())))
            .collect(),
        steps: steps.collect(),
    }
}

fn step(step: &Written<'_>, needs: Vec<usize>, catalogue: &Catalogue) -> Option<Step> {
    let kind = match &step.body {
        Body::Uses(used) => StepKind::Uses(invocation(used, catalogue)?),
        Body::Approve { by, message } => StepKind::Approve { by: by.clone(), message: template(*message) },
        Body::Manual { instruction, evidence, verify } => StepKind::Manual {
            instruction: template(*instruction),
            evidence: evidence.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect(),
            verify: verify.as_ref().and_then(|used| invocation(used, catalogue)),
        },
        Body::Unclear => return None,
    };
    Some(Step {
        id: StepId::new(step.id.value).ok()?,
        title: step.title.clone(),
        needs,
        kind,
        when: step.when.and_then(condition),
        timeout: step.timeout,
        time_limit: step.time_limit,
        retry: step.retry.clone(),
        undo: step.undo.as_ref().and_then(|used| invocation(used, catalogue)),
        on_failure: step.on_failure,
        line: step.id.span.line,
        section: Section::Steps,
        each: None,
    })
}

fn template(node: Option<&Node>) -> Template {
    Template::new(node.map(Node::to_json).unwrap_or_default())
}

fn condition(node: &Node) -> Option<Expression> {
    match &node.value {
        Yaml::Bool(yes) => Some(Expression::new(yes.to_string())),
        Yaml::Text(text) => {
            let text = text.trim();
            let inner = text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).unwrap_or(text);
            Some(Expression::new(inner.trim()))
        }
        _ => None,
    }
}

fn invocation(used: &Use<'_>, catalogue: &Catalogue) -> Option<Invocation> {
    let name = ActionName::new(used.action.value).ok()?;
    let Action { parameters, outputs, effect, idempotent, observable, .. } = catalogue.get(&name)?;
    let given = used.with.map(Node::entries).unwrap_or_default();
    let with: BTreeMap<String, Value> = given.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
    let mut grants = BTreeMap::new();
    for field in parameters {
        if let Some(value) = with.get(&field.name) {
            collect_grants(&field.ty, value, &mut grants);
        }
    }
    let types = |fields: &[Field]| fields.iter().map(|field| (field.name.clone(), field.ty.clone())).collect();
    Some(Invocation {
        action: name,
        with: with.into_iter().map(|(name, value)| (name, Template::new(value))).collect(),
        grants,
        effect: *effect,
        idempotent: *idempotent,
        observable: *observable,
        parameters: types(parameters),
        outputs: types(outputs),
    })
}

/// The targets that a value names, each with the strongest effect of the parameters that name it.
fn collect_grants(ty: &Type, value: &Value, grants: &mut BTreeMap<RoleName, Effect>) {
    match (ty, value) {
        (Type::Target { effect, .. }, Value::String(role)) => {
            if let Ok(role) = RoleName::new(role.as_str()) {
                let granted = grants.entry(role).or_insert(*effect);
                *granted = (*granted).max(*effect);
            }
        }
        (Type::List(item), Value::Array(items)) => items.iter().for_each(|value| collect_grants(item, value, grants)),
        (_, Value::Object(entries)) => {
            for (key, value) in entries {
                if let Some(ty) = ty.key(key) {
                    collect_grants(ty, value, grants);
                }
            }
        }
        _ => {}
    }
}
