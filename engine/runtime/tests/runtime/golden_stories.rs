//! Small whole runs that have every kind of event, for the golden journals.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    decide::advance,
    event::{Mode, Outcome, Person, RunStarted},
    expression::{Expression, Template},
    failure::{Failure, Reason},
    input::{Done, Input, Purpose},
    name::RunId,
    operator::{Command, Request},
    plan::{Each, Plan, Section, Step, StepKind},
    run::Run,
    sketch::{self, Repeat, approve, id, invocation, or_undo, uses, with_undo},
    types::Type,
};
use lifeboat_runtime::journal::Journal;
use lifeboat_virtual::{Played, Subject, play, resume};
use serde_json::json;

/// A run in the virtual world.
pub(crate) struct Story {
    /// The folder of the journal.
    pub(crate) name: &'static str,
    /// What is executed.
    pub(crate) plan: Plan,
    /// How it ends.
    pub(crate) ends: Outcome,
    mode: Mode,
    /// What an engine takes in right after the start, before it is gone and the virtual world goes on.
    then: Vec<Input>,
    /// What goes wrong in the virtual world, in its words.
    case: &'static str,
}

/// The plan in the virtual world.
pub(crate) fn subject(plan: &Plan) -> Subject {
    Subject::new(plan.clone(), SignedDuration::from_hours(1))
}

impl Story {
    fn new(name: &'static str, steps: Vec<Step>, ends: Outcome) -> Self {
        Self { name, plan: sketch::plan(steps), ends, mode: Mode::Real, then: Vec::new(), case: "1" }
    }

    fn case(self, case: &'static str) -> Self {
        Self { case, ..self }
    }

    fn then(mut self, input: Input) -> Self {
        self.then.push(input);
        self
    }

    /// Plays it.
    pub(crate) fn tell(&self) -> Played {
        let (subject, case) = (subject(&self.plan), self.case.parse().unwrap());
        if self.mode == Mode::Real && self.then.is_empty() {
            return play(&subject, &case);
        }
        resume(&subject, &case, &self.beginning())
    }

    /// The journal up to where the virtual world goes on.
    fn beginning(&self) -> Vec<u8> {
        let run = RunId::new(format!("dr-003-{}", self.name)).unwrap();
        let engine = env!("CARGO_PKG_VERSION").to_owned();
        let start = RunStarted { mode: self.mode, engine, ..sketch::started(&self.plan, &run) };
        let (mut state, mut journal) = (Run::new(&self.plan), Journal::begin(Vec::new(), &run));
        let mut at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(500_000);
        for input in [Input::Start(Box::new(start))].iter().chain(&self.then) {
            let events = advance(&self.plan, &mut state, input, at);
            assert!(!events.is_empty(), "{}: nothing follows from {input:?}", self.name);
            journal.append(at, &events).unwrap();
            at += SignedDuration::from_secs(1);
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
fn wants(command: Command) -> Input {
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
fn operators() -> [Story; 4] {
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
        Story::new("paused", steps(), Outcome::SucceededWithExceptions)
            .then(wants(pause))
            .then(failed("restore", Failure::Transient(reason())))
            .then(skip)
            .then(retry("restore"))
            .then(wants(unpause)),
        Story::new("reopened", steps(), Outcome::Succeeded)
            .then(failed("restore", Failure::Permanent(reason())))
            .then(retry("restore")),
        Story::new("onset", steps(), Outcome::Succeeded).then(wants(Command::Onset { onset: Timestamp::UNIX_EPOCH })),
        Story::new("undone-afterwards", with_a_way_back, Outcome::RolledBack)
            .then(done("fence"))
            .then(failed("restore", Failure::Permanent(reason())))
            .then(wants(Command::Abort { reason: Some("start anew".to_owned()), undo: true })),
    ]
}

fn dba() -> Person {
    Person::User { name: "dba".to_owned() }
}

/// Runs with something to do at their end.
fn handlers() -> [Story; 5] {
    let told = vec![
        uses("restore", &[], Repeat::Idempotent),
        handler(Section::OnFailure, uses("escalate", &[], Repeat::Idempotent)),
        handler(Section::Finally, uses("tell", &[], Repeat::Idempotent)),
    ];
    let failure = Story::new("handlers-of-a-failure", told.clone(), Outcome::Failed).case("1 permanent@restore#1");
    let abort = || Input::Abort { who: dba(), reason: "a false alarm".to_owned() };
    let cut_off = Story::new("handlers-cut-off", told.clone(), Outcome::Aborted).then(abort()).then(abort());
    let success = Story::new("handlers-of-a-success", told, Outcome::Succeeded);
    let asks = vec![
        uses("restore", &[], Repeat::Idempotent),
        handler(Section::Finally, approve("tidy-up", &[])),
        handler(Section::Finally, uses("destroy", &[1], Repeat::Idempotent)),
        handler(Section::Finally, uses("tell", &[2], Repeat::Idempotent)),
    ];
    let refused =
        Story::new("handlers-refused", asks, Outcome::SucceededWithExceptions).case("1 person-refuses@tidy-up#1");
    let once = vec![
        uses("restore", &[], Repeat::Idempotent),
        handler(Section::Finally, uses("charge", &[], Repeat::Opaque)),
        handler(Section::Finally, uses("tell", &[1], Repeat::Idempotent)),
    ];
    let lost = failed("restore", Failure::Permanent(Reason::new("test", "the disk is full")));
    let again = Story::new("handlers-again", once, Outcome::Succeeded)
        .then(lost)
        .then(done("charge"))
        .then(done("tell"))
        .then(retry("restore"));
    [failure, cut_off, success, refused, again]
}

/// Every golden journal.
pub(crate) fn stories() -> Vec<Story> {
    let fence_and_restore = || {
        vec![
            with_undo(uses("fence", &[], Repeat::Idempotent)),
            with_undo(uses("restore", &[0], Repeat::Observable)),
            or_undo(uses("merge", &[1], Repeat::Observable)),
        ]
    };
    let mut stories = vec![
        Story::new(
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
        .case("1 transient@announce#1 transient@announce#2"),
        Story::new("undo", fence_and_restore(), Outcome::RolledBack).case("1 permanent@merge#1"),
        Story::new("undo-fails", fence_and_restore(), Outcome::Failed)
            .case("1 permanent@merge#1 permanent@undo:fence#1"),
        Story::new(
            "abort",
            vec![uses("fence", &[], Repeat::Idempotent), uses("restore", &[0], Repeat::Observable)],
            Outcome::Aborted,
        )
        .then(Input::Abort { who: dba(), reason: "a false alarm".to_owned() }),
        Story::new("rejected", vec![uses("find", &[], Repeat::Idempotent), approve("sign-off", &[])], Outcome::Failed)
            .case("1 person-refuses@sign-off#1"),
    ];
    for (name, case) in
        [("observed-not-done", "1 crash-in-call@restore#1"), ("observed-done", "1 crash-unheard@restore#1")]
    {
        let steps = vec![uses("restore", &[], Repeat::Observable)];
        stories.push(Story::new(name, steps, Outcome::Succeeded).case(case));
    }
    for (name, case) in
        [("operator-runs-it-again", "1 crash-in-call@merge#1"), ("operator-saw-it-happen", "1 crash-unheard@merge#1")]
    {
        stories.push(Story::new(name, vec![uses("merge", &[], Repeat::Opaque)], Outcome::Succeeded).case(case));
    }
    let copy = vec![for_each(uses("copy", &[], Repeat::Idempotent)), uses("check", &[0], Repeat::Idempotent)];
    stories.push(Story::new("for-each", copy, Outcome::Succeeded).case("1 transient@copy[1]#1"));
    stories.extend(handlers());
    let mut dry = Story::new(
        "dry-run",
        vec![uses("find", &[], Repeat::Idempotent), approve("sign-off", &[0]), uses("merge", &[1], Repeat::Opaque)],
        Outcome::DryRun,
    );
    dry.mode = Mode::DryRun;
    stories.push(dry);
    stories.extend(operators());
    stories
}
