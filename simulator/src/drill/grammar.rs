//! The keys of a drill file.

use lifeboat_core::document::{self, Object, Shape, optional, required};
use lifeboat_present::drill::Every;
use serde_json::Value;

use crate::{fault, model::Collection, testbed};

const ROWS: Shape = Shape::Int(1, 100_000_000);

/// The JSON schema of a drill file, for editors.
pub fn schema() -> Value {
    document::schema(&DRILL, "urn:lifeboat:schema:drill:1", "Lifeboat drill")
}

/// The whole file.
pub(super) static DRILL: Object = Object {
    what: "a drill file",
    one_of: &[],
    fields: &[
        required("lifeboat", "Version of the language: 1.", Shape::Version),
        required("drill", "Its name in reports.", Shape::Text),
        required("systems", "The systems of the testbed.", Shape::Names(&Shape::ByKind(&testbed::PARAMETERS))),
        required("size", "How much data is loaded.", Shape::Object(&SIZE)),
        optional(
            "control_size",
            "How much data is loaded for the controls; by default the same.",
            Shape::Object(&SIZE),
        ),
        required("workload", "The application's writers.", Shape::Object(&WORKLOAD)),
        required("probes", "What watches the application.", Shape::Object(&PROBES)),
        required("windows", "How long the service must be healthy.", Shape::Object(&WINDOWS)),
        optional(
            "approvals",
            "What answers the runbooks' questions; required with a recovery.",
            Shape::Object(&APPROVALS),
        ),
        required("timeline", "What happens, in order.", Shape::List(&Shape::Object(&MOMENT))),
        optional("controls", "Known breakages that must turn the drill red.", Shape::List(&Shape::Object(&CONTROL))),
        optional("every", "How often it has to be held; by default it is never overdue.", Shape::Word(&Every::WORDS)),
        optional("checklist", "The check list that it is held for.", Shape::Object(&CHECKLIST)),
    ],
};

static CHECKLIST: Object = Object {
    what: "the block `checklist`",
    one_of: &[],
    fields: &[
        required("source", "Whose list it is.", Shape::Text),
        required("points", "Its points, in its order.", Shape::List(&Shape::Object(&POINT))),
    ],
};

static POINT: Object = Object {
    what: "a point of the check list",
    one_of: &[],
    fields: &[
        required("point", "Its words.", Shape::Text),
        required(
            "shown_by",
            "Checks, steps of the runbooks, or `rto`, `rpo`, `residual-damage`, `this-report`; none: nothing shows it.",
            Shape::List(&Shape::Name),
        ),
    ],
};

pub(super) static MOMENT: Object = Object {
    what: "an entry of the timeline",
    one_of: &["steady", "fault", "recover", "heal", "lag", "routine"],
    fields: &[
        optional("steady", "How long writers and probes run undisturbed.", Shape::Period),
        optional("fault", "A disaster strikes.", Shape::ByKind(&fault::PARAMETERS)),
        optional("recover", "The engine executes a runbook.", Shape::Object(&RECOVER)),
        optional("heal", "Ends the fault of that kind, as far as it can end by itself.", Shape::Name),
        optional("lag", "A standby is watched.", Shape::Object(&LAG)),
        optional("routine", "The engine executes a runbook that recovers nothing.", Shape::Object(&ROUTINE)),
    ],
};

static LAG: Object = Object {
    what: "the block `lag`",
    one_of: &["during", "within"],
    fields: &[
        required("of", "The standby.", Shape::Name),
        optional("during", "How long it is watched.", Shape::Period),
        optional(
            "within",
            "The time in which its lag must fall to `at_most`; it is watched until then.",
            Shape::Period,
        ),
        optional("at_most", "Its lag must never exceed this.", Shape::Period),
        optional("at_least", "Its lag must reach this at some time.", Shape::Period),
    ],
};

static RECOVER: Object = Object {
    what: "a recovery",
    one_of: &[],
    fields: &[
        required("runbook", "The runbook, relative to the drill file.", Shape::Text),
        required("restored_by", "The step whose success means that the data is back.", Shape::Name),
        optional("roles", "Roles that are played by systems with other names.", Shape::Names(&Shape::Name)),
        optional("inputs", "The runbook's inputs.", Shape::Names(&Shape::Object(&FACT))),
        required("at_most", "The engine is stopped after this time.", Shape::Period),
    ],
};

static ROUTINE: Object = Object {
    what: "a routine",
    one_of: &[],
    fields: &[
        required("runbook", "The runbook, relative to the drill file.", Shape::Text),
        optional("roles", "Roles that are played by systems with other names.", Shape::Names(&Shape::Name)),
        optional(
            "fails_with",
            "The code with which it has to fail because of a fault, which it has to name; by default it has to succeed.",
            Shape::Name,
        ),
        required("at_most", "The engine is stopped after this time.", Shape::Period),
    ],
};

static CONTROL: Object = Object {
    what: "a control",
    one_of: &["does", "with", "leaves_out"],
    fields: &[
        required("name", "Its name in the report.", Shape::Name),
        required("step", "The step that it breaks, which reports success all the same.", Shape::Name),
        optional("does", "What the step does instead: nothing.", Shape::Word(&["nothing"])),
        optional("with", "Parameters that the step gets instead of its own.", Shape::Names(&Shape::Any)),
        optional("leaves_out", "What the step leaves out.", Shape::Object(&LEFT_OUT)),
        required("red_by", "The check that must turn red, or `rto`, `rpo`, `residual-damage`.", Shape::Name),
    ],
};

static LEFT_OUT: Object = Object {
    what: "the block `leaves_out`",
    one_of: &[],
    fields: &[
        required("collection", "The collection of the damaged records.", Shape::Word(&Collection::WORDS)),
        required("each", "Leaves out one record in this many.", Shape::Int(1, 1_000_000)),
    ],
};

static SIZE: Object = Object {
    what: "a size",
    one_of: &[],
    fields: &[
        required("customers", "Rows of `customers`.", ROWS),
        required("orders", "Rows of `orders`.", ROWS),
        required("order_items", "Rows of `order_items`.", ROWS),
        optional("damaged_customers", "Customers that the fault deletes, if it deletes any.", ROWS),
    ],
};

static WORKLOAD: Object = Object {
    what: "a workload",
    one_of: &[],
    fields: &[
        required("store", "The system that keeps its records.", Shape::Name),
        optional("through", "The switch through which it reaches the store.", Shape::Name),
        required("writers", "How many writers.", Shape::Int(1, 64)),
        required("writes_per_second", "Writes per second of all writers together.", Shape::Int(1, 10_000)),
        optional("habits", "What it does after the fault, unaware of the damage.", Shape::Object(&HABITS)),
    ],
};

static HABITS: Object = Object {
    what: "the block `habits`",
    one_of: &[],
    fields: &[
        required("made_again", "Deleted customers who are made again under the same key.", Shape::Int(0, 1_000)),
        required(
            "accounts_closed",
            "Customers who are not deleted, lose their items, and are then removed.",
            Shape::Int(0, 1_000),
        ),
        optional("archived", "The first customers, whose records are never written again.", Shape::Int(0, 1_000_000)),
    ],
};

static PROBES: Object = Object {
    what: "the block `probes`",
    one_of: &[],
    fields: &[
        required("interval", "The time from one probe of a kind to the next.", Shape::Period),
        required("answer_within", "A probe without an answer fails after this time.", Shape::Period),
        required("sampled_customers", "Customers whose content is watched.", Shape::Int(2, 10_000)),
        required("detect_after", "How many failures in a row make monitoring notice.", Shape::Int(1, 1_000)),
    ],
};

static WINDOWS: Object = Object {
    what: "the block `windows`",
    one_of: &[],
    fields: &[
        required("stable", "A window this long without a failed probe counts as stable.", Shape::Period),
        required("stable_in_production", "The window in production.", Shape::Period),
    ],
};

static APPROVALS: Object = Object {
    what: "the block `approvals`",
    one_of: &[],
    fields: &[
        required("policy", "The name of the rule.", Shape::Text),
        required("comment", "The comment with each approval.", Shape::Text),
        required("evidence", "The evidence for steps that are done by hand.", Shape::Names(&Shape::Text)),
    ],
};

static FACT: Object = Object {
    what: "an input",
    one_of: &[],
    fields: &[required("fact", "A fact that a responder would know.", Shape::Name)],
};

#[cfg(test)]
mod tests {
    use lifeboat_core::{diagnostic::SourceFile, document::Document};

    use super::*;
    use crate::drill::DrillSpec;

    const SHIPPED: [&str; 3] = [
        include_str!("../../../workflows/drills/dr-003.yaml"),
        include_str!("../../../workflows/drills/standby-lag.yaml"),
        include_str!("../../../workflows/drills/bv-001.yaml"),
    ];

    /// Whether the schema accepts the drill, and whether the checker does.
    fn accepted(text: &str) -> (bool, bool) {
        let file = SourceFile { name: "drill.yaml".to_owned(), text: text.to_owned() };
        let value = Document::look_into(&file).get::<Value>(&[]).expect("YAML");
        let validator = jsonschema::validator_for(&schema()).expect("a schema");
        (validator.is_valid(&value), DrillSpec::parse(&file).is_ok())
    }

    #[test]
    fn the_schema_accepts_the_drills_that_are_shipped() {
        for text in SHIPPED {
            assert_eq!(accepted(text), (true, true), "{text}");
        }
    }

    #[test]
    fn the_schema_refuses_what_the_checker_refuses_of_a_single_value() {
        for (from, to) in [
            ("lifeboat: 1", "lifeboat: 2"),
            ("kind: accidental-deletion", "kind: accidental-deletoin"),
            ("kind: machine, of: primary", "kind: machine"),
            ("kind: webhook", "kind: pager"),
            ("orders: 60000", "orders: 0"),
            ("writers: 4", "writers: 65"),
            ("detect_after: 3", "detekt_after: 3"),
            ("steady: 8s", "steady: eight"),
            ("steady: 8s", "steady: 0s"),
            ("interval: 5s", "interval: 0s"),
            ("at_most: 10m", "at_most: PT0S"),
            ("  - steady: 8s", "  - { steady: 8s, heal: loss }"),
            ("  policy: drill-approves\n", ""),
            ("does: nothing", "does: everything"),
            ("does: nothing", "leaves_out: { collection: invoices, each: 3 }"),
            ("restored_by: merge", "restored_bye: merge"),
        ] {
            assert!(SHIPPED[0].contains(from), "{from}");
            assert_eq!(accepted(&SHIPPED[0].replacen(from, to, 1)), (false, false), "{to}");
        }
    }
}
