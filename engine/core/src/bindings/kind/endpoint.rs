//! The place where the application's traffic is directed.

use super::{Fact, Hold, Kind, Protection, access::access};
use crate::{
    grammar::{Object, Shape, optional, required},
    yaml::Node,
};

/// A traffic switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// An HTTP resource: GET shows `{"address": "host:port"}`, PUT sets it.
    Http {
        /// Its URL.
        url: String,
    },
    /// Programs of the operator: `show` prints the address, `switch` gets it as its last argument.
    Command {
        /// Program and arguments.
        show: Vec<String>,
        /// Program and arguments.
        switch: Vec<String>,
    },
}

static ENDPOINT: Object = Object {
    what: "an `endpoint` target",
    one_of: &["http", "command"],
    fields: &[
        access(),
        optional("http", "An HTTP resource: GET returns the address, PUT sets it.", Shape::Object(&HTTP)),
        optional("command", "Programs that the operator provides.", Shape::Object(&COMMAND)),
    ],
};

static HTTP: Object = Object { what: "`http`", one_of: &[], fields: &[required("url", "Its URL.", Shape::Url)] };

static COMMAND: Object = Object {
    what: "`command`",
    one_of: &[],
    fields: &[
        required("show", "Prints the address: program and arguments.", Shape::List(&Shape::Text)),
        required(
            "switch",
            "Sets the address: program and arguments, followed by the new address.",
            Shape::List(&Shape::Text),
        ),
    ],
};

impl Kind for Endpoint {
    const GRAMMAR: &'static Object = &ENDPOINT;

    const FACTS: &'static [Fact<Self>] = &[];

    fn decode(node: &Node) -> Option<Self> {
        if let Some(http) = node.get("http") {
            return Some(Self::Http { url: http.text_of("url")?.to_owned() });
        }
        let command = node.get("command")?;
        let words = |key: &str| {
            let items = command.get(key).map(Node::items).unwrap_or_default();
            items.iter().filter_map(Node::text).map(str::to_owned).collect::<Vec<_>>()
        };
        Some(Self::Command { show: words("show"), switch: words("switch") })
    }

    fn example() -> Self {
        Self::Http { url: "http://virtual/".to_owned() }
    }

    fn leases(&self) -> Vec<String> {
        vec![format!("endpoint:{}", self.location())]
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
        match self {
            Self::Http { url } => url.clone(),
            Self::Command { switch, .. } => switch.join(" "),
        }
    }
}
