//! A channel to people.

use serde_json::json;

use super::{Fact, Hold, Kind, Protection, text};
use crate::{
    action::Effect,
    grammar::{Object, Shape, optional, required},
    secret::SecretRef,
    yaml::Node,
};

/// A channel to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Notify {
    /// The format that it accepts.
    pub channel: Channel,
    /// Where to post; a reference where the address itself is the secret (Slack).
    pub url: Url,
    /// Key of the signature (webhook).
    pub secret: Option<SecretRef>,
}

/// The format of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// JSON with an HMAC-SHA-256 signature.
    Webhook,
    /// Slack's incoming webhook.
    Slack,
}

/// An address, or where to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Url {
    /// Written in the file.
    Plain(String),
    /// A secret.
    Secret(SecretRef),
}

static NOTIFY: Object = Object {
    what: "a `notify` target",
    one_of: &[],
    fields: &[
        optional("access", "The most that may be done with it; default: write.", Shape::Word(Effect::WORDS)),
        required("channel", "The format that it accepts.", Shape::Word(&["webhook", "slack"])),
        required("url", "URL to post to; a reference if the address is a secret.", Shape::Url),
        optional("secret", "Key that signs the messages.", Shape::Secret),
    ],
};

impl Kind for Notify {
    const GRAMMAR: &'static Object = &NOTIFY;

    /// Telling people something is what a channel is for.
    const ACCESS: Effect = Effect::Mutate;

    const FACTS: &'static [Fact<Self>] = &[text("channel", |notify| {
        json!(match notify.channel {
            Channel::Webhook => "webhook",
            Channel::Slack => "slack",
        })
    })];

    fn decode(node: &Node) -> Option<Self> {
        let channel = match node.text_of("channel")? {
            "slack" => Channel::Slack,
            _ => Channel::Webhook,
        };
        let url = node.text_of("url")?.to_owned();
        let url = SecretRef::try_from(url.clone()).map_or(Url::Plain(url), Url::Secret);
        Some(Self { channel, url, secret: SecretRef::under(node, "secret") })
    }

    fn example() -> Self {
        Self { channel: Channel::Webhook, url: Url::Plain("http://virtual/".to_owned()), secret: None }
    }

    /// Any number of runs may tell people something at once.
    fn leases(&self) -> Vec<String> {
        Vec::new()
    }

    fn protection(&self) -> Protection<'_> {
        Protection::Nothing
    }

    fn hold(&self) -> Hold<'_> {
        Hold::Nothing
    }

    fn lacks_identity(&self) -> Option<&'static str> {
        None
    }

    fn location(&self) -> String {
        match &self.url {
            Url::Plain(url) => url.clone(),
            Url::Secret(reference) => String::from(reference.clone()),
        }
    }
}
