//! Small whole runs that have every kind of event, for the golden journals.

use std::collections::{BTreeMap, BTreeSet};

use futures::executor::block_on;
use lifeboat_core::{
    event::{Mode, Outcome, Person},
    expression::{Expression, Template},
    failure::{Failure, Reason},
    input::{Done, Input, Purpose},
    name::{RunId, StepId},
    operator::{Command, Request},
    plan::{Each, Plan, Section, Step, StepKind},
    run::Run,
    types::Type,
};
use lifeboat_runtime::{
    driver::{drive, fold, interrupted},
    journal::{Journal, read},
};
use serde_json::json;

use crate::{
    plans::{Repeat, approve, id, invocation, or_undo, plan, started, uses, with_undo},
    virtual_world::{Crash, Systems, VirtualWorld},
};

/// A run in the virtual world, of one session or more.
pub(crate) struct Case {
    /// The folder of the journal.
    pub(crate) name: &'static str,
    /// What is executed.
    pub(crate) plan: Plan,
    /// How it ends.
    pub(crate) ends: Outcome,
    systems: Systems,
    mode: Mode,
    /// Taken in right after the start.
    then: Vec<Input>,
    /// How the sessions end; another one follows them.
    crashes: Vec<Crash>,
    seed: u64,
}

impl Case {
    fn new(name: &'static str, steps: Vec<Step>, ends: Outcome) -> Self {
        let plan = plan(steps);
        let systems = Systems::of(&plan);
        Self { name, plan, ends, systems, mode: Mode::Real, then: Vec::new(), crashes: Vec::new(), seed: 1 }
    }

    fn flaky(mut self, step: &str, times: u32) -> Self {
        self.systems.flaky.insert(StepId::parse(step).unwrap(), times);
        self
    }

    fn broken(mut self, step: &str) -> Self {
        self.systems.broken.insert(id(step));
        self
    }

    fn lasting(mut self, step: &str) -> Self {
        self.systems.lasting.insert(id(step));
        self
    }

    fn crash(mut self, after: u64, seed: u64) -> Self {
        self.crashes.push(Crash::After(after));
        self.seed = seed;
        self
    }

    fn then(mut self, input: Input) -> Self {
        self.then.push(input);
        self
    }

    /// The journal.
    pub(crate) fn play(&self) -> Vec<u8> {
        let run = RunId::new(format!("dr-003-{}", self.name)).unwrap();
        let mut start = started(&self.plan, &run);
        start.mode = self.mode;
        start.engine = env!("CARGO_PKG_VERSION").to_owned();
        let mut opening = vec![Input::Start(Box::new(start))];
        opening.extend(self.then.clone());
        let (mut state, mut journal) = (Run::new(&self.plan), Journal::begin(Vec::new(), &run));
        let mut systems = self.systems.clone();
        let sessions = self.crashes.iter().copied().chain([Crash::Never]);
        for (session, crash) in sessions.enumerate() {
            let mut world = VirtualWorld::new(self.seed + session as u64, crash, journal, systems);
            block_on(drive(&self.plan, state, opening, &mut world)).unwrap();
            let bytes;
            (bytes, systems) = world.end();
            let contents = read(&bytes).unwrap();
            state = fold(&self.plan, &contents.records).unwrap();
            opening = interrupted(&state);
            journal = Journal::go_on(bytes, contents.end, contents.torn_bytes).unwrap();
        }
        journal.medium().clone()
    }
}

fn manual(name: &str, needs: &[usize], verified: bool) -> Step {
    let kind = StepKind::Manual {
        instruction: Template::new(json!("Point the name at the copy.")),
        evidence: BTreeMap::from([("ticket".to_owned(), Type::String)]),
        verify: verified.then(|| invocation("look", Repeat::Idempotent)),
    };
    Step { kind, ..approve(name, needs) }
}

fn skipped(mut step: Step) -> Step {
    step.when = Some(Expression::new("1 > 2"));
    step
}

/// Once for each of three items.
fn for_each(mut step: Step) -> Step {
    step.each =
        Some(Each { over: Expression::new("['a', 'b', 'c']"), item: Type::Json, max_parallel: 2, allow_empty: false });
    step
}

fn handler(section: Section, mut step: Step) -> Step {
    step.section = section;
    step
}

/// What somebody types at another terminal.
pub(crate) fn wants(command: Command) -> Input {
    let who = Person::User { name: "ada".to_owned() };
    Input::Command(Box::new(Request { who, groups: BTreeSet::new(), command }))
}

fn failed(step: &str, failure: Failure) -> Input {
    Input::Answered { step: id(step), attempt: 1, purpose: Purpose::Run, answer: Err(failure) }
}

fn done(step: &str) -> Input {
    let answer = Ok(Done { outputs: json!({}), summary: "done".to_owned() });
    Input::Answered { step: id(step), attempt: 1, purpose: Purpose::Run, answer }
}

fn retry(step: &str) -> Input {
    wants(Command::Retry { steps: vec![id(step)], from: false, confirmed: false, reason: Some("mended".to_owned()) })
}

/// Runs in which operators have their say.
fn operators() -> [Case; 4] {
    let steps = || {
        vec![
            uses("restore", &[], Repeat::Idempotent),
            uses("announce", &[0], Repeat::Idempotent),
            uses("merge", &[1], Repeat::Idempotent),
        ]
    };
    let with_a_way_back =
        vec![with_undo(uses("fence", &[], Repeat::Idempotent)), with_undo(uses("restore", &[0], Repeat::Idempotent))];
    let reason = || Reason::new("test", "the disk is full");
    let skip = wants(Command::Skip { step: id("announce"), reason: "everybody is on the phone".to_owned() });
    let (pause, unpause) =
        (Command::Pause { reason: Some("look first".to_owned()) }, Command::Unpause { reason: None });
    [
        Case::new("paused", steps(), Outcome::SucceededWithExceptions)
            .then(wants(pause))
            .then(failed("restore", Failure::Transient(reason())))
            .then(skip)
            .then(retry("restore"))
            .then(wants(unpause)),
        Case::new("reopened", steps(), Outcome::Succeeded)
            .then(failed("restore", Failure::Permanent(reason())))
            .then(retry("restore")),
        Case::new("onset", steps(), Outcome::Succeeded)
            .then(wants(Command::Onset { onset: jiff::Timestamp::UNIX_EPOCH })),
        Case::new("undone-afterwards", with_a_way_back, Outcome::RolledBack)
            .then(done("fence"))
            .then(failed("restore", Failure::Permanent(reason())))
            .then(wants(Command::Abort { reason: Some("start anew".to_owned()), undo: true })),
    ]
}

fn dba() -> Person {
    Person::User { name: "dba".to_owned() }
}

/// Runs with something to do at their end.
fn handlers() -> [Case; 5] {
    let told = vec![
        uses("restore", &[], Repeat::Idempotent),
        handler(Section::OnFailure, uses("escalate", &[], Repeat::Idempotent)),
        handler(Section::Finally, uses("tell", &[], Repeat::Idempotent)),
    ];
    let failure = Case::new("handlers-of-a-failure", told.clone(), Outcome::Failed).broken("restore");
    let abort = || Input::Abort { who: dba(), reason: "a false alarm".to_owned() };
    let cut_off = Case::new("handlers-cut-off", told.clone(), Outcome::Aborted).then(abort()).then(abort());
    let success = Case::new("handlers-of-a-success", told, Outcome::Succeeded);
    let asks = vec![
        uses("restore", &[], Repeat::Idempotent),
        handler(Section::Finally, approve("tidy-up", &[])),
        handler(Section::Finally, uses("destroy", &[1], Repeat::Idempotent)),
        handler(Section::Finally, uses("tell", &[2], Repeat::Idempotent)),
    ];
    let no = Input::Approval { step: id("tidy-up"), who: dba(), approved: false, comment: None };
    let refused = Case::new("handlers-refused", asks, Outcome::SucceededWithExceptions).then(done("restore")).then(no);
    let once = vec![
        uses("restore", &[], Repeat::Idempotent),
        handler(Section::Finally, uses("charge", &[], Repeat::Opaque)),
        handler(Section::Finally, uses("tell", &[1], Repeat::Idempotent)),
    ];
    let lost = failed("restore", Failure::Permanent(Reason::new("test", "the disk is full")));
    let again = Case::new("handlers-again", once, Outcome::Succeeded)
        .then(lost)
        .then(done("charge"))
        .then(done("tell"))
        .then(retry("restore"));
    [failure, cut_off, success, refused, again]
}

/// Every golden journal.
pub(crate) fn cases() -> Vec<Case> {
    let fence_and_restore = || {
        vec![
            with_undo(uses("fence", &[], Repeat::Idempotent)),
            with_undo(uses("restore", &[0], Repeat::Observable)),
            or_undo(uses("merge", &[1], Repeat::Observable)),
        ]
    };
    let mut cases = vec![
        Case::new(
            "retries-and-people",
            vec![
                uses("announce", &[], Repeat::Idempotent),
                skipped(uses("escalate", &[0], Repeat::Idempotent)),
                approve("sign-off", &[0]),
                manual("dns", &[2], true),
                manual("tell", &[3], false),
                uses("check", &[4], Repeat::Idempotent),
            ],
            Outcome::SucceededWithExceptions,
        )
        .flaky("announce", 2),
        Case::new("undo", fence_and_restore(), Outcome::RolledBack).broken("merge"),
        Case::new("undo-fails", fence_and_restore(), Outcome::Failed).broken("merge").lasting("fence"),
        Case::new(
            "abort",
            vec![uses("fence", &[], Repeat::Idempotent), uses("restore", &[0], Repeat::Observable)],
            Outcome::Aborted,
        )
        .then(Input::Abort { who: dba(), reason: "a false alarm".to_owned() }),
        Case::new("rejected", vec![uses("find", &[], Repeat::Idempotent), approve("sign-off", &[])], Outcome::Failed)
            .then(Input::Approval {
                step: id("sign-off"),
                who: dba(),
                approved: false,
                comment: Some("not now".to_owned()),
            }),
    ];
    for (name, seed) in [("observed-not-done", 1), ("observed-done", 2)] {
        cases.push(Case::new(name, vec![uses("restore", &[], Repeat::Observable)], Outcome::Succeeded).crash(1, seed));
    }
    for (name, seed) in [("operator-runs-it-again", 1), ("operator-saw-it-happen", 2)] {
        cases.push(Case::new(name, vec![uses("merge", &[], Repeat::Opaque)], Outcome::Succeeded).crash(1, seed));
    }
    let copy = vec![for_each(uses("copy", &[], Repeat::Idempotent)), uses("check", &[0], Repeat::Idempotent)];
    cases.push(Case::new("for-each", copy, Outcome::Succeeded).flaky("copy[1]", 1));
    cases.extend(handlers());
    let mut dry = Case::new(
        "dry-run",
        vec![uses("find", &[], Repeat::Idempotent), approve("sign-off", &[0]), uses("merge", &[1], Repeat::Opaque)],
        Outcome::DryRun,
    );
    dry.mode = Mode::DryRun;
    cases.push(dry);
    cases.extend(operators());
    cases
}
