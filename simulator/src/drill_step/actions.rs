//! What the simulator serves as if it were a plugin.

use lifeboat_core::{
    action::{Action, Effect, Field},
    name::ActionName,
};

use crate::drill::{field, hold_action};

/// Reviews the drills of a run.
pub(super) const REVIEW: &str = "drill/review";
/// Writes the metrics for monitoring.
pub(super) const WRITE_METRICS: &str = "drill/write-metrics";

/// The actions, as a plugin would declare them. They touch no target.
pub fn actions() -> Vec<Action> {
    vec![hold_action(), review(), write_metrics()]
}

fn review() -> Action {
    let parameters = vec![
        field(
            "evidence",
            "list<record{point: string, evidence: string}>",
            false,
            "What the run itself shows of a point of the check lists: the point in the words of the list, and what shows it.",
        ),
        field(
            "complete",
            "bool",
            false,
            "Whether it fails where a drill was no pass or was held without its controls, or a point is not shown; by default `true`.",
        ),
    ];
    let outputs = vec![
        field("drills", "int", true, "How many drills of this run it has read."),
        field("points", "int", true, "How many points their check lists have together."),
        field("shown", "int", true, "How many of them are shown."),
        field("against", "list<string>", true, "What stands against the whole; empty where nothing does."),
        field("lessons", "list<string>", true, "What should be looked into."),
        field("text", "string", true, "The same for people: a sentence, what stands against it, and the lessons."),
        field("page", "string", true, "The path of `review.html`, beside which `review.json` and `review.md` lie."),
        field("digest", "string", true, "`sha256:…` of `review.json`: what is signed."),
    ];
    let doc = "Reviews the drills that this run has held: each point of their check lists with what shows it, and the lessons. \
               Fails with `drill-review` where something stands against them.";
    action(REVIEW, doc, parameters, outputs)
}

fn write_metrics() -> Action {
    let textfile = "The file that is replaced; its name ends in `.prom`.";
    let parameters = vec![field("textfile", "string", true, textfile)];
    let outputs = vec![
        field("textfile", "string", true, "The file."),
        field("samples", "int", true, "How many samples were read back from it."),
    ];
    let doc = "Writes the metrics about drills and verified backups for Prometheus, as `lifeboat metrics --textfile` does, and reads them back.";
    action(WRITE_METRICS, doc, parameters, outputs)
}

fn action(name: &str, doc: &str, parameters: Vec<Field>, outputs: Vec<Field>) -> Action {
    Action {
        name: ActionName::new(name).unwrap_or_else(|error| unreachable!("it is a name: {error}")),
        doc: doc.to_owned(),
        parameters,
        outputs,
        effect: Effect::Read,
        idempotent: true,
        observable: false,
    }
}
