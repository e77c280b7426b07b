//! What a plugin brought back, held against what its action declares: nothing else gets into the journal.

use std::fmt;

use lifeboat_core::{
    action::Field,
    failure::{Failure, Reason},
    input::{Done, Observation},
    types::Type,
};
use serde_json::Value;

use crate::{text, wit::lifeboat::plugin::types as wit};

/// Outputs larger than this do not belong into a journal.
const OUTPUTS_BYTES_MAX: usize = 1 << 20;
const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4096;
const SUMMARY_BYTES_MAX: usize = 500;

/// The result of `run`, or what is wrong with it.
pub(crate) fn outcome(outcome: wit::Outcome, declared: &[Field]) -> Result<Done, Failure> {
    let outputs = outputs(&outcome.outputs, declared).map_err(rubbish)?;
    let summary = text::plain(outcome.summary.lines().next().unwrap_or_default(), SUMMARY_BYTES_MAX);
    Ok(Done { outputs, summary })
}

/// The result of `observe`, or what is wrong with it.
pub(crate) fn observation(seen: wit::Observation, declared: &[Field]) -> Result<Observation, Failure> {
    match seen {
        wit::Observation::Done(done) => outcome(done, declared).map(Observation::Done),
        wit::Observation::NotDone => Ok(Observation::NotDone),
        wit::Observation::Unknown(why) => Ok(Observation::Unknown(why)),
    }
}

/// A guest's failure as core's.
pub(crate) fn failure(failure: wit::Failure) -> Failure {
    let reason = |reason: wit::Reason| Reason {
        code: text::plain(&reason.code, CODE_BYTES_MAX),
        message: text::plain(&reason.message, MESSAGE_BYTES_MAX),
    };
    match failure {
        wit::Failure::InvalidInput(why) => Failure::InvalidInput(reason(why)),
        wit::Failure::Denied(why) => Failure::Denied(reason(why)),
        wit::Failure::Transient(why) => Failure::Transient(reason(why)),
        wit::Failure::Permanent(why) => Failure::Permanent(reason(why)),
        wit::Failure::Interrupted(why) => Failure::Interrupted(reason(why)),
    }
}

fn rubbish(problem: String) -> Failure {
    Failure::Permanent(Reason::new(
        "host-plugin-answer",
        format!("the plugin's answer is not what it declares: {problem}"),
    ))
}

fn outputs(text: &str, declared: &[Field]) -> Result<Value, String> {
    if text.len() > OUTPUTS_BYTES_MAX {
        return Err(format!("its outputs are {} bytes long, {OUTPUTS_BYTES_MAX} at most", text.len()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| format!("its outputs are no JSON: {error}"))?;
    let Value::Object(object) = &value else { return Err("its outputs are no object".to_owned()) };
    if let Some(name) = object.keys().find(|name| declared.iter().all(|field| field.name != **name)) {
        return Err(format!("it declares no output `{name}`"));
    }
    for field in declared {
        match object.get(&field.name) {
            None | Some(Value::Null) if !field.required => {}
            None => return Err(format!("the output `{}` is missing", field.name)),
            Some(value) => conforms(&field.ty, value, &field.name)?,
        }
    }
    Ok(value)
}

/// Whether a value is of a type; the problem names the place.
fn conforms(ty: &Type, value: &Value, at: &str) -> Result<(), String> {
    let matches = match (ty, value) {
        (Type::Json, _)
        | (Type::String | Type::Target { .. }, Value::String(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Float, Value::Number(_)) => true,
        (Type::Int, Value::Number(number)) => number.is_i64(),
        (Type::Timestamp, Value::String(text)) => text.parse::<jiff::Timestamp>().is_ok(),
        (Type::Duration, Value::String(text)) => text.parse::<jiff::SignedDuration>().is_ok(),
        (Type::List(item), Value::Array(items)) => {
            return items.iter().enumerate().try_for_each(|(n, value)| conforms(item, value, &format!("{at}[{n}]")));
        }
        (Type::Map(item), Value::Object(items)) => {
            return items.iter().try_for_each(|(key, value)| conforms(item, value, &format!("{at}.{key}")));
        }
        (Type::OneOf(cases), Value::Object(items)) if items.len() == 1 => {
            return items.iter().try_for_each(|(key, value)| match cases.iter().find(|(name, _)| name == key) {
                Some((_, ty)) => conforms(ty, value, &format!("{at}.{key}")),
                None => Err(format!("`{at}` has no case `{key}`")),
            });
        }
        (Type::Record(fields), Value::Object(items)) => {
            if let Some(key) = items.keys().find(|key| fields.iter().all(|field| field.name != **key)) {
                return Err(format!("`{at}` has no field `{key}`"));
            }
            return fields.iter().try_for_each(|field| match items.get(&field.name) {
                None | Some(Value::Null) if !field.required => Ok(()),
                None => Err(format!("`{at}.{}` is missing", field.name)),
                Some(value) => conforms(&field.ty, value, &format!("{at}.{}", field.name)),
            });
        }
        _ => false,
    };
    if matches {
        Ok(())
    } else {
        Err(format!("`{at}` is {}, not of the type {}", Shape(value), String::from(ty.clone())))
    }
}

/// A value in a few words: its content may be long, or nobody's business.
struct Shape<'a>(&'a Value);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Value::Null => "null",
            Value::Bool(_) => "a bool",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        })
    }
}
