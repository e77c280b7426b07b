//! The application's endpoint: closing it, and sending the traffic to a server.

use lifeboat_plugin::{Action, Call, Endpoint, Failure, Outcome, Plugin};

mod check;
mod close;
mod switch;

/// The plugin.
pub struct Endpoints;

impl<C: Endpoint> Plugin<C> for Endpoints {
    const NAME: &'static str = "endpoint";

    fn actions() -> Vec<Action> {
        vec![check::action(), close::action(), switch::action()]
    }

    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
        match call.action.as_str() {
            "check" => check::run(call, caps),
            "close" => close::run(call, caps),
            "switch" => switch::run(call, caps),
            _ => Err(call.unknown_action(<Self as Plugin<C>>::NAME)),
        }
    }
}

lifeboat_plugin::export!(Endpoints);
