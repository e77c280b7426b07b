//! JSON to CEL and back. Declared types decide which strings are timestamps and durations.

use std::sync::Arc;

use cel::Value as Cel;
use chrono::{DateTime, TimeDelta};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Number, Value};

use super::{ExpressionError, RESULT_BYTES_MAX};
use crate::types::Type;

/// The JSON value as CEL sees it. What does not fit its declared type stays what it is in JSON.
pub(crate) fn to_cel(value: &Value, ty: &Type) -> Cel {
    match (value, ty) {
        (Value::String(text), Type::Timestamp) => timestamp(text).unwrap_or_else(|| string(text)),
        (Value::String(text), Type::Duration) => duration(text).unwrap_or_else(|| string(text)),
        (Value::Number(number), Type::Float) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        (Value::Null, _) => Cel::Null,
        (Value::Bool(yes), _) => Cel::Bool(*yes),
        (Value::Number(number), _) => to_number(number),
        (Value::String(text), _) => string(text),
        (Value::Array(items), _) => {
            let item = if let Type::List(item) = ty { item } else { &Type::Json };
            Cel::List(Arc::new(items.iter().map(|value| to_cel(value, item)).collect()))
        }
        (Value::Object(entries), _) => map(entries.iter().map(|(key, value)| {
            let ty = ty.key(key).unwrap_or(&Type::Json);
            (key.clone(), to_cel(value, ty))
        })),
    }
}

/// A CEL map from its entries.
pub(crate) fn map(entries: impl Iterator<Item = (String, Cel)>) -> Cel {
    let map = entries.map(|(key, value)| (cel::objects::Key::String(Arc::new(key)), value)).collect();
    Cel::Map(cel::objects::Map { map: Arc::new(map) })
}

/// An instant as CEL sees it.
pub(crate) fn instant(at: Timestamp) -> Cel {
    let nanos = u32::try_from(at.subsec_nanosecond().max(0)).unwrap_or(0);
    match DateTime::from_timestamp(at.as_second(), nanos) {
        Some(at) => Cel::Timestamp(at.fixed_offset()),
        None => Cel::Null,
    }
}

fn timestamp(text: &str) -> Option<Cel> {
    DateTime::parse_from_rfc3339(text).ok().map(Cel::Timestamp)
}

fn duration(text: &str) -> Option<Cel> {
    let duration: SignedDuration = text.parse().ok()?;
    let whole = TimeDelta::try_seconds(duration.as_secs())?;
    whole.checked_add(&TimeDelta::nanoseconds(duration.subsec_nanos().into())).map(Cel::Duration)
}

fn string(text: &str) -> Cel {
    Cel::String(Arc::new(text.to_owned()))
}

fn to_number(number: &Number) -> Cel {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Cel::Int(int),
        (None, Some(uint)) => Cel::UInt(uint),
        (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// The result of an expression as JSON; refused where it is too large or has no JSON form.
pub(crate) fn from_cel(value: &Cel) -> Result<Value, ExpressionError> {
    convert(value, &mut RESULT_BYTES_MAX.clone())
}

fn convert(value: &Cel, budget: &mut usize) -> Result<Value, ExpressionError> {
    let cost = match value {
        Cel::String(text) => text.len() + 2,
        _ => 8,
    };
    *budget = budget
        .checked_sub(cost)
        .ok_or_else(|| ExpressionError::new(format!("the result is larger than {RESULT_BYTES_MAX} bytes")))?;
    Ok(match value {
        Cel::Null => Value::Null,
        Cel::Bool(yes) => Value::Bool(*yes),
        Cel::Int(int) => Value::from(*int),
        Cel::UInt(uint) => Value::from(*uint),
        Cel::Float(float) => Number::from_f64(*float)
            .map(Value::Number)
            .ok_or_else(|| ExpressionError::new(format!("the result `{float}` is not a number that JSON can hold")))?,
        Cel::String(text) => Value::String(text.as_ref().clone()),
        Cel::Timestamp(at) => Value::String(timestamp_text(at)?),
        Cel::Duration(length) => Value::String(duration_text(length)),
        Cel::List(items) => Value::Array(items.iter().map(|item| convert(item, budget)).collect::<Result<_, _>>()?),
        Cel::Map(map) => {
            // The map's own order is random: sorted, the same expression always gives the same bytes.
            let mut entries: Vec<_> = map.map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let mut object = Map::new();
            for (key, value) in entries {
                object.insert(key_text(key), convert(value, budget)?);
            }
            Value::Object(object)
        }
        other => {
            let kind = other.type_of();
            return Err(ExpressionError::new(format!("a result of type {kind} cannot be used in a runbook")));
        }
    })
}

fn key_text(key: &cel::objects::Key) -> String {
    match key {
        cel::objects::Key::Int(int) => int.to_string(),
        cel::objects::Key::Uint(uint) => uint.to_string(),
        cel::objects::Key::Bool(yes) => yes.to_string(),
        cel::objects::Key::String(text) => text.as_ref().clone(),
    }
}

fn timestamp_text(at: &DateTime<chrono::FixedOffset>) -> Result<String, ExpressionError> {
    let nanos = i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0) / 1000 * 1000;
    Timestamp::new(at.timestamp(), nanos)
        .map(|at| at.to_string())
        .map_err(|_| ExpressionError::new("the resulting timestamp is out of range"))
}

fn duration_text(length: &TimeDelta) -> String {
    let length = SignedDuration::new(length.num_seconds(), length.subsec_nanos());
    format!("{length:#}").replace(' ', "")
}

/// A rendered value inside a text: strings without quotes, everything else as JSON.
pub(crate) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Bytes of JSON of a value, roughly.
pub(crate) fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(weight).sum::<usize>(),
        Value::Object(entries) => 2 + entries.iter().map(|(key, value)| key.len() + 4 + weight(value)).sum::<usize>(),
        _ => 8,
    }
}
