//! `endpoint/close`: the application reaches no server, and its sessions end.

use lifeboat_plugin::{Action, Call, Effect, Endpoint, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use super::switch::direct;

/// Nothing listens on this port of any machine (`tcpmux`), so whoever is sent there is refused at once, by the endpoint's own machine.
const NOWHERE: &str = "127.0.0.1:1";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    endpoint: String,
    nowhere: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "close",
        Effect::Mutate,
        "Sends the application's traffic to an address at which nothing answers, so that no write goes through this \
         endpoint. It says nothing of clients that reach the server without it.",
    )
    .parameter("endpoint", "target<endpoint:write>", "What is closed.")
    .optional("nowhere", "string", "An address at which nothing listens (`127.0.0.1:1`).")
    .output("before", "string", "Where the traffic went when the attempt began.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Endpoint) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let nowhere = parameters.nowhere.as_deref().unwrap_or(NOWHERE);
    let before = direct(call, caps, &parameters.endpoint, nowhere)?;
    Outcome::new(json!({ "before": before }), format!("traffic went to {before} and goes nowhere now"))
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::{Plugin, fake::Fake};

    use super::*;

    #[test]
    fn a_closed_endpoint_points_at_nothing() {
        let fake = Fake::default();
        fake.endpoint.add("app", "10.0.0.1:5432");
        let close = |parameters| crate::Endpoints::run(&Call::example("close", &parameters), &fake).unwrap();
        close(json!({ "endpoint": "app" }));
        assert_eq!(fake.current("app").unwrap(), NOWHERE);
        close(json!({ "endpoint": "app", "nowhere": "10.9.9.9:9" }));
        assert_eq!(fake.current("app").unwrap(), "10.9.9.9:9");
    }
}
