//! What the engine knows of the actions that plugins offer. The host fills the catalogue; `compile` checks against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{name::ActionName, types::Type};

/// How far an action may go with a target. Ordered: what may destroy may also change and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Looks and leaves everything as it was.
    Read,
    /// Changes something (a runbook writes `access: write`).
    Mutate,
    /// Removes something that cannot be had again from the target itself.
    Destroy,
}

impl Effect {
    /// The words for them in YAML.
    pub(crate) const WORDS: &[&str] = &["read", "write", "destroy"];

    /// The word for it in YAML and in the text form of a target type.
    pub fn access(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Mutate => "write",
            Self::Destroy => "destroy",
        }
    }

    /// The effect that a YAML word means.
    pub fn from_access(word: &str) -> Option<Self> {
        [Self::Read, Self::Mutate, Self::Destroy].into_iter().find(|effect| effect.access() == word)
    }
}

/// One parameter or output of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name, `snake_case`.
    pub name: String,
    /// One sentence, for `lifeboat plugins` and the editor.
    pub doc: String,
    /// Its type, in the language of [`Type`].
    #[serde(rename = "type")]
    pub ty: Type,
    /// Whether it must be given (a parameter) or is always there (an output).
    pub required: bool,
}

/// An action as its plugin declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// `plugin/action`.
    pub name: ActionName,
    /// What it does, one paragraph.
    pub doc: String,
    /// What `with:` takes.
    pub parameters: Vec<Field>,
    /// What `steps.<id>.outputs` has afterwards.
    pub outputs: Vec<Field>,
    /// The strongest effect on any target. Each target parameter's own is in its type: `target<postgres:write>`.
    pub effect: Effect,
    /// Running it twice with the same key does what running it once does.
    pub idempotent: bool,
    /// The plugin can say afterwards whether an interrupted attempt took effect.
    pub observable: bool,
}

/// Every action that can be used, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    actions: BTreeMap<ActionName, Action>,
}

impl Catalogue {
    /// A catalogue of these actions; the last of two with one name wins.
    pub fn new(actions: impl IntoIterator<Item = Action>) -> Self {
        Self { actions: actions.into_iter().map(|action| (action.name.clone(), action)).collect() }
    }

    /// The action of that name.
    pub fn get(&self, name: &ActionName) -> Option<&Action> {
        self.actions.get(name)
    }

    /// All actions, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Action> {
        self.actions.values()
    }
}
