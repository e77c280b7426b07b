//! `endpoint/check`: whether the application's traffic goes where it should.

use lifeboat_plugin::{Action, Call, Effect, Endpoint, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    endpoint: String,
    address: String,
}

pub(super) fn action() -> Action {
    Action::new("check", Effect::Read, "Fails if the application's traffic does not go to this address.")
        .parameter("endpoint", "target<endpoint:read>", "What is asked.")
        .parameter("address", "string", "Where the traffic must go: `host:port`.")
        .output("address", "string", "Where it goes.")
        .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Endpoint) -> Result<Outcome, Failure> {
    let Parameters { endpoint, address } = call.parameters()?;
    let current = caps.current(&endpoint)?;
    if current != address {
        let message = format!("the application's traffic goes to {current}, not to {address}");
        return Err(Failure::permanent("endpoint-elsewhere", message));
    }
    Outcome::new(json!({ "address": current }), format!("traffic goes to {current}"))
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::{Plugin, fake::Fake};

    use super::*;

    #[test]
    fn traffic_that_goes_elsewhere_is_a_failure() {
        let fake = Fake::default();
        fake.endpoint.add("app", "10.0.0.1:5432");
        let check = |address: &str| {
            let call = Call::example("check", &json!({ "endpoint": "app", "address": address }));
            crate::Endpoints::run(&call, &fake).map(|_| ()).map_err(|failure| failure.code().to_owned())
        };
        assert_eq!(check("10.0.0.1:5432"), Ok(()));
        assert_eq!(check("10.0.0.2:5432"), Err("endpoint-elsewhere".to_owned()));
    }
}
