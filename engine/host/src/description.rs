//! What a plugin says about its actions, checked and turned into core's catalogue.

use std::collections::BTreeSet;

use lifeboat_core::{
    action::{Action, Effect, Field},
    name::ActionName,
    text,
    types::Type,
};

use crate::wit::lifeboat::plugin::types as wit;

/// What a plugin tells of one action or field at most.
const DOC_BYTES_MAX: usize = 8192;

/// Every action, or the first thing that is wrong.
pub(crate) fn actions(plugin: &str, described: Vec<wit::Action>) -> Result<Vec<Action>, String> {
    let mut names = BTreeSet::new();
    let actions: Vec<Action> =
        described.into_iter().map(|described| action(plugin, described)).collect::<Result<_, _>>()?;
    if actions.is_empty() {
        return Err("it has no actions".to_owned());
    }
    match actions.iter().find(|action| !names.insert(&action.name)) {
        Some(twice) => Err(format!("the action `{}` appears twice", twice.name)),
        None => Ok(actions),
    }
}

fn action(plugin: &str, described: wit::Action) -> Result<Action, String> {
    let name = ActionName::new(&format!("{plugin}/{}", described.name)).map_err(|error| error.to_string())?;
    let within = |problem: String| format!("in the action `{name}`: {problem}");
    let parameters = fields(described.parameters).map_err(within)?;
    let outputs = fields(described.outputs).map_err(within)?;
    if let Some(output) = outputs.iter().find(|output| matches!(output.ty, Type::Target { .. })) {
        return Err(within(format!("the output `{}` has the type of a target", output.name)));
    }
    let effect = effect(described.effect);
    if let Some(stronger) = parameters.iter().find(|parameter| target_effect(&parameter.ty) > Some(effect)) {
        return Err(within(format!("the target `{}` has a stronger effect than the action declares", stronger.name)));
    }
    let (idempotent, observable) = (described.idempotent, described.observable);
    Ok(Action { name, doc: doc(&described.doc), parameters, outputs, effect, idempotent, observable })
}

fn doc(told: &str) -> String {
    text::plain(told, DOC_BYTES_MAX)
}

fn target_effect(ty: &Type) -> Option<Effect> {
    match ty {
        Type::Target { effect, .. } => Some(*effect),
        _ => None,
    }
}

fn fields(described: Vec<wit::Field>) -> Result<Vec<Field>, String> {
    let mut names = BTreeSet::new();
    described
        .into_iter()
        .map(|field| {
            let valid = field.name.starts_with(|first: char| first.is_ascii_lowercase())
                && field.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if !valid {
                return Err(format!("`{}` is not the name of a field (lowercase letters, digits, `_`)", field.name));
            }
            if !names.insert(field.name.clone()) {
                return Err(format!("the field `{}` appears twice", field.name));
            }
            let ty = Type::try_from(field.type_.clone())
                .map_err(|problem| format!("the type `{}` of `{}` is invalid: {problem}", field.type_, field.name))?;
            Ok(Field { name: field.name, doc: doc(&field.doc), ty, required: field.required })
        })
        .collect()
}

fn effect(effect: wit::Effect) -> Effect {
    match effect {
        wit::Effect::Read => Effect::Read,
        wit::Effect::Mutate => Effect::Mutate,
        wit::Effect::Destroy => Effect::Destroy,
    }
}
