//! Deliberate mistakes of the engine, to show that the virtual world finds them. Only test builds have them (feature `mutants`):
//! elsewhere [`is_active`] is constantly false and leaves nothing behind.

/// A mistake that an engine must not make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// An effect begins before its event is on disk.
    EffectBeforeEvent,
    /// What cannot be repeated is repeated after an attempt of unknown effect.
    BlindRepeat,
    /// A step begins when one of its needs is met, not all.
    AnyNeed,
    /// The answer of an earlier attempt counts as that of the present one.
    OldAnswers,
    /// What was done is undone in the order in which it was done.
    ForwardUndo,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::EffectBeforeEvent, Self::BlindRepeat, Self::AnyNeed, Self::OldAnswers, Self::ForwardUndo];
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ACTIVE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Makes the engine on this thread make that mistake, or none.
    pub fn activate(mutant: Option<Mutant>) {
        ACTIVE.set(mutant);
    }

    /// Whether the engine on this thread makes that mistake.
    pub fn is_active(mutant: Mutant) -> bool {
        ACTIVE.get() == Some(mutant)
    }
}

#[cfg(not(feature = "mutants"))]
mod switch {
    /// Whether the engine makes that mistake: never.
    pub const fn is_active(_mutant: super::Mutant) -> bool {
        false
    }
}

pub use switch::*;
