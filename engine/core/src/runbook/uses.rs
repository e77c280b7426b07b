//! Checks an action with its parameters against what the plugin declares.

use serde_json::Value;

use super::{context::Context, expressions, model::Use};
use crate::{
    action::{Action, Effect, Field},
    diagnostic::{Findings, closest, codes},
    expression::{Part, parts},
    name::ActionName,
    types::{RecordField, TargetKind, Type},
    yaml::{Entry, Node, Yaml},
};

/// Checks an action of a step; `own`: its expressions may refer to the step's own outputs (`undo`, `verify`).
pub(super) fn action(
    findings: &mut Findings<'_>,
    context: &mut Context<'_, '_>,
    place: usize,
    used: &Use<'_>,
    own: bool,
) {
    let Ok(name) = ActionName::new(used.action.value) else { return };
    let Some(action) = context.catalogue.get(&name) else {
        return unknown_action(findings, context, &name, used);
    };
    if used.has_grammar {
        let given = used.with.map(Node::entries).unwrap_or_default();
        let texts = given.iter().filter(|entry| matches!(entry.value.value, Yaml::Text(_)));
        for (entry, field) in texts.filter_map(|entry| Some((entry, parameter(action, &entry.key)?))) {
            value(findings, context, place, &entry.value, &field.ty, own);
        }
        return;
    }
    let nothing = Vec::new();
    let given = match used.with.map(|node| (&node.value, node)) {
        None => &nothing,
        Some((Yaml::Map(entries), _)) => entries,
        Some((_, node)) => {
            let found = node.described();
            return findings.add(
                codes::WRONG_SHAPE,
                node.span,
                format!("expected a mapping of parameters, found {found}"),
                found,
            );
        }
    };
    for entry in given {
        match parameter(action, &entry.key) {
            Some(field) => value(findings, context, place, &entry.value, &field.ty, own),
            None => unknown_parameter(findings, action, entry),
        }
    }
    for field in action.parameters.iter().filter(|field| field.required) {
        if !given.iter().any(|entry| entry.key == field.name) {
            let message = format!("`{name}` needs the parameter `{}`", field.name);
            let help = Some(format!("`{}` ({}): {}", field.name, field.ty, field.doc));
            findings.add_with(codes::MISSING_PARAMETER, used.action.span, message, "incomplete", help);
        }
    }
}

fn parameter<'a>(action: &'a Action, name: &str) -> Option<&'a Field> {
    action.parameters.iter().find(|field| field.name == name)
}

fn unknown_action(findings: &mut Findings<'_>, context: &Context<'_, '_>, name: &ActionName, used: &Use<'_>) {
    let names: Vec<String> = context.catalogue.iter().map(|action| action.name.to_string()).collect();
    let known_plugin = context.catalogue.iter().any(|action| action.name.plugin() == name.plugin());
    let help = closest(used.action.value, names.iter().map(String::as_str))
        .or_else(|| closest(name.action(), names.iter().map(String::as_str)))
        .map(|near| format!("did you mean `{near}`?"));
    let (message, label) = if known_plugin {
        (format!("the plugin `{}` has no action `{}`", name.plugin(), name.action()), "unknown action")
    } else {
        (format!("there is no plugin `{}`", name.plugin()), "unknown plugin")
    };
    findings.add_with(codes::UNKNOWN_ACTION, used.action.span, message, label, help);
}

fn unknown_parameter(findings: &mut Findings<'_>, action: &Action, entry: &Entry) {
    let names = || action.parameters.iter().map(|field| field.name.as_str());
    let help = match closest(&entry.key, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if action.parameters.is_empty() => "it has no parameters".to_owned(),
        None => {
            format!("its parameters are {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    };
    let message = format!("`{}` has no parameter `{}`", action.name, entry.key);
    findings.add_with(codes::UNKNOWN_PARAMETER, entry.key_span, message, "unknown parameter", Some(help));
}

/// Checks a value against the type that is wanted; expressions in it too.
pub(super) fn value(
    findings: &mut Findings<'_>,
    context: &mut Context<'_, '_>,
    place: usize,
    node: &Node,
    ty: &Type,
    own: bool,
) {
    if let Yaml::Text(text) = &node.value {
        other_language(findings, node, text);
    }
    let found = match (&node.value, ty) {
        (Yaml::Text(text), Type::Target { kind, effect }) => {
            return target(findings, context, node, text, *kind, *effect);
        }
        (Yaml::Text(text), _) if text.contains("${{") => {
            return template(findings, context, place, node, text, Some(ty), own);
        }
        (Yaml::List(items), Type::List(item)) => {
            return items.iter().for_each(|node| value(findings, context, place, node, item, own));
        }
        (Yaml::List(items), Type::Json) => {
            return items.iter().for_each(|node| value(findings, context, place, node, ty, own));
        }
        (Yaml::Map(entries), Type::Map(_) | Type::Json | Type::Record(_) | Type::OneOf(_)) => {
            keys(findings, node, entries, ty);
            for entry in entries {
                if let Some(ty) = ty.key(&entry.key) {
                    value(findings, context, place, &entry.value, ty, own);
                }
            }
            return;
        }
        (_, Type::Json) => return,
        _ => node.to_json(),
    };
    wrong_type(findings, node, &found, ty);
}

/// `{{ run.id }}` without a `$` is plain text here, and an expression in other languages.
fn other_language(findings: &mut Findings<'_>, node: &Node, text: &str) {
    let own = parts(text).unwrap_or_default();
    let plain = own.iter().filter_map(|part| if let Part::Text(plain) = part { Some(*plain) } else { None });
    for plain in plain {
        let Some((open, rest)) = plain.find("{{").map(|open| (open, &plain[open..])) else { continue };
        let Some(close) = rest.find("}}") else { continue };
        let written = &plain[open..open + close + 2];
        let span = expressions::place_of(findings, node, written);
        let message = format!("`{}` is plain text, because it has no `$` before it", brief(written));
        let help = Some(format!("write `${}` to insert a value", brief(written)));
        findings.add_with(codes::OTHER_LANGUAGE, span, message, "not an expression", help);
    }
}

fn brief(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Reports the keys of a mapping that its type does not have, or that are missing.
fn keys(findings: &mut Findings<'_>, node: &Node, entries: &[Entry], ty: &Type) {
    for entry in entries.iter().filter(|entry| ty.key(&entry.key).is_none()) {
        let names: Vec<&str> = match ty {
            Type::Record(fields) => fields.iter().map(|field| field.name.as_str()).collect(),
            Type::OneOf(choices) => choices.iter().map(|(name, _)| name.as_str()).collect(),
            _ => Vec::new(),
        };
        let help = match closest(&entry.key, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("expected {ty}"),
        };
        let message = format!("unknown key `{}`", entry.key);
        findings.add_with(codes::WRONG_TYPE, entry.key_span, message, "unknown key", Some(help));
    }
    match ty {
        Type::OneOf(_) if entries.len() != 1 => {
            findings.add(
                codes::WRONG_TYPE,
                node.span,
                format!("expected {}", ty.described()),
                "must have exactly one key",
            );
        }
        Type::Record(fields) => {
            let missing = |field: &&RecordField| field.required && !entries.iter().any(|entry| entry.key == field.name);
            for field in fields.iter().filter(missing) {
                let message = format!("the key `{}` ({}) is missing", field.name, field.ty);
                findings.add(codes::WRONG_TYPE, node.span, message, "incomplete");
            }
        }
        _ => {}
    }
}

fn wrong_type(findings: &mut Findings<'_>, node: &Node, found: &Value, ty: &Type) {
    let Err(mismatch) = ty.check(found) else { return };
    let help = (*ty == Type::String && !matches!(node.value, Yaml::List(_) | Yaml::Map(_)))
        .then(|| "put it in quotes".to_owned());
    findings.add_with(codes::WRONG_TYPE, node.span, mismatch.to_string(), format!("expected {ty}"), help);
}

/// A target is named literally: what a step may touch must be known before it runs.
pub(super) fn target(
    findings: &mut Findings<'_>,
    context: &mut Context<'_, '_>,
    node: &Node,
    role: &str,
    kind: TargetKind,
    effect: Effect,
) {
    if role.contains("${{") {
        let message = "a target must be a literal name, not an expression";
        return findings.add(codes::WRONG_TYPE, node.span, message, "must be known before the run starts");
    }
    let Some(declared) = context.runbook.target(role) else {
        let names = context.runbook.targets.iter().map(|(name, _)| name.value);
        let help = closest(role, names).map(|near| format!("did you mean `{near}`?"));
        let label = "not among `targets`";
        return findings.add_with(
            codes::UNKNOWN_TARGET,
            node.span,
            format!("there is no target `{role}`"),
            label,
            help,
        );
    };
    context.used_targets.insert(role.to_owned());
    if declared.kind != kind {
        let message = format!("expected a target of kind {kind}, but `{role}` is of kind {}", declared.kind);
        findings.add(codes::WRONG_KIND, node.span, message, format!("expected {kind}"));
    } else if declared.access < effect {
        let message = format!(
            "`{role}` grants `access: {}`, but this needs `access: {}`",
            declared.access.access(),
            effect.access()
        );
        let help = Some(format!("set `access: {}` for `{role}` under `targets`", effect.access()));
        findings.add_with(codes::LITTLE_ACCESS, node.span, message, "not enough", help);
    }
}

/// A text with expressions in it; `wanted`: the type of the whole.
fn template(
    findings: &mut Findings<'_>,
    context: &mut Context<'_, '_>,
    place: usize,
    node: &Node,
    text: &str,
    wanted: Option<&Type>,
    own: bool,
) {
    let pieces = match parts(text) {
        Ok(pieces) => pieces,
        Err(error) => return expressions::unreadable(findings, node, text, &error),
    };
    let whole = matches!(pieces.as_slice(), [Part::Expression { .. }]);
    for piece in &pieces {
        let Part::Expression { text, .. } = piece else { continue };
        let found = expressions::check(findings, context, place, node, text, own);
        if let (Some(found), Some(wanted), true) = (&found, wanted, whole) {
            fits(findings, node, text, found, wanted);
        }
    }
    if let (false, Some(wanted)) = (whole, wanted) {
        let text_like = matches!(wanted, Type::String | Type::Json | Type::Timestamp | Type::Duration);
        if !text_like {
            let message = format!("text that contains expressions is a string; expected {}", wanted.described());
            findings.add(codes::WRONG_TYPE, node.span, message, format!("expected {wanted}"));
        }
    }
}

fn fits(findings: &mut Findings<'_>, node: &Node, text: &str, found: &Type, wanted: &Type) {
    if !found.fits(wanted) {
        let span = expressions::place_of(findings, node, text.trim());
        let message = format!("`{}` has the type {found}; expected {wanted}", text.trim());
        findings.add(codes::WRONG_TYPE, span, message, format!("expected {wanted}"));
    }
}

/// A list whose items a step works on: the type of an item.
pub(super) fn list(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, place: usize, node: &Node) -> Type {
    let Some(written) = node.text() else {
        findings.add(codes::WRONG_TYPE, node.span, "`for_each` needs a list", "expected an expression for a list");
        return Type::Json;
    };
    let text = written.trim();
    let text = text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).unwrap_or(text);
    match expressions::check(findings, context, place, node, text, false) {
        Some(Type::List(item)) => *item,
        Some(Type::Json) | None => Type::Json,
        Some(other) => {
            let span = expressions::place_of(findings, node, text.trim());
            let message = format!("`{}` has the type {other}; expected a list", text.trim());
            findings.add(codes::WRONG_TYPE, span, message, "expected a list");
            Type::Json
        }
    }
}

/// A condition: an expression, with or without `${{ }}` around it.
pub(super) fn condition(findings: &mut Findings<'_>, context: &mut Context<'_, '_>, place: usize, node: &Node) {
    let Some(text) = node.text() else { return };
    if text.trim_start().starts_with("${{") {
        return template(findings, context, place, node, text.trim(), Some(&Type::Bool), false);
    }
    if let Some(found) = expressions::check(findings, context, place, node, text, false) {
        fits(findings, node, text, &found, &Type::Bool);
    }
}
