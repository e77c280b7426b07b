//! Checks the outputs of an action against its declaration: nothing else gets into a journal.

use serde_json::Value;

use crate::{action::Field, types::Mismatch};

/// Outputs larger than this do not belong into a journal.
pub const OUTPUTS_BYTES_MAX: usize = 1 << 20;

/// The outputs from their JSON text: an object with every required output, each of its declared type, and no other.
///
/// # Errors
/// What is wrong with them, for people.
pub fn decode(text: &str, declared: &[Field]) -> Result<Value, String> {
    if text.len() > OUTPUTS_BYTES_MAX {
        return Err(format!("its outputs have {} bytes; at most {OUTPUTS_BYTES_MAX} are allowed", text.len()));
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| format!("its outputs are not valid JSON: {error}"))?;
    let Value::Object(object) = &value else { return Err("its outputs are not an object".to_owned()) };
    if let Some(name) = object.keys().find(|name| declared.iter().all(|field| field.name != **name)) {
        return Err(format!("it declares no output `{name}`"));
    }
    for field in declared {
        match object.get(&field.name) {
            None | Some(Value::Null) if !field.required => {}
            None => return Err(format!("the output `{}` is missing", field.name)),
            Some(value) => field.ty.check(value).map_err(|wrong| mismatch(field, &wrong))?,
        }
    }
    Ok(value)
}

/// The place that is wrong, without its value, which may be long or private.
fn mismatch(field: &Field, wrong: &Mismatch) -> String {
    let dot = if wrong.path.is_empty() || wrong.path.starts_with('[') { "" } else { "." };
    format!("the output `{}{dot}{}` does not have the type {}", field.name, wrong.path, String::from(field.ty.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<(), &str>) {
        let field = |name: &str, ty: &str, required| Field {
            name: name.to_owned(),
            doc: String::new(),
            ty: ty.parse().expect(ty),
            required,
        };
        let declared = [field("rows", "int", true), field("at", "list<timestamp>", false)];
        assert_eq!(decode(text, &declared).map(drop), expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn outputs_are_what_the_action_declares() {
        check(r#"{"rows": 1}"#, Ok(()));
        check(r#"{"rows": 1, "at": null}"#, Ok(()));
        check(r#"{"rows": 1, "at": ["2026-11-21T03:00:00Z"]}"#, Ok(()));
        check(r#"{}"#, Err("the output `rows` is missing"));
        check(r#"{"rows": null}"#, Err("the output `rows` does not have the type int"));
        check(r#"{"rows": 1, "more": 1}"#, Err("it declares no output `more`"));
        check(r#"[]"#, Err("its outputs are not an object"));
        check(r#"{"rows": 1, "at": [1]}"#, Err("the output `at[0]` does not have the type list<timestamp>"));
        check("", Err("its outputs are not valid JSON: EOF while parsing a value at line 1 column 0"));
    }
}
