//! Sends the application's traffic to another server.

use lifeboat_plugin::{Action, Call, Effect, Endpoint, Failure, Outcome, Plugin};
use serde::Deserialize;
use serde_json::json;

/// The plugin.
pub struct Traffic;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    endpoint: String,
    address: String,
}

impl<C: Endpoint> Plugin<C> for Traffic {
    const NAME: &'static str = "traffic";

    fn actions() -> Vec<Action> {
        vec![
            Action::new("switch", Effect::Mutate, "Sends the application's traffic to another server.")
                .parameter("endpoint", "target<endpoint:write>", "What is switched.")
                .parameter("address", "string", "Where the traffic goes: `host:port`.")
                .output("before", "string", "Where it went before.")
                .idempotent(),
        ]
    }

    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
        let Parameters { endpoint, address } = call.parameters()?;
        let before = caps.current(&endpoint)?;
        if before != address && !call.dry_run {
            caps.switch(&endpoint, &address)?;
        }
        Outcome::new(json!({ "before": before }), format!("traffic goes to {address}"))
    }
}

lifeboat_plugin::export!(Traffic);

#[cfg(test)]
mod tests {
    use lifeboat_plugin::fake::Fake;

    use super::*;

    #[test]
    fn traffic_is_switched_once() {
        let fake = Fake::default();
        fake.endpoint.add("app", "10.0.0.1:5432");
        let call = Call::example("switch", &json!({ "endpoint": "app", "address": "10.0.0.2:5432" }));
        assert_eq!(Traffic::run(&call, &fake).unwrap().outputs, r#"{"before":"10.0.0.1:5432"}"#);
        assert_eq!(fake.current("app").unwrap(), "10.0.0.2:5432");
    }
}
