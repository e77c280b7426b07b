//! The grammar as JSON Schema (draft 2020-12), for editors.

use serde_json::{Map, Value, json};

use super::{Field, Object, Shape};

const DURATION: &str = "^[+]?([0-9]|[Pp][0-9Tt]).*$";
const NAME: &str = "^[a-z][a-z0-9_-]{0,63}$";

/// The schema of a whole file.
pub(crate) fn schema(root: &Object, id: &str, title: &str) -> Value {
    let mut schema = object(root, None);
    let head = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": id, "title": title});
    if let (Some(schema), Value::Object(head)) = (schema.as_object_mut(), head) {
        let body = std::mem::take(schema);
        schema.extend(head);
        schema.extend(body);
    }
    schema
}

fn object(object: &Object, kind: Option<&str>) -> Value {
    let mut properties = Map::new();
    if let Some(kind) = kind {
        properties.insert("kind".to_owned(), json!({"const": kind}));
    }
    properties.extend(object.fields.iter().map(|field| (field.key.to_owned(), described(field))));
    let required: Vec<&str> = kind
        .map(|_| "kind")
        .into_iter()
        .chain(object.fields.iter().filter(|field| field.required).map(|field| field.key))
        .collect();
    let mut schema = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !object.one_of.is_empty() {
        schema["oneOf"] = object.one_of.iter().map(|key| json!({"required": [key]})).collect();
    }
    schema
}

fn described(field: &Field) -> Value {
    let mut schema = shape(&field.shape);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), json!(field.doc));
    }
    schema
}

fn shape(shape_of: &Shape) -> Value {
    match shape_of {
        Shape::Text | Shape::Template | Shape::Type | Shape::HostPort => json!({"type": "string"}),
        Shape::Expression => json!({"type": ["string", "boolean"]}),
        Shape::Bool => json!({"type": "boolean"}),
        Shape::Int(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Shape::Version => json!({"const": 1}),
        Shape::Name => json!({"type": "string", "pattern": NAME}),
        Shape::Action => json!({"type": "string", "pattern": "^[a-z][a-z0-9_-]*/[a-z][a-z0-9_-]*$"}),
        Shape::Duration => json!({"type": "string", "pattern": DURATION}),
        Shape::Period => json!({"type": "string", "allOf": [{"pattern": DURATION}, {"pattern": "[1-9]"}]}),
        Shape::Word(words) => json!({"enum": words}),
        Shape::Any => json!({}),
        Shape::Secret => json!({"type": "string", "pattern": "^(env:.+|file:/.*)$"}),
        Shape::Path => json!({"type": "string", "pattern": "^/"}),
        Shape::RestoreCommand => json!({"type": "string", "pattern": "%f"}),
        Shape::Url => json!({"type": "string", "pattern": "^(https?://|env:|file:/)"}),
        Shape::List(item) => json!({"type": "array", "items": shape(item)}),
        Shape::Names(value) => {
            json!({"type": "object", "propertyNames": {"pattern": NAME}, "additionalProperties": shape(value)})
        }
        Shape::Ports(value) => {
            json!({"type": "object", "propertyNames": {"pattern": "^[0-9]{1,5}$"}, "additionalProperties": shape(value)})
        }
        Shape::Object(fields) => object(fields, None),
        Shape::DurationOr(fields) => json!({"anyOf": [shape(&Shape::Duration), object(fields, None)]}),
        Shape::WordOr(words, fields) => json!({"anyOf": [{"enum": words}, object(fields, None)]}),
        Shape::ByKind(variants) => {
            json!({"oneOf": variants.iter().map(|(kind, fields)| object(fields, Some(kind))).collect::<Vec<_>>()})
        }
    }
}
