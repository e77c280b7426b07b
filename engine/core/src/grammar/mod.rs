//! The grammar of the YAML files, once: a table a mapping. `check` holds a file against it, `schema` prints it.

mod check;
mod schema;

pub(crate) use self::{check::check, schema::schema};

/// A mapping with known keys.
#[derive(Debug)]
pub struct Object {
    /// What it describes, with its article: `a step`.
    pub what: &'static str,
    /// Its keys in the order of the documentation.
    pub fields: &'static [Field],
    /// Exactly one of these keys must be there; empty: no such rule.
    pub one_of: &'static [&'static str],
}

/// A key of an [`Object`].
#[derive(Debug)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// A sentence about it, for messages and the schema.
    pub doc: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What can stand under it.
    pub shape: Shape,
}

/// What can stand as a value.
#[derive(Debug)]
pub enum Shape {
    /// Text.
    Text,
    /// Text in which `${{ }}` may stand.
    Template,
    /// A CEL expression, with or without `${{ }}` around it.
    Expression,
    /// True or false.
    Bool,
    /// A whole number within these bounds.
    Int(i64, i64),
    /// The version of the language.
    Version,
    /// A name by the rule of names.
    Name,
    /// `plugin/action`.
    Action,
    /// A length of time.
    Duration,
    /// A length of time that is longer than zero.
    Period,
    /// The text form of a type.
    Type,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Anything; checked against a declared type elsewhere.
    Any,
    /// `env:NAME` or `file:/path`.
    Secret,
    /// An absolute path on some machine.
    Path,
    /// A shell command with `%f` and `%p`.
    RestoreCommand,
    /// An `http:` or `https:` address, or a reference to a secret one.
    Url,
    /// `host:port`.
    HostPort,
    /// A list.
    List(&'static Shape),
    /// Keys chosen by the author, which must be names.
    Names(&'static Shape),
    /// Keys chosen by the author, which must be port numbers.
    Ports(&'static Shape),
    /// A mapping with known keys.
    Object(&'static Object),
    /// A length of time, or a mapping.
    DurationOr(&'static Object),
    /// One of these words, or a mapping.
    WordOr(&'static [&'static str], &'static Object),
    /// A mapping whose keys depend on the word under `kind`.
    ByKind(&'static [(&'static str, &'static Object)]),
}

/// A key that must be there.
pub const fn required(key: &'static str, doc: &'static str, shape: Shape) -> Field {
    Field { key, doc, required: true, shape }
}

/// A key that may be left out.
pub const fn optional(key: &'static str, doc: &'static str, shape: Shape) -> Field {
    Field { key, doc, required: false, shape }
}
