//! The actions, one file each.

use lifeboat_plugin::{Action, Call, Failure, Observation, Outcome};

use crate::server::Capabilities;

mod find_damage;

/// Every action.
pub(crate) fn declare() -> Vec<Action> {
    vec![find_damage::action()]
}

/// Runs the action that the call names; none where there is no such action.
pub(crate) fn run(call: &Call, caps: &impl Capabilities) -> Option<Result<Outcome, Failure>> {
    Some(match call.action.as_str() {
        "find-damage" => find_damage::run(call, caps),
        _ => return None,
    })
}

/// Says whether an interrupted attempt took effect.
pub(crate) fn observe(call: &Call, _caps: &impl Capabilities) -> Result<Observation, Failure> {
    Ok(Observation::Unknown(format!("`pg/{}` can not be observed", call.action)))
}
