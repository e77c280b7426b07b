//! Each check seen failing: evidence of a good drill, doctored in one place.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, KnownBy, Outcome},
    failure::{Failure, Reason},
    name::{RunId, StepId},
    run::{Run, StepRun, StepState},
};
use lifeboat_runtime::{
    journal::Recorded,
    session::{Ended, How},
};
use serde_json::json;

use super::*;
use crate::{
    clock::{At, Clock},
    drill::{DrillRequest, DrillSpec, evidence::Evidence, executed::Executed, holding::Holding, report::verdict},
    fault::{Bite, Struck, Wanted},
    host::{Load, Readiness},
    ledger::{Baseline, Change, History, Id, Key, Write},
    measurement::{FinalRecord, FinalState, Losses, Probe, StabilityRule, Unexpected, UnexpectedKind, Verdict},
    testbed::{BackupInfo, Notification, Signature, WorkEntry},
    workload::{WriterReport, shop::GoneOn},
};

mod failover;
mod parts;
mod standbys;

use parts::*;

const FAULT: At = At(1_000_000);
const MARKER: i64 = 77;
const COPY: &str = "lb-1f2e3d4c5b";
const SET_FILE: &str = "exact-set-742.txt";

/// Everything that the checks look at, as it is after a drill in which all went well.
struct Case {
    evidence: Evidence,
    losses: Option<Losses>,
    spec: DrillSpec,
    holding: Holding,
    telling: Vec<String>,
}

impl Case {
    fn good() -> Self {
        let request = DrillRequest::new("dr-003", "nowhere").unwrap();
        let holding = Holding {
            name: String::new(),
            fault: true,
            sabotage: None,
            size: request.spec.size,
            home: PathBuf::new(),
            cache: PathBuf::new(),
        };
        let evidence = evidence_of(holding.size.damaged_customers);
        let telling = vec!["announce".to_owned(), "report".to_owned()];
        Self { evidence, losses: Some(Losses::default()), spec: request.spec, holding, telling }
    }

    fn checks(&self) -> Vec<Check> {
        self.asked(checks)
    }

    fn asked<T>(&self, ask: fn(&Looked<'_>) -> T) -> T {
        let Self { evidence, losses, spec, holding, telling } = self;
        let (episode, recover) = (&evidence.episodes[0], spec.recoveries().next().unwrap());
        let run = "dr-003-20261121-7f3a";
        let losses = losses.as_ref();
        ask(&Looked { evidence, losses, spec, holding, number: 1, episode, run, recover: Some(recover), telling })
    }

    fn episode(&mut self) -> &mut Episode {
        &mut self.evidence.episodes[0]
    }

    fn struck(&mut self) -> &mut Struck {
        &mut self.episode().struck[0]
    }

    fn step(&mut self, id: &str) -> &mut StepRun {
        let run = &mut self.episode().executed.as_mut().unwrap().state;
        run.steps.iter_mut().find(|step| step.id.as_str() == id).unwrap()
    }
}

/// What the checks alone make of a drill whose objectives are met.
fn overall(checks: &[Check]) -> Verdict {
    verdict(checks)
}

#[test]
fn a_good_drill_holds_every_check() {
    let checks = Case::good().checks();
    let failed: Vec<_> = checks.iter().filter(|check| !check.passed || !check.measured).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!((checks.len(), overall(&checks)), (17, Verdict::Met));
    insta::assert_snapshot!(told(&checks));
}

/// No check disappears: what is not asked is told, with what it would need.
#[test]
fn every_check_is_asked_or_told_as_not_applied() {
    let split = |case: &Case| {
        let asked: BTreeSet<String> = case.checks().into_iter().map(|check| check.name).collect();
        let not_applied = case.asked(not_applied);
        assert!(not_applied.iter().all(|check| check.needs.starts_with("a ") || check.needs.starts_with("faults")));
        let told: BTreeSet<String> = not_applied.into_iter().map(|check| check.name).collect();
        assert!(asked.is_disjoint(&told), "{asked:?} {told:?}");
        let all: BTreeSet<String> = names().map(str::to_owned).collect();
        assert_eq!(asked.union(&told).cloned().collect::<BTreeSet<_>>(), all);
        told
    };
    let good = split(&Case::good());
    assert!(good.contains("standbys-agree") && !good.contains("fault-was-seen"), "{good:?}");
    let mut quiet = Case::good();
    quiet.holding.fault = false;
    assert!(split(&quiet).contains("fault-was-seen"));
}

fn told<'a>(checks: impl IntoIterator<Item = &'a Check>) -> String {
    checks.into_iter().map(|check| format!("{}: {}\n", check.name, check.detail)).collect()
}

type Doctor = fn(&mut Case);

/// What is done to the evidence, the check that must see it, and what the drill then is.
const DOCTORED: &[(&str, Doctor, &str, Verdict)] = &[
    (
        "half the writes",
        |case| case.evidence.history.writes.truncate(60),
        "enough-writes-before-fault",
        Verdict::Unmeasured,
    ),
    (
        "no write deletes an item",
        |case| forget(case, Operation::Delete, Collection::OrderItems),
        "every-kind-of-write-before-fault",
        Verdict::Unmeasured,
    ),
    (
        "no write changes a customer",
        |case| forget(case, Operation::Update, Collection::Customers),
        "every-kind-of-write-before-fault",
        Verdict::Unmeasured,
    ),
    (
        "a probe failed before the fault",
        |case| case.evidence.probes[7].ok = false,
        "healthy-before-fault",
        Verdict::Unmeasured,
    ),
    (
        "a kind of probe was never made",
        |case| case.evidence.probes.retain(|probe| probe.kind != ProbeKind::FreshWrite),
        "healthy-before-fault",
        Verdict::Unmeasured,
    ),
    (
        "a kind of probe was made too rarely",
        |case| thin_out(case, ProbeKind::PooledRead),
        "healthy-before-fault",
        Verdict::Unmeasured,
    ),
    (
        "an answer is missing",
        |case| unanswered(&mut case.evidence.history.writes[20]),
        "ledger-complete",
        Verdict::Unmeasured,
    ),
    ("the ledger lost an acknowledgement", |case| case.evidence.handed_in += 1, "ledger-complete", Verdict::Unmeasured),
    (
        "the writers saw another number",
        |case| case.evidence.writers.acknowledged -= 1,
        "ledger-complete",
        Verdict::Unmeasured,
    ),
    (
        "a copy lies there before",
        |case| case.evidence.work_before = vec![folder("lb-0011223344")],
        "restore-target-empty-before",
        Verdict::Unmeasured,
    ),
    (
        "a file lies there before",
        |case| case.evidence.work_before = vec![file("dump.sql")],
        "restore-target-empty-before",
        Verdict::Unmeasured,
    ),
    (
        "the marker is older than the backup",
        |case| case.evidence.backup_ended = At(5),
        "marker-after-base-backup",
        Verdict::Unmeasured,
    ),
    (
        "the marker is not in the ledger",
        |case| case.evidence.marker = order(5),
        "marker-after-base-backup",
        Verdict::Unmeasured,
    ),
    ("nothing was deleted", |case| case.episode().struck.clear(), "fault-took-rows", Verdict::Unmeasured),
    (
        "too few rows were deleted",
        |case| *removed(case, Collection::Customers) -= 1,
        "fault-took-rows",
        Verdict::Unmeasured,
    ),
    (
        "nothing went by cascade",
        |case| *removed(case, Collection::OrderItems) = 0,
        "fault-took-rows",
        Verdict::Unmeasured,
    ),
    (
        "no content probe saw it",
        |case| case.evidence.probes.iter_mut().for_each(|probe| probe.ok = true),
        "fault-was-seen",
        Verdict::Unmeasured,
    ),
    ("content was wrong before only", |case| content_fails_only(case, 5), "fault-was-seen", Verdict::Unmeasured),
    (
        "the writers stood still during the merge",
        |case| drop(case.evidence.history.writes.pop()),
        "writers-ran-during-merge",
        Verdict::Unmeasured,
    ),
    (
        "the merge never succeeded",
        |case| drop(case.episode().executed.as_mut().unwrap().events.pop()),
        "writers-ran-during-merge",
        Verdict::Unmeasured,
    ),
    ("the marker is gone", |case| forget_row(case, order(MARKER)), "marker-survives", Verdict::Missed),
    (
        "the marker has other content",
        |case| state(case).get_mut(&order(MARKER)).unwrap().intact = false,
        "marker-survives",
        Verdict::Missed,
    ),
    ("the marker is not what was written", |case| wrong(case, order(MARKER)), "marker-survives", Verdict::Missed),
    ("a row differs", |case| wrong(case, order(5)), "rows-equal-ledger", Verdict::Missed),
    ("a row is unexpected", |case| unexpected(case, order(5)), "rows-equal-ledger", Verdict::Missed),
    (
        "the endpoints differ",
        |case| case.evidence.direct = Ok(FinalState::from([(order(6), final_row(3))])),
        "endpoints-agree",
        Verdict::Missed,
    ),
    (
        "both endpoints are empty",
        |case| (case.evidence.state, case.evidence.direct) = (Ok(FinalState::new()), Ok(FinalState::new())),
        "endpoints-agree",
        Verdict::Missed,
    ),
    ("the run failed", |case| fail(case, "merge-failed"), "runbook-succeeded", Verdict::Missed),
    ("the engine never ran", |case| case.episode().executed = None, "runbook-succeeded", Verdict::Missed),
    (
        "rows are left over and the run calls that a plain success",
        |case| finish(case, Outcome::Succeeded),
        "runbook-succeeded",
        Verdict::Missed,
    ),
    (
        "fewer customers were made again",
        |case| case.episode().gone_on.made_again.truncate(9),
        "application-went-on",
        Verdict::Unmeasured,
    ),
    (
        "customers were made again who were never deleted",
        |case| case.episode().gone_on.made_again[0].0 = 7,
        "application-went-on",
        Verdict::Unmeasured,
    ),
    ("no account was closed", |case| case.episode().gone_on.closed.clear(), "application-went-on", Verdict::Unmeasured),
    (
        "the closed accounts had lost nothing",
        |case| case.struck().removed.retain(|key, _| key.collection == Collection::Customers.name()),
        "application-went-on",
        Verdict::Unmeasured,
    ),
    (
        "a row that was made again has its older content",
        |case| state(case).get_mut(&customer(503)).unwrap().write = 0,
        "newer-rows-stay",
        Verdict::Missed,
    ),
    ("a row that was made again is gone", |case| forget_row(case, customer(503)), "newer-rows-stay", Verdict::Missed),
    (
        "a closed account is back",
        |case| state(case).extend([(customer(3), final_row(1))]),
        "newer-rows-stay",
        Verdict::Missed,
    ),
    ("another copy is left", |case| work(case).push(folder("lb-00aa11bb22")), "copy-removed", Verdict::Missed),
    (
        "the copy is gone with the rows that only it had",
        |case| work(case).retain(|entry| entry.is_file),
        "copy-removed",
        Verdict::Missed,
    ),
    (
        "the copy is left though nothing is left over",
        |case| case.step("merge").state = case.step("find").state.clone(),
        "copy-removed",
        Verdict::Missed,
    ),
    ("a file that no step names is left", |case| work(case).push(file("core.12345")), "copy-removed", Verdict::Missed),
    (
        "a folder that names the run is left",
        |case| work(case).push(WorkEntry { names_run: true, ..folder("scratch") }),
        "copy-removed",
        Verdict::Missed,
    ),
    (
        "a folder is left under a record's name",
        |case| *work(case) = vec![folder(SET_FILE)],
        "copy-removed",
        Verdict::Missed,
    ),
    (
        "the last notification never came",
        |case| drop(case.evidence.notifications.pop()),
        "people-told",
        Verdict::Missed,
    ),
    (
        "a notification is not signed",
        |case| case.evidence.notifications[0].signature = Signature::Wrong,
        "people-told",
        Verdict::Missed,
    ),
];

#[test]
fn each_check_fails_where_it_should() {
    let mut unseen: BTreeSet<String> = Case::good().checks().into_iter().map(|check| check.name).collect();
    let mut story = String::new();
    for (what, doctor, name, expected) in DOCTORED.iter().copied() {
        let mut case = Case::good();
        doctor(&mut case);
        let checks = case.checks();
        let check = checks.iter().find(|check| check.name == name).unwrap();
        assert!(!check.passed && check.measured, "{what}: {check:?}");
        let verdict = overall(&checks);
        // A second check may see it too, and make of it a miss.
        assert!(verdict == expected || verdict == Verdict::Missed, "{what}: {verdict}");
        story.push_str(&format!("{what}\n  {}", told([check])));
        unseen.remove(name);
    }
    assert!(unseen.is_empty(), "never seen failing: {unseen:?}");
    insta::assert_snapshot!(story);
}

#[test]
fn what_could_not_be_read_is_unmeasured_and_never_green() {
    let down = || "connection refused".to_owned();
    let table: [(&str, Doctor, &[&str]); 3] = [
        (
            "the application's path",
            |case| (case.evidence.state, case.losses) = (Err("refused".into()), None),
            &["rows-equal-ledger", "endpoints-agree", "marker-survives", "newer-rows-stay"],
        ),
        ("the server", |case| case.evidence.direct = Err("refused".into()), &["endpoints-agree"]),
        ("the work folder", |case| case.evidence.work_after = Err("refused".into()), &["copy-removed"]),
    ];
    for (what, doctor, names) in table {
        let mut case = Case::good();
        doctor(&mut case);
        let checks = case.checks();
        let unmeasured: Vec<_> =
            checks.iter().filter(|check| !check.measured).map(|check| check.name.as_str()).collect();
        assert_eq!(unmeasured, names, "{what}");
        assert!(checks.iter().all(|check| check.measured || (!check.passed && check.detail.contains("not measured"))));
        assert_eq!(overall(&checks), Verdict::Unmeasured, "{what}");
    }
    let mut case = Case::good();
    (case.evidence.state, case.evidence.direct, case.losses) = (Err(down()), Err(down()), None);
    insta::assert_snapshot!(told(case.checks().iter().filter(|check| !check.passed)));
}

/// A recovery that the drill itself ended: nothing in it is proof against the runbook, and nothing is green that was not.
#[test]
fn what_the_drill_cut_short_is_unmeasured() {
    let mut case = Case::good();
    fail(&mut case, "merge-failed");
    wrong(&mut case, order(5));
    work(&mut case).push(folder("lb-00aa11bb22"));
    assert_eq!(overall(&case.checks()), Verdict::Missed);
    let executed = case.episode().executed.as_mut().unwrap();
    executed.ended.as_mut().unwrap().how = How::Stopped;
    executed.out_of_time = true;
    let checks = case.checks();
    assert_eq!(overall(&checks), Verdict::Unmeasured);
    let open: Vec<_> = checks.iter().filter(|check| !check.measured).collect();
    assert_eq!(
        open.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(),
        ["rows-equal-ledger", "runbook-succeeded", "copy-removed"]
    );
    assert!(
        open.iter().all(|check| !check.passed && check.detail.contains("ended this recovery after 600s")),
        "{open:?}"
    );
}

fn forget(case: &mut Case, operation: Operation, collection: Collection) {
    case.evidence
        .history
        .writes
        .retain(|write| (write.operation, &write.changes[0].collection) != (operation, &collection.name()));
}

fn thin_out(case: &mut Case, kind: ProbeKind) {
    let mut number = 0;
    case.evidence.probes.retain(|probe| {
        number += usize::from(probe.kind == kind);
        probe.kind != kind || number.is_multiple_of(3)
    });
}

fn unanswered(write: &mut Write) {
    (write.outcome, write.ended) = (WriteOutcome::Pending, None);
}

fn removed(case: &mut Case, collection: Collection) -> &mut u64 {
    let mut bites = case.struck().bite.iter_mut();
    &mut bites.find(|bite| bite.what == collection.as_str()).unwrap().count
}

/// Of the content probes only that one fails.
fn content_fails_only(case: &mut Case, number: i64) {
    let content = case.evidence.probes.iter_mut().filter(|probe| probe.kind == ProbeKind::Content);
    content.for_each(|probe| probe.ok = probe.started.0 != number * 100_000);
}

fn state(case: &mut Case) -> &mut FinalState {
    case.evidence.state.as_mut().unwrap()
}

fn forget_row(case: &mut Case, key: Key) {
    state(case).remove(&key);
}

fn work(case: &mut Case) -> &mut Vec<WorkEntry> {
    case.evidence.work_after.as_mut().unwrap()
}

fn wrong(case: &mut Case, key: Key) {
    case.losses.as_mut().unwrap().wrong.insert(key);
}

fn unexpected(case: &mut Case, key: Key) {
    case.losses.as_mut().unwrap().unexpected.push(Unexpected { key, kind: UnexpectedKind::NeverWritten });
}

fn fail(case: &mut Case, code: &str) {
    let failure = Failure::Permanent(Reason::new(code, "it did not work"));
    case.step("find").state = StepState::Failed { failure };
    finish(case, Outcome::Failed);
}

fn finish(case: &mut Case, outcome: Outcome) {
    let executed = case.episode().executed.as_mut().unwrap();
    executed.ended.as_mut().unwrap().how = How::Finished(outcome);
}
