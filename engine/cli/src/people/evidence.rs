//! Evidence as a person types it, turned into the type that the runbook asks for.

use lifeboat_core::types::Type;
use serde_json::Value;

/// The value that the text means, or what is wrong with it.
pub(crate) fn value(ty: &Type, text: &str) -> Result<Value, String> {
    let text = text.trim();
    let invalid = |what: &str| format!("`{text}` is not {what}");
    match ty {
        Type::String if text.is_empty() => Err("a value is required".to_owned()),
        Type::String => Ok(text.into()),
        Type::Bool => match text {
            "true" | "yes" => Ok(true.into()),
            "false" | "no" => Ok(false.into()),
            _ => Err(invalid("`true` or `false`")),
        },
        Type::Int => text.parse::<i64>().map(Value::from).map_err(|_| invalid("a whole number")),
        Type::Float => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(Value::from).ok_or(invalid("a number")),
        Type::Timestamp => text
            .parse::<jiff::Timestamp>()
            .map(|at| at.to_string().into())
            .map_err(|_| invalid("a time such as 2026-11-21T12:03:04Z")),
        Type::Duration => text
            .parse::<jiff::SignedDuration>()
            .map(|_| text.into())
            .map_err(|_| invalid("a duration such as 5m or 1h30m")),
        _ => serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_text_is_read_by_the_declared_type() {
        let check = |ty: Type, text: &str, expected: Result<Value, &str>| {
            assert_eq!(value(&ty, text), expected.map_err(str::to_owned), "{text}");
        };
        check(Type::String, " OPS-12 ", Ok(json!("OPS-12")));
        check(Type::String, "  ", Err("a value is required"));
        check(Type::Bool, "yes", Ok(json!(true)));
        check(Type::Int, "12", Ok(json!(12)));
        check(Type::Int, "1.5", Err("`1.5` is not a whole number"));
        check(Type::Float, "nan", Err("`nan` is not a number"));
        check(Type::Timestamp, "2026-11-21T12:03:04Z", Ok(json!("2026-11-21T12:03:04Z")));
        check(Type::Duration, "1h30m", Ok(json!("1h30m")));
        check(Type::Duration, "soon", Err("`soon` is not a duration such as 5m or 1h30m"));
        check(Type::List(Box::new(Type::Int)), "[1, 2]", Ok(json!([1, 2])));
    }
}
