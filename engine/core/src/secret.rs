//! References to secrets.

use serde::{Deserialize, Serialize};

use crate::yaml::Node;

/// A reference to a secret: `env:NAME` or `file:/path`. Only the host resolves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SecretRef {
    /// An environment variable of the engine.
    Env(String),
    /// A file that the engine can read; a newline at its end is not part of the secret.
    File(String),
}

/// A text that is not a reference to a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a secret must be a reference (`env:NAME` or `file:/path`), not plain text")]
pub struct NotAReference;

impl SecretRef {
    /// The reference under this key of a mapping.
    pub(crate) fn under(node: &Node, key: &str) -> Option<Self> {
        Self::try_from(node.text_of(key)?.to_owned()).ok()
    }
}

impl TryFrom<String> for SecretRef {
    type Error = NotAReference;
    fn try_from(text: String) -> Result<Self, NotAReference> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::File(path.to_owned())),
            _ => Err(NotAReference),
        }
    }
}

impl From<SecretRef> for String {
    fn from(secret: SecretRef) -> Self {
        match secret {
            SecretRef::Env(name) => format!("env:{name}"),
            SecretRef::File(path) => format!("file:{path}"),
        }
    }
}
