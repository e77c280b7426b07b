//! The webhook that plays the people on call: it records what it is sent and checks the signature.

use jiff::Timestamp;
use serde::Serialize;

/// What became of a notification's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// It is the one that the shared secret gives.
    Valid,
    /// It is another one.
    Wrong,
    /// There is none.
    Missing,
}

/// A notification as it arrived.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// When.
    pub at: Timestamp,
    /// The sender's idempotency key (`lifeboat-id`).
    pub id: Option<String>,
    /// Whether it can be believed.
    pub signature: Signature,
    /// The JSON that was posted; a string where it was no JSON.
    pub body: serde_json::Value,
}
