//! What is fuzzed: everything that reads bytes which somebody else wrote. A target panics where a promise is broken.
//!
//! `make fuzz` looks for such bytes; a test of `engine/runtime` tries those of the corpus each time.

mod answer;
mod expression;
mod journal;
mod text;
mod world;

/// Tries some bytes.
pub(crate) type Target = fn(&[u8]);

#[cfg(test)]
pub(crate) use self::{answer::is_answer, journal::legal_events, text::is_compiled};

/// Every target by the name of its corpus.
pub(crate) const ALL: [(&str, Target); 6] = [
    ("runbook", text::runbook),
    ("bindings", text::bindings),
    ("expression", expression::expression),
    ("journal", journal::journal),
    ("events", journal::events),
    ("answer", answer::answer),
];
