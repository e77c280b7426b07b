//! The entries of a timeline as far as they can be read: one with a mistake in it still says what it is, so that a mistake does not
//! hide another one.

use lifeboat_core::document::Document;
use serde_json::Value;

use super::grammar::MOMENT;
use crate::fault::{self, FaultKind};

/// An entry of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimelineEntry {
    /// Its index, as in the path of a finding.
    pub(super) place: String,
    /// What it is; `None` if it does not say so clearly.
    pub(super) key: Option<&'static str>,
    value: Value,
}

/// The fault of an entry.
pub(super) enum Named {
    /// A kind of the table.
    Known(FaultKind),
    /// No kind of the table, which has been reported.
    Unknown,
}

impl TimelineEntry {
    /// All entries; `None` if there is no list of them.
    pub(super) fn all(document: &Document<'_>) -> Option<Vec<Self>> {
        let values = document.get::<Vec<Value>>(&["timeline"])?;
        let entry = |(place, value): (usize, Value)| {
            let mut keys = MOMENT.one_of.iter().filter(|key| value.get(**key).is_some());
            let key = keys.next().copied().filter(|_| keys.next().is_none());
            Self { place: place.to_string(), key, value }
        };
        Some(values.into_iter().enumerate().map(entry).collect())
    }

    /// What stands under that key, if it is an entry of that kind.
    pub(super) fn under(&self, key: &str) -> Option<&Value> {
        self.key.filter(|own| *own == key).and_then(|key| self.value.get(key))
    }

    /// The path of the value below its key.
    pub(super) fn path<'p>(&'p self, below: &[&'p str]) -> Vec<&'p str> {
        ["timeline", &self.place].into_iter().chain(self.key).chain(below.iter().copied()).collect()
    }

    /// The fault that strikes.
    pub(super) fn fault(&self) -> Option<Named> {
        let spec = self.under("fault")?;
        Some(spec["kind"].as_str().and_then(fault::kind).map_or(Named::Unknown, Named::Known))
    }
}

/// Whether the list can hold a fault that nobody can read: then nothing can be said of what did not strike.
pub(super) fn may_hold_other_faults(entries: &[TimelineEntry]) -> bool {
    entries.iter().any(|entry| entry.key.is_none() || matches!(entry.fault(), Some(Named::Unknown)))
}
