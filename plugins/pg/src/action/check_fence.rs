//! `pg/check-fence`: whether the old primary is still kept from writing.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use super::fence;
use crate::server::Capabilities;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    host: String,
    proven: bool,
}

pub(super) fn action() -> Action {
    Action::new(
        "check-fence",
        Effect::Read,
        "Looks at the host of the old primary again. Fails if it was fenced and is not any more; where nothing was proven \
         it says what can be seen.",
    )
    .parameter("host", "target<machine:read>", "The host of the old primary; its data folder is the folder `data`.")
    .parameter("proven", "bool", "What `pg/fence` said.")
    .output("holds", "bool", "Whether the old primary was seen fenced.")
    .output("seen", "string", "What was seen.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let (holds, seen) = match fence::stands(caps, &parameters.host) {
        Ok(true) => (true, "the old primary has its mark: it is down, or a standby of nobody".to_owned()),
        Ok(false) if parameters.proven => {
            let message = "the old primary was fenced and has its mark no more: it may run as a primary";
            return Err(Failure::permanent("pg-fence-broken", message));
        }
        Ok(false) => (false, "the old primary has no mark: it may start as a primary".to_owned()),
        Err(failure @ (Failure::Denied(_) | Failure::InvalidInput(_))) => return Err(failure),
        Err(failure) => (false, format!("nothing can be seen: {}", failure.reason().message)),
    };
    Outcome::new(json!({ "holds": holds, "seen": seen }), seen)
}
