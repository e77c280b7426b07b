//! What the engine knows of the actions that plugins offer. The host fills the catalogue; `compile` checks against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::effect::Effect;
use crate::{name::ActionName, types::Type};

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
