//! Names: one type for each thing that has a name, so that a step cannot be passed where a role is meant.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

/// A name that does not follow the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {rule}")]
pub struct NameError {
    /// What the text should have been.
    pub kind: &'static str,
    /// The text as it was written.
    pub text: String,
    /// The rule it breaks, for people.
    pub rule: &'static str,
}

fn is_word(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
        && text.len() <= 64
}

const WORD_RULE: &str =
    "a name consists of a lowercase letter, then lowercase letters, digits, `_` or `-` (at most 64 characters)";

/// Whether an author may call something so.
pub(crate) fn check_name(text: &str) -> Result<(), NameError> {
    if is_word(text) { Ok(()) } else { Err(NameError { kind: "name", text: text.to_owned(), rule: WORD_RULE }) }
}

/// Names are cloned with every event and every call: they share their text.
macro_rules! written_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes a name, or says which rule it breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                if is_word(&text) { Ok(Self(text.into())) } else { Err(NameError { kind: $kind, text, rule: WORD_RULE }) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        written_as_text!($name);
    };
}

word!(
    /// The name of a role that a bindings file fills with a real system.
    RoleName,
    "role"
);
word!(
    /// The name of a run, made for people: `dr-003-20261121-7f3a`.
    RunId,
    "run"
);

/// The name of a step. Authors write plain names; a step of a runbook within a runbook has a path (`restore/find`), an item of a
/// `for_each` a number behind it (`copy[17]`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct StepId(Arc<str>);

/// Longest name of a step with its path, in bytes.
const STEP_PATH_BYTES_MAX: usize = 512;

impl StepId {
    /// Takes a name as authors write it, or says which rule it breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if is_word(&text) { Ok(Self(text.into())) } else { Err(NameError { kind: "step id", text, rule: WORD_RULE }) }
    }

    /// Takes the name of any step of a run, with its path and number.
    pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.len() <= STEP_PATH_BYTES_MAX && text.split('/').all(is_segment) {
            Ok(Self(text.into()))
        } else {
            let rule = "write a step as `step`, `outer/inner` or `step[17]`";
            Err(NameError { kind: "step id", text, rule })
        }
    }

    /// The step of that name in the runbook which this step runs.
    pub fn within(&self, inner: &Self) -> Self {
        Self(format!("{}/{}", self.0, inner.0).into())
    }

    /// The item of that number, counted from 0, of this `for_each`.
    pub fn item(&self, number: usize) -> Self {
        Self(format!("{}[{number}]", self.0).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_segment(text: &str) -> bool {
    match text.split_once('[') {
        None => is_word(text),
        Some((word, number)) => is_word(word) && number.strip_suffix(']').is_some_and(is_number),
    }
}

/// As a number is printed: no sign, no leading zero.
fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok_and(|number| number.to_string() == text)
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StepId {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

written_as_text!(StepId);

/// The name of an action: `plugin/action`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ActionName {
    plugin: Arc<str>,
    action: Arc<str>,
}

impl ActionName {
    /// Takes `plugin/action`, or says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        match text.split_once('/') {
            Some((plugin, action)) if is_word(plugin) && is_word(action) => {
                Ok(Self { plugin: plugin.into(), action: action.into() })
            }
            _ => Err(NameError { kind: "action", text: text.to_owned(), rule: "write an action as `plugin/action`" }),
        }
    }

    /// The plugin that has the action.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// The action within its plugin.
    pub fn action(&self) -> &str {
        &self.action
    }
}

impl fmt::Display for ActionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.plugin, self.action)
    }
}

impl TryFrom<String> for ActionName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl Serialize for ActionName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_step_has_a_path_and_a_number_only_in_a_run() {
        for (text, written, found) in [
            ("restore", true, true),
            ("restore/find", false, true),
            ("a/b/c-1[0]", false, true),
            ("copy[17]", false, true),
            ("copy[017]", false, false),
            ("copy[+1]", false, false),
            ("copy[-1]", false, false),
            ("copy[]", false, false),
            ("copy[1", false, false),
            ("copy[1][2]", false, false),
            ("/find", false, false),
            ("restore/", false, false),
            ("restore/../find", false, false),
            ("", false, false),
        ] {
            assert_eq!(StepId::new(text).is_ok(), written, "{text}");
            assert_eq!(StepId::parse(text).is_ok(), found, "{text}");
        }
        let (outer, inner) = (StepId::new("outer").unwrap(), StepId::new("inner").unwrap());
        assert_eq!(StepId::parse("outer/inner[3]").unwrap(), outer.within(&inner).item(3));
        assert!(StepId::parse("a/".repeat(300) + "a").is_err());
    }
}
