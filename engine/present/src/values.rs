//! Parameters, outputs and evidence as a line for people.

use serde_json::Value;

/// Longer values are cut: the journal has them whole.
const VALUE_CHARS_MAX: usize = 60;

/// The parameters as a line: ` table=public.orders since=…`.
pub(crate) fn values(parameters: &Value) -> String {
    let value = |value: &Value| match value {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    };
    let entries = parameters.as_object().into_iter().flatten();
    entries.map(|(name, given)| format!(" {name}={}", value(given))).collect()
}

pub(crate) fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= VALUE_CHARS_MAX {
        return line;
    }
    line.chars().take(VALUE_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_a_line() {
        let parameters =
            json!({ "table": "public.orders", "target": { "xid": 734 }, "text": format!("a\n{}", "b".repeat(99)) });
        let shown = values(&parameters);
        assert_eq!(shown, format!(" table=public.orders target={{\"xid\":734}} text=a {}…", "b".repeat(57)));
    }
}
