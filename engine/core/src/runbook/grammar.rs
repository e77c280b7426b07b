//! The keys of a runbook.

use crate::{
    action::Effect,
    bindings::TARGET_KINDS,
    every::Every,
    grammar::{Field, Object, Shape, optional, required},
    plan::Section,
};

const FAILURES: &[&str] = &["transient", "interrupted", "permanent", "denied", "invalid_input"];

/// The whole file.
pub(crate) static RUNBOOK: Object = Object {
    what: "a runbook",
    one_of: &[],
    fields: &[
        required("lifeboat", "Version of the language: 1.", Shape::Version),
        required("id", "Short name that reports and runs use: `DR-003`.", Shape::Text),
        required("name", "What it is for, in a few words.", Shape::Text),
        optional("description", "What it does, for people.", Shape::Text),
        optional("objectives", "What the recovery must achieve.", Shape::Object(&OBJECTIVES)),
        optional(
            "every",
            "How often it has to be executed with success: of a routine, such as a verification.",
            Shape::Word(&Every::WORDS),
        ),
        optional("inputs", "Values that are given when a run starts, by name.", Shape::Names(&Shape::Object(&INPUT))),
        optional("targets", "Roles that real systems play, by name.", Shape::Names(&Shape::Object(&TARGET))),
        required("steps", "The steps, in order.", Shape::List(&Shape::Object(&STEP))),
        optional("on_failure", "Handlers that run if the run fails or is aborted.", Shape::List(&Shape::Object(&STEP))),
        optional("finally", "Handlers that run last, however the run ended.", Shape::List(&Shape::Object(&STEP))),
    ],
};

static OBJECTIVES: Object = Object {
    what: "`objectives`",
    one_of: &[],
    fields: &[
        optional("rto", "Longest tolerable outage: `1h`.", Shape::Duration),
        optional("rpo", "Longest tolerable period of lost writes: `5m`.", Shape::Duration),
        optional("clock", "The moment from which the RTO counts.", Shape::Word(&["onset", "detect", "declare"])),
        optional("restored_by", "The step after which users are served again; default: the last one.", Shape::Name),
        optional("window_days", "How many days back it must be possible to recover to.", Shape::Int(1, 36_500)),
    ],
};

static INPUT: Object = Object {
    what: "an input",
    one_of: &[],
    fields: &[
        required("type", "Its type: `string`, `timestamp`, `list<int>` …", Shape::Type),
        optional("description", "What it is, for people.", Shape::Text),
        optional("default", "Its value if none is given.", Shape::Any),
    ],
};

static TARGET: Object = Object {
    what: "a target",
    one_of: &[],
    fields: &[
        required("kind", "The kind of system that plays the role.", Shape::Word(TARGET_KINDS)),
        optional("access", "The most that a step may do with it: read, write or destroy.", Shape::Word(Effect::WORDS)),
        optional("description", "What it is, for people.", Shape::Text),
    ],
};

/// The keys under which steps stand, in the order in which they run.
pub(super) const SECTIONS: &[(&str, Section)] =
    &[("steps", Section::Steps), ("on_failure", Section::OnFailure), ("finally", Section::Finally)];

/// What a step does: exactly one of these keys is there.
pub(super) const KINDS: &[&str] = &["uses", "runbook", "approve", "manual", "drill"];

static STEP: Object = Object { what: "a step", one_of: KINDS, fields: STEP_FIELDS };

const STEP_FIELDS: &[Field] = &[
    required("id", "Its name, by which other steps refer to it.", Shape::Name),
    optional("title", "What it does, for people.", Shape::Text),
    optional("uses", "The action that it runs: `pg/restore`.", Shape::Action),
    optional("with", "The parameters of the action.", Shape::Any),
    optional("runbook", "The runbook that it calls: a path relative to this file.", Shape::Text),
    optional("inputs", "The inputs of the called runbook, by name.", Shape::Names(&Shape::Any)),
    optional("targets", "The role of this runbook that plays each role of the called one.", Shape::Names(&Shape::Name)),
    optional("approve", "Waits for the approval of a person.", Shape::Object(&APPROVE)),
    optional("manual", "Waits for a person to do something outside of Lifeboat.", Shape::Object(&MANUAL)),
    optional("drill", "Holds a drill: the action `drill/hold`.", Shape::Object(&DRILL)),
    optional("variant", "The only variant in which it runs.", Shape::Word(&["planned", "disaster"])),
    optional(
        "needs",
        "The steps that must succeed before it starts; default: the previous step.",
        Shape::List(&Shape::Name),
    ),
    optional("when", "It is skipped if this is false.", Shape::Expression),
    optional("for_each", "It runs once for each item of this list.", Shape::Expression),
    optional("max_parallel", "Items in flight at once; default: 8.", Shape::Int(1, 256)),
    optional("allow_empty", "Whether an empty list is a plain success, not an exception; default: false.", Shape::Bool),
    optional(
        "timeout",
        "Longest time for one attempt: `40m`; or one limit for an attempt and one for the whole step.",
        Shape::DurationOr(&TIMEOUT),
    ),
    optional("estimate", "How long it is expected to take: `check` adds these up.", Shape::Duration),
    optional("retry", "When to retry it.", Shape::Object(&RETRY)),
    optional("undo", "How to undo it.", Shape::Object(&USE)),
    optional("on_failure", "What its failure means for the run.", Shape::Word(&["stop", "continue", "undo"])),
];

static APPROVE: Object = Object {
    what: "`approve`",
    one_of: &[],
    fields: &[
        optional("by", "Roles of the people who may answer.", Shape::List(&Shape::Name)),
        required("message", "The question.", Shape::Template),
        optional("four_eyes", "Whether two different people must approve; default: false.", Shape::Bool),
        optional("expires", "Time after which an unanswered question expires: `30m`.", Shape::Duration),
    ],
};

static MANUAL: Object = Object {
    what: "`manual`",
    one_of: &[],
    fields: &[
        required("instruction", "What to do.", Shape::Template),
        optional("evidence", "The evidence that must be given: name and type.", Shape::Names(&Shape::Type)),
        optional("verify", "An action that verifies the work before the run continues.", Shape::Object(&USE)),
    ],
};

static DRILL: Object = Object {
    what: "`drill`",
    one_of: &[],
    fields: &[
        required(
            "scenario",
            "The name of a drill, or the path of a drill file relative to this file.",
            Shape::Template,
        ),
        optional("testbed", "The testbed; default: `process`.", Shape::Word(&["process", "container"])),
        optional("controls", "Whether its negative controls are held too; default: false.", Shape::Bool),
    ],
};

static TIMEOUT: Object = Object {
    what: "`timeout`",
    one_of: &[],
    fields: &[
        optional("attempt", "Longest time for one attempt.", Shape::Duration),
        optional("step", "Longest time for all attempts, including the waits between them.", Shape::Duration),
    ],
};

static RETRY: Object = Object {
    what: "`retry`",
    one_of: &[],
    fields: &[
        required("attempts", "Number of attempts, including the first.", Shape::Int(1, 100)),
        optional("backoff", "Wait before the second attempt; doubled for each further attempt.", Shape::Duration),
        optional("backoff_max", "Longest wait between two attempts.", Shape::Duration),
        optional("on", "The kinds of failure after which it is retried.", Shape::List(&Shape::Word(FAILURES))),
    ],
};

static USE: Object = Object {
    what: "an action with its parameters",
    one_of: &[],
    fields: &[
        required("uses", "The action: `pg/destroy-instance`.", Shape::Action),
        optional("with", "Its parameters.", Shape::Any),
    ],
};
