//! The keys of a drill file.

use lifeboat_core::document::{Object, Shape, required};

const ROWS: Shape = Shape::Int(1, 100_000_000);

/// The whole file.
pub(super) static DRILL: Object = Object {
    what: "a drill file",
    one_of: &[],
    fields: &[
        required("lifeboat", "Version of the language: 1.", Shape::Version),
        required("drill", "Its name in reports.", Shape::Text),
        required("runbook", "The runbook, relative to the drill file.", Shape::Text),
        required("scenario", "Which disaster is replayed.", Shape::Word(&["accidental-deletion"])),
        required("size", "How much is loaded.", Shape::Object(&SIZE)),
        required("control_size", "How much is loaded for the controls.", Shape::Object(&SIZE)),
        required("workload", "The application's writers.", Shape::Object(&WORKLOAD)),
        required("probes", "What watches the application.", Shape::Object(&PROBES)),
        required("windows", "How long the phases take.", Shape::Object(&WINDOWS)),
        required("archive", "The WAL archive.", Shape::Object(&ARCHIVE)),
        required("approvals", "Who answers the runbook's questions.", Shape::Object(&APPROVALS)),
        required("inputs", "The runbook's inputs.", Shape::Names(&Shape::Object(&FACT))),
        required("restored_by", "The step whose success means that the data is back.", Shape::Name),
    ],
};

static SIZE: Object = Object {
    what: "a size",
    one_of: &[],
    fields: &[
        required("customers", "Rows of `customers`.", ROWS),
        required("orders", "Rows of `orders`.", ROWS),
        required("order_items", "Rows of `order_items`.", ROWS),
        required("damaged_customers", "Customers that the disaster takes.", ROWS),
    ],
};

static WORKLOAD: Object = Object {
    what: "a workload",
    one_of: &[],
    fields: &[
        required("writers", "How many writers.", Shape::Int(1, 64)),
        required("writes_per_second", "Writes a second, of all writers together.", Shape::Int(1, 10_000)),
        required("habits", "What it does after the disaster, not knowing of it.", Shape::Object(&HABITS)),
    ],
};

static HABITS: Object = Object {
    what: "the block `habits`",
    one_of: &[],
    fields: &[
        required("made_again", "Deleted customers who are made again under the same key.", Shape::Int(0, 1_000)),
        required(
            "accounts_closed",
            "Customers who stay, lose their items, and are then removed.",
            Shape::Int(0, 1_000),
        ),
    ],
};

static PROBES: Object = Object {
    what: "the block `probes`",
    one_of: &[],
    fields: &[
        required("interval", "From one probe of a kind to the next.", Shape::Duration),
        required("answer_within", "A probe without an answer has failed after so long.", Shape::Duration),
        required("sampled_customers", "Customers whose content is watched.", Shape::Int(2, 10_000)),
        required("detect_after", "So many failures in a row make monitoring notice.", Shape::Int(1, 1_000)),
    ],
};

static WINDOWS: Object = Object {
    what: "the block `windows`",
    one_of: &[],
    fields: &[
        required("before_fault", "Writers and probes run so long before the disaster.", Shape::Duration),
        required("stable", "A window this long without a failed probe counts as stable.", Shape::Duration),
        required("stable_in_production", "What it would be in production.", Shape::Duration),
        required("recovery_at_most", "The engine is stopped after so long.", Shape::Duration),
    ],
};

static ARCHIVE: Object = Object {
    what: "the block `archive`",
    one_of: &[],
    fields: &[
        required("interval", "A segment is archived at the latest after so long.", Shape::Duration),
        required("in_production", "What it would be in production.", Shape::Duration),
    ],
};

static APPROVALS: Object = Object {
    what: "the block `approvals`",
    one_of: &[],
    fields: &[
        required("policy", "The name of the rule.", Shape::Text),
        required("comment", "What it says with each yes.", Shape::Text),
        required("evidence", "What it hands in where a step is done by hand.", Shape::Names(&Shape::Text)),
    ],
};

static FACT: Object = Object {
    what: "an input",
    one_of: &[],
    fields: &[required("fact", "What a responder would know.", Shape::Word(&["damaged_table", "last_good_probe"]))],
};
