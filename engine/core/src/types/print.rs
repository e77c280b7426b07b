//! The text form of a type, as plugins declare it and people read it.

use std::fmt;

use super::{RecordField, Type};

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => f.write_str("string"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Float => f.write_str("float"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Json => f.write_str("json"),
            Self::List(item) => write!(f, "list<{item}>"),
            Self::Map(item) => write!(f, "map<{item}>"),
            Self::Target { kind, effect } => write!(f, "target<{kind}:{}>", effect.access()),
            Self::OneOf(choices) => {
                f.write_str("one_of{")?;
                write_fields(f, choices.iter().map(|(name, ty)| (name.as_str(), "", ty)))
            }
            Self::Record(fields) => {
                f.write_str("record{")?;
                write_fields(f, fields.iter().map(record_part))
            }
        }
    }
}

fn record_part(field: &RecordField) -> (&str, &'static str, &Type) {
    (field.name.as_str(), if field.required { "" } else { "?" }, &field.ty)
}

fn write_fields<'a>(
    f: &mut fmt::Formatter<'_>,
    fields: impl Iterator<Item = (&'a str, &'static str, &'a Type)>,
) -> fmt::Result {
    for (index, (name, mark, ty)) in fields.enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{name}{mark}: {ty}")?;
    }
    f.write_str("}")
}

impl From<Type> for String {
    fn from(ty: Type) -> String {
        ty.to_string()
    }
}
