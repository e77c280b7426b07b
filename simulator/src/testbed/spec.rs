//! The systems of a testbed, as data.

use std::{collections::BTreeMap, time::Duration};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};

/// A system: its kind, and the parameters that the kind has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct SystemSpec(Value);

/// How often a server archives its WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSpec {
    /// The longest time until a segment is archived.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// The interval in production.
    #[serde(deserialize_with = "duration")]
    pub in_production: Duration,
}

impl ArchiveSpec {
    /// The same as `archive_timeout`, which is in whole seconds.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.interval.as_secs()).unwrap_or(u32::MAX).max(1)
    }
}

/// `8s`, `100ms`, `10m`: as in runbooks.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed: SignedDuration = text.parse().map_err(serde::de::Error::custom)?;
    Duration::try_from(parsed).map_err(serde::de::Error::custom)
}

impl SystemSpec {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// Its region; `None`: in no region.
    pub fn region(&self) -> Option<&str> {
        self.0["region"].as_str()
    }

    /// Its archive; `None` if its kind has none.
    pub fn archive(&self) -> Option<ArchiveSpec> {
        serde_json::from_value(self.0["archive"].clone()).ok()
    }

    /// A parameter that is a text.
    pub fn text(&self, parameter: &str) -> Option<&str> {
        self.0[parameter].as_str()
    }

    /// Another value for a parameter.
    #[must_use]
    pub fn with(mut self, parameter: &str, value: Value) -> Self {
        self.0[parameter] = value;
        self
    }

    pub(super) fn parameters<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_value(self.0.clone())
    }

    /// A server `primary` that archives at this interval, a machine `recovery` for its copies, and a webhook `oncall`.
    pub fn one_server(archive_seconds: u32) -> BTreeMap<String, Self> {
        let archive = json!({ "interval": format!("{archive_seconds}s"), "in_production": "5m" });
        let systems = [
            ("primary", json!({ "kind": "postgres", "archive": archive })),
            ("recovery", json!({ "kind": "machine", "of": "primary" })),
            ("oncall", json!({ "kind": "webhook" })),
        ];
        systems.into_iter().map(|(name, spec)| (name.to_owned(), Self(spec))).collect()
    }
}
