//! The inputs of a run: texts as they come from the command line, turned into values of the declared types.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use crate::{
    diagnostic::{Code, Diagnostic, Span, closest, codes},
    plan::{InputDeclaration, Plan},
    types::Type,
};

/// An object with every input of the plan; all that is missing or wrong is reported at once. Diagnostics have no place.
pub fn resolve(plan: &Plan, given: &BTreeMap<String, String>) -> Result<Value, Vec<Diagnostic>> {
    let mut values = Map::new();
    let mut found = Vec::new();
    for (name, declared) in &plan.inputs {
        match (given.get(name), &declared.default) {
            (Some(text), _) => match value(&declared.ty, text) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(problem) => found.push(wrong(name, declared, &problem)),
            },
            (None, Some(default)) => {
                values.insert(name.clone(), default.clone());
            }
            (None, None) => {
                let help = format!("add `--input {name}=…` ({})", declared.ty);
                let message = format!("the input `{name}` is missing{}", colon(&declared.description));
                found.push(finding(codes::MISSING_INPUT, message, Some(help)));
            }
        }
    }
    for name in given.keys().filter(|name| !plan.inputs.contains_key(*name)) {
        let help = closest(name, plan.inputs.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        found.push(finding(codes::SPARE_INPUT, format!("the runbook has no input `{name}`"), help));
    }
    if found.is_empty() { Ok(Value::Object(values)) } else { Err(found) }
}

fn value(ty: &Type, text: &str) -> Result<Value, String> {
    let read = match ty {
        Type::String | Type::Target { .. } => Some(Value::String(text.to_owned())),
        Type::Timestamp => text.parse::<Timestamp>().ok().map(|at| Value::String(at.to_string())),
        Type::Duration => {
            let length = text.parse::<SignedDuration>().ok();
            length.map(|length| Value::String(format!("{length:#}").replace(' ', "")))
        }
        _ => serde_json::from_str(text).ok(),
    };
    let value = read.ok_or_else(|| format!("`{}` is not {}", short(text), ty.described()))?;
    ty.check(&value).map_err(|mismatch| mismatch.to_string())?;
    Ok(value)
}

fn wrong(name: &str, declared: &InputDeclaration, problem: &str) -> Diagnostic {
    let message = format!("the input `{name}` has the wrong type: {problem}");
    finding(codes::BAD_INPUT, message, Some(format!("its type is {}", declared.ty)))
}

fn colon(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(": {description}") }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

fn finding(code: Code, message: String, help: Option<String>) -> Diagnostic {
    let span = Span::default();
    Diagnostic { code: code.id, severity: code.severity, message, span, label: String::new(), help }
}
