//! How well data is protected, as far as bindings say it.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::Folder;

/// What a binding says of how data is protected, so that it can be said what is lost at most, and from how far back it can be recovered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Protection<'a> {
    /// It holds data, whose changes are archived at these intervals at the latest; `None`: that is not known.
    Archived(Option<SignedDuration>),
    /// It holds archives and backups, in folders by their names.
    Kept(&'a BTreeMap<String, Folder>),
    /// It holds neither.
    Nothing,
}
