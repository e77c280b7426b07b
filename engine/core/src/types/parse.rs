//! Reads the text form of a type. Plugins are not trusted: length and nesting are bounded.

use super::{RecordField, TargetKind, Type};
use crate::effect::Effect;

/// Longer texts are refused.
const LENGTH_MAX: usize = 4096;
/// Deeper nesting is refused.
const DEPTH_MAX: usize = 16;

/// A text that is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a type: {problem} at byte {at}")]
pub struct TypeError {
    /// The whole text.
    pub text: String,
    /// What is wrong.
    pub problem: String,
    /// Where it is wrong.
    pub at: usize,
}

impl std::str::FromStr for Type {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        let mut parser = Parser { text, at: 0 };
        let parsed = if text.len() > LENGTH_MAX {
            Err(format!("a type may have at most {LENGTH_MAX} bytes"))
        } else {
            parser.whole()
        };
        parsed.map_err(|problem| TypeError {
            text: text.chars().take(200).collect(),
            problem,
            at: parser.at.min(text.len()),
        })
    }
}

impl TryFrom<String> for Type {
    type Error = TypeError;
    fn try_from(text: String) -> Result<Self, TypeError> {
        text.parse()
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn whole(&mut self) -> Result<Type, String> {
        let ty = self.ty(0)?;
        self.space();
        if self.at == self.text.len() { Ok(ty) } else { Err("expected the end of the type".to_owned()) }
    }

    fn ty(&mut self, depth: usize) -> Result<Type, String> {
        if depth > DEPTH_MAX {
            return Err(format!("types may be nested at most {DEPTH_MAX} deep"));
        }
        let start = self.at;
        Ok(match self.word() {
            "string" => Type::String,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "float" => Type::Float,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "json" => Type::Json,
            "list" => Type::List(Box::new(self.item(depth)?)),
            "map" => Type::Map(Box::new(self.item(depth)?)),
            "target" => self.target()?,
            "one_of" => self.one_of(depth)?,
            "record" => Type::Record(self.fields(depth)?),
            word => {
                self.at = start;
                return Err(format!("unknown type `{word}`"));
            }
        })
    }

    fn item(&mut self, depth: usize) -> Result<Type, String> {
        self.expect('<')?;
        let item = self.ty(depth + 1)?;
        self.expect('>')?;
        Ok(item)
    }

    fn target(&mut self) -> Result<Type, String> {
        self.expect('<')?;
        let word = self.word();
        let kind = TargetKind::from_word(word).ok_or_else(|| format!("unknown kind of target `{word}`"))?;
        self.expect(':')?;
        let word = self.word();
        let effect = Effect::from_access(word).ok_or_else(|| format!("`{word}` is not one of read, write, destroy"))?;
        self.expect('>')?;
        Ok(Type::Target { kind, effect })
    }

    fn one_of(&mut self, depth: usize) -> Result<Type, String> {
        let fields = self.fields(depth)?;
        if fields.is_empty() {
            return Err("`one_of` needs at least one choice".to_owned());
        }
        if fields.iter().any(|field| !field.required) {
            return Err("a choice of `one_of` cannot have `?`".to_owned());
        }
        Ok(Type::OneOf(fields.into_iter().map(|field| (field.name, field.ty)).collect()))
    }

    fn fields(&mut self, depth: usize) -> Result<Vec<RecordField>, String> {
        self.expect('{')?;
        let mut fields: Vec<RecordField> = Vec::new();
        while !self.takes('}') {
            if !fields.is_empty() {
                self.expect(',')?;
            }
            let name = self.word().to_owned();
            if name.is_empty() {
                return Err("expected a name".to_owned());
            }
            if fields.iter().any(|field| field.name == name) {
                return Err(format!("`{name}` appears twice"));
            }
            let required = !self.takes('?');
            self.expect(':')?;
            fields.push(RecordField { name, ty: self.ty(depth + 1)?, required });
        }
        Ok(fields)
    }

    fn space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\n', '\t']).len();
    }

    fn word(&mut self) -> &'a str {
        self.space();
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn takes(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.text[self.at..].starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.takes(wanted) { Ok(()) } else { Err(format!("expected `{wanted}`")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9_-]{0,5}"
    }

    fn ty() -> impl Strategy<Value = Type> {
        let leaf = prop_oneof![
            Just(Type::String),
            Just(Type::Bool),
            Just(Type::Int),
            Just(Type::Float),
            Just(Type::Timestamp),
            Just(Type::Duration),
            Just(Type::Json),
            (select(TargetKind::ALL), select(&[Effect::Read, Effect::Mutate, Effect::Destroy]))
                .prop_map(|(kind, effect)| Type::Target { kind, effect }),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|ty| Type::List(Box::new(ty))),
                inner.clone().prop_map(|ty| Type::Map(Box::new(ty))),
                prop::collection::btree_map(name(), inner.clone(), 1..4)
                    .prop_map(|fields| Type::OneOf(fields.into_iter().collect())),
                prop::collection::btree_map(name(), (inner, any::<bool>()), 0..4).prop_map(|fields| Type::Record(
                    fields.into_iter().map(|(name, (ty, required))| RecordField { name, ty, required }).collect()
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn text_form_is_read_back_as_the_same_type(ty in ty()) {
            prop_assert_eq!(ty.to_string().parse::<Type>(), Ok(ty));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<Type>();
        }

        #[test]
        fn no_text_that_nearly_is_a_type_panics(text in "[a-z_<>{}:,? é]{0,60}") {
            let _ = text.parse::<Type>();
        }
    }

    #[test]
    fn what_is_no_type_is_refused_with_the_place() {
        for (text, problem, at) in [
            ("", "unknown type ``", 0),
            ("strin", "unknown type `strin`", 0),
            ("list<string", "expected `>`", 11),
            ("list<string>>", "expected the end of the type", 12),
            ("target<mysql:read>", "unknown kind of target `mysql`", 12),
            ("target<postgres:mutate>", "`mutate` is not one of read, write, destroy", 22),
            ("record{a: int, a: int}", "`a` appears twice", 16),
            ("one_of{}", "`one_of` needs at least one choice", 8),
            ("one_of{a?: int}", "a choice of `one_of` cannot have `?`", 15),
        ] {
            let error = text.parse::<Type>().expect_err(text);
            assert_eq!((error.problem.as_str(), error.at), (problem, at), "{text}");
        }
        let deep = "list<".repeat(2000);
        assert!(deep.parse::<Type>().is_err());
        assert!("list<".repeat(40).parse::<Type>().expect_err("too deep").problem.contains("at most 16 deep"));
    }
}
