//! A run as people read it who were not there.

use jiff::SignedDuration;
use lifeboat_core::{
    event::Mode,
    name::RunId,
    plan::Clock,
    sketch::{self, Repeat},
};
use serde_json::{Value, json};

use super::{
    spans::{Doing, pauses, spans},
    *,
};
use crate::drill::{Verdict, testing};

const START: i64 = 1_795_262_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

/// A run with its events.
struct Scene {
    plan: Plan,
    run: Run,
    events: Vec<(Timestamp, Event)>,
}

impl Scene {
    /// Three steps of which the middle one asks; it has an hour.
    fn new(clock: Clock) -> Self {
        let steps = vec![
            sketch::uses("find", &[], Repeat::Observable),
            sketch::approve("sign_off", &[0]),
            sketch::uses("merge", &[1], Repeat::Observable),
        ];
        let mut plan = sketch::plan(steps);
        (plan.objectives.rto, plan.objectives.clock) = (Some(SignedDuration::from_hours(1)), clock);
        Self { run: Run::new(&plan), plan, events: Vec::new() }
    }

    fn started(mut self, change: impl FnOnce(&mut RunStarted)) -> Self {
        let mut started = sketch::started(&self.plan, &RunId::new("dr-003-20261121-7f3a").unwrap());
        started.plan_digest = "sha256:plan".to_owned();
        change(&mut started);
        self.push(0, Event::RunStarted(started));
        self
    }

    fn push(&mut self, seconds: i64, event: Event) {
        self.run.apply(at(seconds), &event).unwrap_or_else(|illegal| panic!("{event:?}: {illegal:?}"));
        self.events.push((at(seconds), event));
    }

    fn then(mut self, seconds: i64, event: Value) -> Self {
        self.push(seconds, serde_json::from_value(event).unwrap());
        self
    }

    /// A search that fails once, a question that waits, a pause, and the end.
    fn whole(self, comment: &str) -> Self {
        let user = json!({"kind": "user", "name": "ada"});
        let failure = json!({"kind": "transient", "code": "pg-connection", "message": "the server does not answer"});
        let begin = |step: &str, attempt: u32| json!({"event": "step_started", "step": step, "attempt": attempt, "parameters": null, "deadline": null});
        let done = |step: &str, attempt: u32, known_by: &str| json!({"event": "step_succeeded", "step": step, "attempt": attempt, "outputs": {}, "summary": "12 rows", "known_by": known_by});
        self.then(1, begin("find", 1))
            .then(20, json!({"event": "attempt_failed", "step": "find", "attempt": 1, "failure": failure}))
            .then(20, json!({"event": "retry_scheduled", "step": "find", "until": at(30)}))
            .then(30, begin("find", 2))
            .then(60, done("find", 2, "answer"))
            .then(61, json!({"event": "run_paused", "who": user, "reason": "looking around"}))
            .then(100, json!({"event": "run_unpaused", "who": user}))
            .then(100, json!({"event": "approval_requested", "step": "sign_off", "by": ["dba"], "message": "Merge?", "four_eyes": true}))
            .then(200, json!({"event": "approval_answered", "step": "sign_off", "who": {"kind": "user", "name": "bob"}, "approved": true, "comment": null}))
            .then(400, json!({"event": "approval_answered", "step": "sign_off", "who": user, "approved": true, "comment": comment}))
            .then(400, done("sign_off", 0, "approval"))
            .then(401, begin("merge", 1))
            .then(600, done("merge", 1, "answer"))
            .then(601, json!({"event": "run_finished", "outcome": "succeeded"}))
    }

    fn tell<T>(&self, tell: impl FnOnce(&RunReport<'_>) -> T) -> T {
        let events: Vec<_> = self.events.iter().map(|(at, event)| (*at, event)).collect();
        let copies = ["lb-1 on `recovery`, port 5500 (restore): `lifeboat copies remove lb-1` removes it".to_owned()];
        tell(&RunReport {
            plan: &self.plan,
            run: &self.run,
            events: &events,
            live: false,
            copies: &copies,
            journal_hash: "sha256:abc",
            records: events.len() as u64,
            bindings_digest: "sha256:def",
            now: at(1_000),
        })
    }
}

fn onset(seconds: i64) -> impl FnOnce(&mut RunStarted) {
    move |started| started.onset = Some(at(seconds))
}

#[test]
fn a_recovery_time_is_as_good_as_what_is_known() {
    let check = |scene: &Scene, time: &str, verdict: Verdict| {
        scene.tell(|report| {
            let told = Told::of(report).unwrap();
            let recovery = recovery(&told).unwrap();
            assert_eq!((recovery.time().as_str(), recovery.verdict), (time, verdict));
        });
    };
    let whole = |clock: Clock, onset_at: Option<i64>| {
        let scene = Scene::new(clock);
        let scene = match onset_at {
            Some(seconds) => scene.started(onset(seconds)),
            None => scene.started(|_| ()),
        };
        scene.whole("fine")
    };
    check(&whole(Clock::Onset, Some(-600)), "20m 01s", Verdict::Met);
    check(&whole(Clock::Onset, Some(-3_000)), "1h 00m", Verdict::Missed);
    check(&whole(Clock::Onset, None), "> 10m 01s", Verdict::Unmeasured);
    check(&whole(Clock::Declare, None), "10m 01s", Verdict::Met);
    check(&whole(Clock::Declare, Some(-600)), "10m 01s to 20m 01s", Verdict::Met);
    check(&whole(Clock::Detect, Some(-3_000)), "10m 01s to 1h 00m", Verdict::Unmeasured);
    check(&whole(Clock::Detect, None), "> 10m 01s", Verdict::Unmeasured);
    let aborted = |clock: Clock, seconds: i64| {
        let abort =
            json!({"event": "abort_requested", "who": {"kind": "user", "name": "ada"}, "reason": "wrong server"});
        let cancelled = |step: &str| json!({"event": "step_cancelled", "step": step});
        let scene = Scene::new(clock).started(onset(-60)).then(seconds, abort);
        let scene =
            ["find", "sign_off", "merge"].iter().fold(scene, |scene, step| scene.then(seconds, cancelled(step)));
        scene.then(seconds, json!({"event": "run_finished", "outcome": "aborted"}))
    };
    check(&aborted(Clock::Onset, 60), "> 2m 00s", Verdict::Unmeasured);
    check(&aborted(Clock::Declare, 60), "> 1m 00s", Verdict::Unmeasured);
    check(&aborted(Clock::Onset, 7_200), "> 2h 01m", Verdict::Missed);
}

#[test]
fn a_dry_run_recovers_nothing() {
    let scene = Scene::new(Clock::Onset).started(|started| started.mode = Mode::DryRun);
    scene.tell(|report| {
        let told = Told::of(report).unwrap();
        assert!(recovery(&told).is_none());
        let text = markdown(report).unwrap();
        assert!(text.contains("A dry-run changes nothing") && !text.contains("Lost writes"), "{text}");
    });
}

#[test]
fn what_a_step_was_at_is_read_off_its_events() {
    let scene = Scene::new(Clock::Onset).started(|_| ()).whole("fine");
    scene.tell(|report| {
        let seconds = |at: Timestamp| at.as_second() - START;
        let told: Vec<_> = spans(report.events, report.now)
            .iter()
            .map(|span| (span.step.to_string(), span.doing, seconds(span.from), seconds(span.until), span.by.is_some()))
            .collect();
        let span = |step: &str, doing, from, until, by| (step.to_owned(), doing, from, until, by);
        assert_eq!(
            told,
            [
                span("find", Doing::FailedWork, 1, 20, false),
                span("find", Doing::BackOff, 20, 30, false),
                span("find", Doing::Work, 30, 60, false),
                span("sign_off", Doing::WaitForPerson, 100, 400, true),
                span("merge", Doing::Work, 401, 600, false),
            ]
        );
        let [pause] = pauses(report.events, report.now).try_into().unwrap();
        assert_eq!((seconds(pause.from), seconds(pause.until)), (61, 100));
    });
}

#[test]
fn a_run_reads_as_a_report() {
    let scene = Scene::new(Clock::Onset).started(onset(-600)).whole("a <b> | c");
    insta::assert_snapshot!(scene.tell(markdown).unwrap());
}

fn hostile(started: &mut RunStarted) {
    onset(-600)(started);
    started.runbook.name = "<script>alert(2)</script>".to_owned();
}

#[test]
fn the_page_of_a_run_is_whole_and_can_be_used_by_everybody() {
    let scene = Scene::new(Clock::Onset).started(hostile).whole("<script>alert(1)</script>");
    let page = scene.tell(page).unwrap();
    for foreign in ["<script", "http://", "https://", "<link", "<img", "style=\"", "fill=\"#"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    for landmark in ["<header>", "<nav aria-label=\"Contents\">", "<main>", "<footer>"] {
        assert_eq!(page.matches(landmark).count(), 1, "{landmark}");
    }
    assert_eq!(page.matches("<table").count(), page.matches("<caption>").count(), "each table says what it shows");
    for link in page.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(page.contains(&format!("<section id=\"{id}\" aria-labelledby=\"{id}-title\">")), "{id}");
    }
    assert!(page.contains("content: \"DR-003 · dr-003-20261121-7f3a\""), "each printed page names its run");
    for said in [
        "objective 1h 00m met",
        "sha256:abc",
        "sha256:def",
        "lifeboat copies remove lb-1",
        "approved by ada",
        "<title>sign_off: waited for a person for 5m 00s</title>",
        "<title>find: an attempt that failed for 19.0s</title>",
        "<title>paused for 39.0s</title>",
        "No probe watched the service",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_run_that_succeeded_too_late_or_nobody_knows_when_does_not_look_like_a_pass() {
    let check = |onset_at: Option<i64>, class: &str| {
        let scene = Scene::new(Clock::Onset);
        let scene = match onset_at {
            Some(seconds) => scene.started(onset(seconds)),
            None => scene.started(|_| ()),
        };
        let page = scene.whole("fine").tell(page).unwrap();
        assert!(page.contains(&format!("<div class=\"verdict {class}\"><strong>succeeded</strong>")), "{class}");
    };
    check(Some(-600), "met");
    check(Some(-3_000), "missed");
    check(None, "unmeasured");
}

#[test]
fn a_run_that_has_not_ended_says_so_and_looks_like_no_pass() {
    let scene = Scene::new(Clock::Onset).started(|_| ());
    let page = scene.tell(page).unwrap();
    assert!(page.contains("not over") && page.contains("There is no picture: no step has begun."), "{page}");
    assert!(!page.contains("class=\"verdict met\"") && !page.contains("class=\"met\""), "{page}");
    let suite = scene.tell(junit).unwrap();
    assert!(suite.contains("errors=\"5\"") && !suite.contains("<system-out>"), "{suite}");
    let nothing = Scene::new(Clock::Onset);
    assert!(nothing.tell(junit).is_none() && nothing.tell(markdown).is_none());
}

#[test]
fn the_suite_of_a_run_has_each_step() {
    let scene = Scene::new(Clock::Onset).started(onset(-600)).whole("fine");
    let suite = scene.tell(junit).unwrap();
    assert_eq!(testing::well_formed(&suite), Ok(5));
    assert!(suite.contains("tests=\"5\" failures=\"0\" errors=\"0\""), "{suite}");
    assert!(
        suite.contains("<testcase classname=\"step\" name=\"merge\" time=\"199.000\"><system-out>12 rows"),
        "{suite}"
    );
    assert!(!suite.contains("=\"\""), "no attribute is empty: {suite}");
}
