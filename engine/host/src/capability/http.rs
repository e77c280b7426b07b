//! The `http` capability: posts to the channel behind a role. The host knows the address and signs; a guest sees neither.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use lifeboat_core::{
    action::Effect,
    bindings::{Channel, Notify, System, Url},
    failure::Reason,
    name::RoleName,
};
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::{
    Outward,
    client::{self, Client},
    lifetimes,
};
use crate::{
    cache::hex,
    call::{CallContext, CallState},
    secret::Secrets,
    wit::lifeboat::http::http::{self as wit, Error, Format, Response},
};

const REQUEST_BYTES_MAX: usize = 1 << 20;
const RESPONSE_BYTES_MAX: usize = 64 << 10;

/// What the capability keeps for all calls of a run.
#[derive(Default)]
pub(crate) struct Session {
    client: Client,
}

/// It keeps nothing for a call.
pub(crate) type Own = ();

impl lifetimes::Session for Session {}

impl wit::Host for CallState {
    async fn channel(&mut self, role: String) -> wasmtime::Result<Result<Format, Error>> {
        let format = async {
            channel(&self.context, &role, Effect::Read).map(|channel| match channel.channel {
                Channel::Webhook => Format::Webhook,
                Channel::Slack => Format::Slack,
            })
        };
        self.context.serve("http.channel", format).await
    }

    async fn post(&mut self, role: String, id: String, body: String) -> wasmtime::Result<Result<Response, Error>> {
        let posted = async {
            let response = post(&self.context, &role, &id, body).await?;
            Ok(Response { body: self.context.secrets.scrub(response.body), ..response })
        };
        self.context.serve("http.post", posted).await
    }
}

impl Outward for Error {
    fn scrubbed(self, secrets: &Secrets) -> Self {
        match self {
            Self::Denied(reason) => Self::Denied(reason.scrubbed(secrets)),
            Self::Connection(reason) => Self::Connection(reason.scrubbed(secrets)),
            Self::Invalid(reason) => Self::Invalid(reason.scrubbed(secrets)),
        }
    }

    fn code(&self) -> &str {
        let (Self::Denied(reason) | Self::Connection(reason) | Self::Invalid(reason)) = self;
        reason.code()
    }
}

fn channel<'a>(context: &'a CallContext, role: &str, needed: Effect) -> Result<&'a Notify, Error> {
    context.grants.check(role, needed).map_err(|reason| Error::Denied(reason.into()))?;
    let binding = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
    match binding.map(|binding| &binding.system) {
        Some(System::Notify(channel)) => Ok(channel),
        Some(_) => Err(invalid("host-refused-role", format!("the target `{role}` is not a channel"))),
        None => {
            Err(invalid("host-refused-role", format!("{} does not bind the target `{role}`", context.bindings.source)))
        }
    }
}

async fn post(context: &CallContext, role: &str, id: &str, body: String) -> Result<Response, Error> {
    let channel = channel(context, role, Effect::Mutate)?;
    if body.len() > REQUEST_BYTES_MAX {
        return Err(invalid("http-size", format!("the message is too long ({} bytes)", body.len())));
    }
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid("http-id", "the id of a message must be printable ASCII without spaces"));
    }
    let refused = |reason: Reason| Error::Invalid(reason.into());
    let url = match &channel.url {
        Url::Plain(text) => client::url(text, true),
        Url::Secret(reference) => {
            context.secrets.resolve(reference).and_then(|secret| client::url(secret.expose_secret(), false))
        }
    };
    let client = context.sessions.http.client.get().map_err(refused)?;
    let mut request = client.post(url.map_err(refused)?);
    request = request.header(CONTENT_TYPE, "application/json");
    if channel.channel == Channel::Webhook {
        let timestamp = Timestamp::now().as_second();
        request = request.header("lifeboat-id", id).header("lifeboat-timestamp", timestamp);
        if let Some(reference) = &channel.secret {
            let secret = context.secrets.resolve(reference).map_err(refused)?;
            request = request.header("lifeboat-signature", signature(secret.expose_secret(), id, timestamp, &body));
        }
    }
    context.change().map_err(|reason| Error::Denied(reason.into()))?;
    let answer = context.bounded(async {
        let response = request.body(body).send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse().ok());
        Ok(Response { status, body: client::body(response, RESPONSE_BYTES_MAX).await, retry_after })
    });
    match answer.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Error::Connection(client::unanswered(error).into())),
        Err(cut) => Err(Error::Connection(cut.reason().into())),
    }
}

/// `v1=` and the hex of HMAC-SHA-256(secret, id + "." + timestamp + "." + body).
fn signature(secret: &str, id: &str, timestamp: i64, body: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!("HMAC takes a key of any length")
    };
    for part in [id, ".", &timestamp.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1={}", hex(&mac.finalize().into_bytes()))
}

fn invalid(code: &str, message: impl Into<String>) -> Error {
    Error::Invalid(Reason::new(code, message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_any_other_implementation() {
        // printf 'run/step.1700000000.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(signature("key", "run/step", 1_700_000_000, "{}"), EXPECTED);
    }

    const EXPECTED: &str = "v1=1398420ae2b71a2873aa39d91e2aa3af7f66dc50e9d98087c964d79bfe6bf539";
}
