//! What a kind must say of itself, and what the table of kinds makes of it.

use std::fmt;

use super::{Fact, Hold, Protection, TargetKind};
use crate::{action::Effect, grammar::Object, yaml::Node};

/// A kind of target; what plays the role is the value. Nothing that guards a target has a default: a new kind cannot forget it.
pub(super) trait Kind: Sized + 'static {
    /// Its keys in a bindings file, apart from `kind`.
    const GRAMMAR: &'static Object;

    /// What may be done with it where nothing is said.
    const ACCESS: Effect = Effect::Read;

    /// What expressions may know of it besides its kind: never a secret, nor a reference to one.
    const FACTS: &'static [Fact<Self>];

    /// Takes it out of its YAML; `None` where that does not fit the grammar.
    fn decode(node: &Node) -> Option<Self>;

    /// One as the virtual world assumes it, with every fact.
    fn example() -> Self;

    /// The exclusive resources that a run has the leases of while it may change it; one that is known by two names has two.
    fn leases(&self) -> Vec<String>;

    /// How an engine holds it on the target itself.
    fn hold(&self) -> Hold<'_>;

    /// What to add to its binding so that a step may destroy something on it; `None` where that is there, or it needs no proof.
    fn lacks_identity(&self) -> Option<&'static str>;

    /// Where it is, for people; nothing secret.
    fn location(&self) -> String;

    /// What its binding says of how data is protected.
    fn protection(&self) -> Protection<'_>;
}

/// The table: a line is the file of a kind, whose name is the kind's word in YAML, and the type in it.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $file:ident::$Kind:ident,)+) => {
        $(pub use self::$file::*;)+

        /// The kinds of system a role can be played by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum TargetKind {
            $($(#[$doc])+ $Kind,)+
        }

        /// A real system.
        #[derive(Debug, Clone, PartialEq)]
        pub enum System {
            $($(#[$doc])+ $Kind($Kind),)+
        }

        /// The words for the kinds.
        pub(crate) const TARGET_KINDS: &[&str] = &[$(stringify!($file)),+];

        /// The keys of each kind.
        pub(super) const SYSTEMS: &[(&str, &crate::grammar::Object)] =
            &[$((stringify!($file), <$Kind as Kind>::GRAMMAR)),+];

        impl TargetKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$Kind),+];

            /// The word for it in YAML.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$Kind => stringify!($file)),+ }
            }

            /// A system of the kind as the virtual world assumes it.
            pub fn example(self) -> System {
                match self { $(Self::$Kind => System::$Kind(Kind::example())),+ }
            }

            /// What may be done with one where nothing is said.
            pub(crate) fn access(self) -> crate::action::Effect {
                match self { $(Self::$Kind => <$Kind as Kind>::ACCESS),+ }
            }

            /// The facts of one, with their types.
            pub(crate) fn facts(self) -> Vec<(&'static str, crate::types::Type)> {
                match self { $(Self::$Kind => fact::types(<$Kind as Kind>::FACTS)),+ }
            }

            /// One out of its YAML.
            pub(super) fn decode(self, node: &crate::yaml::Node) -> Option<System> {
                Some(match self { $(Self::$Kind => System::$Kind(Kind::decode(node)?)),+ })
            }
        }

        impl System {
            /// Its kind.
            pub fn kind(&self) -> TargetKind {
                match self { $(Self::$Kind(_) => TargetKind::$Kind),+ }
            }

            /// What expressions may know of it. A fact that its binding does not give is not there.
            pub fn facts(&self) -> serde_json::Value {
                match self { $(Self::$Kind(system) => fact::values(self.kind().as_str(), <$Kind as Kind>::FACTS, system)),+ }
            }

            /// How an engine holds it on the target itself.
            pub fn hold(&self) -> Hold<'_> {
                match self { $(Self::$Kind(system) => system.hold()),+ }
            }

            /// Where it is, for people; nothing secret.
            pub fn location(&self) -> String {
                match self { $(Self::$Kind(system) => system.location()),+ }
            }

            /// What its binding says of how data is protected.
            pub fn protection(&self) -> Protection<'_> {
                match self { $(Self::$Kind(system) => system.protection()),+ }
            }

            /// The exclusive resources that a run has the leases of while it may change it.
            pub(crate) fn leases(&self) -> Vec<String> {
                match self { $(Self::$Kind(system) => system.leases()),+ }
            }

            /// What to add to its binding so that a step may destroy something on it; `None` where nothing is lacking.
            pub(crate) fn lacks_identity(&self) -> Option<&'static str> {
                match self { $(Self::$Kind(system) => system.lacks_identity()),+ }
            }
        }
    };
}

pub(super) use kinds;

impl TargetKind {
    /// The kind that a YAML word means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kind_is_written_with_the_same_word_everywhere() {
        for kind in TargetKind::ALL {
            assert_eq!(json!(kind), json!(kind.as_str()));
            assert_eq!(TargetKind::from_word(kind.as_str()), Some(*kind));
            assert_eq!(kind.example().facts()["kind"], kind.as_str());
        }
    }

    #[test]
    fn an_example_has_every_fact_with_its_type() {
        for kind in TargetKind::ALL {
            let facts = kind.example().facts();
            for (name, ty) in kind.facts() {
                assert_eq!(ty.check(&facts[name]), Ok(()), "{kind}: {name}");
            }
            assert_eq!(facts.as_object().map(serde_json::Map::len), Some(kind.facts().len()), "{kind}");
        }
    }

    #[test]
    fn an_example_lacks_nothing() {
        for kind in TargetKind::ALL {
            assert_eq!(kind.example().lacks_identity(), None, "{kind}");
        }
    }
}
