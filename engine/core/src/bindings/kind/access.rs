//! The key `access` of a target.

use crate::{
    action::Effect,
    grammar::{Field, Shape, optional},
};

/// The key of targets that are only read where nothing is said.
pub(super) const fn access() -> Field {
    optional("access", "The most that any runbook may do with it; default: read.", Shape::Word(Effect::WORDS))
}
