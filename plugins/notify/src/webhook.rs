//! The JSON that a webhook receives. The host signs it.

use jiff::Timestamp;
use serde_json::json;

use crate::message::Message;

/// The document, on one line: fields are added in later versions, never renamed.
pub(crate) fn body(message: &Message<'_>) -> String {
    json!({
        "format": "lifeboat.message/1",
        "title": message.title,
        "message": message.text,
        "severity": message.severity.as_str(),
        "run": message.run,
        "key": message.key,
        "sent_at": sent_at(message.sent_at_ms),
    })
    .to_string()
}

/// RFC 3339, UTC, with milliseconds. A clock beyond the calendar's end (the year 9999) is shown as that end.
fn sent_at(ms: u64) -> String {
    let instant = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    format!("{instant:.3}")
}
