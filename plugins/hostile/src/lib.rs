//! A plugin that does everything wrong, for tests of the host. It is never shipped.
//!
//! Each action breaks one promise: it does not end, traps, eats memory, answers rubbish, or reaches for what it was not
//! given. Whatever it does must fail its own step with a code and leave the engine and the other steps alone.

mod answers;
mod declaration;
mod reaches;
mod resources;

use lifeboat_plugin::{Action, Call, Failure, Http, Machine, Observation, Outcome, Plugin, Postgres, Runtime};

/// The plugin.
pub struct Hostile;

impl<C: Runtime + Postgres + Machine + Http> Plugin<C> for Hostile {
    const NAME: &'static str = "hostile";

    fn actions() -> Vec<Action> {
        declaration::actions()
    }

    fn run(call: &Call, caps: &C) -> Result<Outcome, Failure> {
        match call.action.as_str() {
            "nothing" => Outcome::new(serde_json::json!({}), "did nothing"),
            "loop" => resources::spin(),
            "trap" => resources::trap(),
            "recurse" => resources::recurse(),
            "eat-memory" => resources::eat_memory(),
            "sleep-for-ever" => resources::sleep_for_ever(caps),
            "flood-log" => resources::flood_log(caps),
            "rubbish-json" => answers::rubbish_json(),
            "wrong-outputs" => answers::wrong_outputs(),
            "forge" => answers::forge(),
            "huge-answer" => answers::huge_answer(),
            "ask-other-role" => reaches::other_role(call, caps),
            "write-in-read" => reaches::write_in_read(call, caps),
            "control-transaction" => reaches::control_transaction(call, caps),
            "exfiltrate-path" => reaches::exfiltrate_path(call, caps),
            "run-program" => reaches::run_program(call, caps),
            "destroy-in-read" => reaches::destroy_in_read(call, caps),
            "write-on" => reaches::write_on(call, caps),
            "post-elsewhere" => reaches::post_elsewhere(call, caps),
            _ => Err(call.unknown_action(<Self as Plugin<C>>::NAME)),
        }
    }

    fn observe(call: &Call, _caps: &C) -> Result<Observation, Failure> {
        match call.action.as_str() {
            "rubbish-json" => answers::rubbish_json().map(Observation::Done),
            "forge" => Ok(Observation::Unknown(answers::forged())),
            "trap" => resources::trap().map(Observation::Done),
            "loop" => resources::spin().map(Observation::Done),
            _ => Ok(Observation::NotDone),
        }
    }
}

lifeboat_plugin::export!(Hostile);
