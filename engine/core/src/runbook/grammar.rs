//! The keys of a runbook.

use crate::{
    action::Effect,
    bindings::TARGET_KINDS,
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
        optional("inputs", "What must be given when a run starts, by name.", Shape::Names(&Shape::Object(&INPUT))),
        optional("targets", "Roles that real systems play, by name.", Shape::Names(&Shape::Object(&TARGET))),
        required("steps", "What is done, in order.", Shape::List(&Shape::Object(&STEP))),
        optional(
            "on_failure",
            "What is done when the steps did not lead to the end, by failure or abort.",
            Shape::List(&Shape::Object(&STEP)),
        ),
        optional("finally", "What is done last, however it ended.", Shape::List(&Shape::Object(&STEP))),
    ],
};

static OBJECTIVES: Object = Object {
    what: "`objectives`",
    one_of: &[],
    fields: &[
        optional("rto", "Longest tolerable outage: `1h`.", Shape::Duration),
        optional("rpo", "Longest tolerable span of lost writes: `5m`.", Shape::Duration),
        optional("clock", "From when the RTO counts.", Shape::Word(&["onset", "detect", "declare"])),
    ],
};

static INPUT: Object = Object {
    what: "an input",
    one_of: &[],
    fields: &[
        required("type", "Its type: `string`, `timestamp`, `list<int>` …", Shape::Type),
        optional("description", "What it is, for people.", Shape::Text),
        optional("default", "Its value where none is given.", Shape::Any),
    ],
};

static TARGET: Object = Object {
    what: "a target",
    one_of: &[],
    fields: &[
        required("kind", "What kind of system plays the role.", Shape::Word(TARGET_KINDS)),
        optional("access", "The most that a step may do with it.", Shape::Word(Effect::WORDS)),
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
    required("id", "Its name, by which others refer to it.", Shape::Name),
    optional("title", "What it does, for people.", Shape::Text),
    optional("uses", "The action that it runs: `pg/restore`.", Shape::Action),
    optional("with", "The parameters of the action.", Shape::Any),
    optional("runbook", "The runbook that it calls: a path, seen from this file.", Shape::Text),
    optional("inputs", "What the called runbook is given, by name.", Shape::Names(&Shape::Any)),
    optional("targets", "Which role of this runbook plays each role of the called one.", Shape::Names(&Shape::Name)),
    optional("approve", "Waits for a person to say yes.", Shape::Object(&APPROVE)),
    optional("manual", "Waits for a person to do something outside.", Shape::Object(&MANUAL)),
    optional("drill", "Holds a drill: the action `drill/hold`.", Shape::Object(&DRILL)),
    optional("variant", "It is done in this variant only.", Shape::Word(&["planned", "disaster"])),
    optional(
        "needs",
        "The steps that must have ended well before; left out: the one before.",
        Shape::List(&Shape::Name),
    ),
    optional("when", "It is skipped where this is false.", Shape::Expression),
    optional("for_each", "It is done once for each item of this list.", Shape::Expression),
    optional("max_parallel", "Items in flight at once; left out: 8.", Shape::Int(1, 256)),
    optional("allow_empty", "A list without items is a success, not an exception; left out: false.", Shape::Bool),
    optional(
        "timeout",
        "Longest time for one attempt: `40m`; or one for an attempt and one for the step with all its attempts.",
        Shape::DurationOr(&TIMEOUT),
    ),
    optional("retry", "When to try again.", Shape::Object(&RETRY)),
    optional("undo", "How to take it back.", Shape::Object(&USE)),
    optional("on_failure", "What its failure means for the run.", Shape::Word(&["stop", "continue", "undo"])),
];

static APPROVE: Object = Object {
    what: "`approve`",
    one_of: &[],
    fields: &[
        optional("by", "Roles of the people who may answer.", Shape::List(&Shape::Name)),
        required("message", "What they are asked.", Shape::Template),
        optional("four_eyes", "Two different people must say yes; left out: false.", Shape::Bool),
        optional("expires", "The question is void so long after it was first asked: `30m`.", Shape::Duration),
    ],
};

static MANUAL: Object = Object {
    what: "`manual`",
    one_of: &[],
    fields: &[
        required("instruction", "What to do.", Shape::Template),
        optional("evidence", "What must be handed in: name and type.", Shape::Names(&Shape::Type)),
        optional("verify", "Checked before the run goes on.", Shape::Object(&USE)),
    ],
};

static DRILL: Object = Object {
    what: "`drill`",
    one_of: &[],
    fields: &[
        required("scenario", "A drill by its name, or the path of a drill file, seen from this one.", Shape::Template),
        optional("testbed", "Where its systems run; left out: `process`.", Shape::Word(&["process", "container"])),
    ],
};

static TIMEOUT: Object = Object {
    what: "`timeout`",
    one_of: &[],
    fields: &[
        optional("attempt", "Longest time for one attempt.", Shape::Duration),
        optional("step", "Longest time for all attempts and the waits between them.", Shape::Duration),
    ],
};

static RETRY: Object = Object {
    what: "`retry`",
    one_of: &[],
    fields: &[
        required("attempts", "Attempts in all.", Shape::Int(1, 100)),
        optional("backoff", "Wait before the second attempt, doubled for each further one.", Shape::Duration),
        optional("backoff_max", "The wait never grows beyond this.", Shape::Duration),
        optional("on", "The failures worth another attempt.", Shape::List(&Shape::Word(FAILURES))),
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
