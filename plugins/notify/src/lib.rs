//! Messages to people: webhooks and Slack.

use lifeboat_plugin::{Action, Call, Failure, Http, Outcome, Plugin, Runtime};

mod message;
mod send;
mod slack;
mod webhook;

/// The plugin.
pub struct Notify;

impl<C: Runtime + Http> Plugin<C> for Notify {
    const NAME: &'static str = "notify";

    fn actions() -> Vec<Action> {
        vec![send::action()]
    }

    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
        match call.action.as_str() {
            "send" => send::run(call, caps),
            _ => Err(call.unknown_action(<Self as Plugin<C>>::NAME)),
        }
    }
}

lifeboat_plugin::export!(Notify);
