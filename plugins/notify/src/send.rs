//! `notify/send`: one message to one channel, at most once for each call key as far as the receiver looks at the key.

use lifeboat_plugin::{
    Action, Call, Effect, Failure, Http, Outcome, Runtime,
    http::{Format, Response},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    message::{Message, Severity},
    slack, webhook,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    channel: String,
    message: String,
    title: Option<String>,
    severity: Option<String>,
}

pub(crate) fn action() -> Action {
    Action::new("send", Effect::Mutate, "Sends a message to a channel: a signed webhook or a Slack incoming webhook.")
        .parameter("channel", "target<notify:write>", "Where the message goes.")
        .parameter("message", "string", "The message, plain text.")
        .optional("title", "string", "A line above the message.")
        .optional("severity", "string", "`info` (the default), `warning` or `critical`.")
        .output("status", "int", "HTTP status of the receiver's answer; 0 in a dry-run.")
        .output("attempts", "int", "How many attempts it took; 0 in a dry-run.")
        .idempotent()
}

pub(crate) fn run(call: &Call, caps: &(impl Runtime + Http)) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let message = Message {
        title: parameters.title.as_deref().filter(|title| !title.trim().is_empty()),
        text: text(&parameters.message)?,
        severity: severity(parameters.severity.as_deref())?,
        run: &call.run,
        key: &call.key,
        sent_at_ms: caps.now_ms(),
    };
    let format = caps.channel(&parameters.channel)?;
    let body = match format {
        Format::Webhook => webhook::body(&message),
        Format::Slack => slack::body(&message),
    };
    if call.dry_run {
        caps.info(&format!("would send to `{}`: {body}", parameters.channel));
        let summary = format!("would send {} bytes to `{}`; a dry-run sends nothing", body.len(), parameters.channel);
        return Outcome::new(json!({ "status": 0, "attempts": 0 }), summary);
    }
    let response = caps.post(&parameters.channel, &call.key, &body)?;
    judge(&parameters.channel, &response)?;
    let summary = format!("`{}` accepted the message ({})", parameters.channel, response.status);
    Outcome::new(json!({ "status": response.status, "attempts": call.attempt }), summary)
}

fn text(message: &str) -> Result<&str, Failure> {
    if message.trim().is_empty() {
        return Err(Failure::invalid_input("notify-empty", "the message is empty"));
    }
    Ok(message)
}

fn severity(word: Option<&str>) -> Result<Severity, Failure> {
    match word {
        None | Some("info") => Ok(Severity::Info),
        Some("warning") => Ok(Severity::Warning),
        Some("critical") => Ok(Severity::Critical),
        Some(other) => Err(Failure::invalid_input(
            "notify-severity",
            format!("`{other}` is not a severity: write `info`, `warning` or `critical`"),
        )),
    }
}

/// Whether the receiver accepted the message, and if not, whether it may accept it later.
fn judge(channel: &str, response: &Response) -> Result<(), Failure> {
    let says = excerpt(&response.body);
    match response.status {
        200..=299 => Ok(()),
        408 | 425 | 429 | 500..=599 => {
            let later = response.retry_after.map(|s| format!("; it asks to wait {s} s")).unwrap_or_default();
            Err(Failure::transient("notify-busy", format!("`{channel}` answered {}{later}{says}", response.status)))
        }
        300..=399 => Err(Failure::permanent(
            "notify-redirected",
            format!("`{channel}` answered {}: redirects are not followed; bind its final address", response.status),
        )),
        status => Err(Failure::permanent("notify-refused", format!("`{channel}` answered {status}{says}"))),
    }
}

/// The beginning of an answer, for messages: a receiver may send a whole page.
fn excerpt(body: &str) -> String {
    let line = body.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return String::new();
    }
    let short: String = line.chars().take(200).collect();
    format!(": {short}")
}
