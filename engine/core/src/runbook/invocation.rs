//! An action with its parameters as the plan holds it: the roles in it are the plan's, and what it may do with each is known.

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::Use;
use crate::{
    action::{Action, Catalogue, Effect, Field},
    expression::Template,
    name::{ActionName, RoleName},
    plan::Invocation,
    types::Type,
    yaml::Node,
};

/// The plan's roles by the names that a called runbook has for them.
pub(super) type Roles = BTreeMap<RoleName, RoleName>;

/// The action; `None` where it is unknown, which has been reported. `roles`: `None` in the runbook itself.
pub(super) fn invocation(used: &Use<'_>, catalogue: &Catalogue, roles: Option<&Roles>) -> Option<Invocation> {
    let name = ActionName::new(used.action.value).ok()?;
    let Action { parameters, outputs, effect, idempotent, observable, .. } = catalogue.get(&name)?;
    let given = used.with.map(Node::entries).unwrap_or_default();
    let mut with: BTreeMap<String, Value> =
        given.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect();
    let mut grants = BTreeMap::new();
    for field in parameters {
        if let Some(value) = with.get_mut(&field.name) {
            bind(&field.ty, value, roles, &mut grants);
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

/// Names the plan's roles in a value, and notes each with the strongest effect of the parameters that name it.
fn bind(ty: &Type, value: &mut Value, roles: Option<&Roles>, grants: &mut BTreeMap<RoleName, Effect>) {
    match (ty, value) {
        (Type::Target { effect, .. }, Value::String(text)) => {
            let Ok(role) = RoleName::new(text.as_str()) else { return };
            let role = roles.and_then(|roles| roles.get(&role)).cloned().unwrap_or(role);
            *text = role.to_string();
            let granted = grants.entry(role).or_insert(*effect);
            *granted = (*granted).max(*effect);
        }
        (Type::List(item), Value::Array(items)) => {
            items.iter_mut().for_each(|value| bind(item, value, roles, grants));
        }
        (_, Value::Object(entries)) => {
            for (key, value) in entries {
                if let Some(ty) = ty.key(key) {
                    bind(ty, value, roles, grants);
                }
            }
        }
        _ => {}
    }
}
