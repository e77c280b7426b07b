//! `endpoint/switch`: sends the application's traffic to a server, and reads back that it goes there.

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
    Action::new("switch", Effect::Mutate, "Sends the application's traffic to a server, and reads back that it does.")
        .parameter("endpoint", "target<endpoint:write>", "What is switched.")
        .parameter("address", "string", "Where the traffic goes: `host:port`.")
        .output("before", "string", "Where it went when the attempt began.")
        .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Endpoint) -> Result<Outcome, Failure> {
    let Parameters { endpoint, address } = call.parameters()?;
    let before = direct(call, caps, &endpoint, &address)?;
    Outcome::new(json!({ "before": before }), format!("traffic goes to {address}"))
}

/// Switches where it is not done yet; where the traffic went before.
pub(super) fn direct(call: &Call, caps: &impl Endpoint, endpoint: &str, address: &str) -> Result<String, Failure> {
    let before = caps.current(endpoint)?;
    if before == address {
        return Ok(before);
    }
    caps.switch(endpoint, address)?;
    let now = caps.current(endpoint)?;
    if now != address && !call.dry_run {
        let message = format!("the endpoint took {address} and shows {now}");
        return Err(Failure::transient("endpoint-elsewhere", message));
    }
    Ok(before)
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::{Plugin, fake::Fake};

    use super::*;

    #[test]
    fn traffic_is_switched_once_and_a_retry_changes_nothing() {
        let fake = Fake::default();
        fake.endpoint.add("app", "10.0.0.1:5432");
        let call = Call::example("switch", &json!({ "endpoint": "app", "address": "10.0.0.2:5432" }));
        let run = || crate::Endpoints::run(&call, &fake).unwrap().outputs;
        assert_eq!(run(), r#"{"before":"10.0.0.1:5432"}"#);
        assert_eq!(run(), r#"{"before":"10.0.0.2:5432"}"#);
        assert_eq!(fake.current("app").unwrap(), "10.0.0.2:5432");
    }

    #[test]
    fn what_may_only_read_switches_nothing() {
        let fake = Fake::default();
        fake.endpoint.add("app", "10.0.0.1:5432");
        fake.grant(Effect::Read);
        let call = Call::example("switch", &json!({ "endpoint": "app", "address": "10.0.0.2:5432" }));
        assert!(matches!(crate::Endpoints::run(&call, &fake), Err(Failure::Denied(_))));
        assert_eq!(fake.current("app").unwrap(), "10.0.0.1:5432");
    }
}
