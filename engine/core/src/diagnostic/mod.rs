//! Diagnostics: what is wrong with a file, where, and what would be right.

pub(crate) mod codes;
mod findings;
mod render;
mod source;
mod suggest;

use serde::Serialize;

pub(crate) use self::findings::Findings;
pub use self::{
    codes::{CODES, Code},
    render::render,
    source::{FILE_BYTES_MAX, SourceFile},
    suggest::{closest, meant},
};

/// A place in a file. Where `start` and `end` are both 0 and the line is not, the whole line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line of the first byte, counted from 1.
    pub line: u32,
    /// Column of the first byte in characters, counted from 1.
    pub column: u32,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It will not run.
    Error,
    /// It will run and probably not do what is wanted.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code (`LB0012`); `lifeboat explain LB0012` prints its page.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What is wrong with the underlined text, short.
    pub label: String,
    /// What would be right.
    pub help: Option<String>,
}
