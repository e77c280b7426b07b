//! Texts whose parts mean something beside their words. A terminal colours them, a page marks them up, a log leaves that out.

use std::{fmt, ops::Add};

/// How something is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Something worked.
    Good,
    /// Something is lost.
    Bad,
    /// Somebody should look.
    Warn,
    /// Progress, or plain information.
    Plain,
}

impl Tone {
    /// One character that says the same without colours.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Good => "✔",
            Self::Bad => "✘",
            Self::Warn => "!",
            Self::Plain => "·",
        }
    }
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Words alone.
    Words(String),
    /// A name that the eye looks for.
    Name(String),
    /// Words that are meant so.
    Toned(Tone, String),
}

impl Part {
    /// Its words.
    pub fn words(&self) -> &str {
        match self {
            Self::Words(words) | Self::Name(words) | Self::Toned(_, words) => words,
        }
    }
}

/// A text. [`fmt::Display`] gives its words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    parts: Vec<Part>,
}

impl Text {
    /// A name that the eye looks for.
    pub fn name(name: impl Into<String>) -> Self {
        Self { parts: vec![Part::Name(name.into())] }
    }

    /// Words that are meant so.
    pub fn toned(tone: Tone, words: impl Into<String>) -> Self {
        Self { parts: vec![Part::Toned(tone, words.into())] }
    }

    /// Its parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl From<String> for Text {
    fn from(words: String) -> Self {
        Self { parts: vec![Part::Words(words)] }
    }
}

impl From<&str> for Text {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl<T: Into<Self>> Add<T> for Text {
    type Output = Self;

    fn add(mut self, more: T) -> Self {
        self.parts.extend(more.into().parts);
        self
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| f.write_str(part.words()))
    }
}
