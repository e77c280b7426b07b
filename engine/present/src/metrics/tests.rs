//! Metrics as a collector reads them.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::{
    event::{Event, Mode, Outcome},
    name::RunId,
    plan::Plan,
    run::{Phase, Run},
    sketch::{self, Repeat},
};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    coverage::{KnownDrill, Today, coverage},
    drill::{DrillFile, Every, Interval, testing},
    history::{Executed, Holding},
};

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(day * 86_400).unwrap()
}

/// Coverage of DR-003, held so often, and of a drill that was never held.
fn held(holdings: &[Holding]) -> Coverage {
    let file = DrillFile { digest: "sha256:0".to_owned(), every: Some(Every::Quarterly), exercises: Vec::new() };
    let known = ["DR-003", "DR-001"].map(|drill| KnownDrill {
        drill: drill.to_owned(),
        command: String::new(),
        file: file.clone(),
        runbooks: Vec::new(),
    });
    let routine = |succeeded| Executed { times: 2, succeeded, every: Some(Every::Quarterly) };
    let runs = BTreeMap::from([("BV-001".to_owned(), routine(None)), ("QD-001".to_owned(), routine(Some(day(50))))]);
    let plugins = [];
    coverage(holdings, &Today { now: day(100), version: "0.1.0", plugins: &plugins, known: &known, runs: &runs })
}

fn holding(at: i64) -> Holding {
    Holding { length_s: Some(83.3), ..Holding::of(&testing::report(), day(at)) }
}

fn look(runbook: &str, at: i64, is_verified: bool) -> BackupLook {
    let (runbook, targets) = (runbook.to_owned(), "primary=db1:5432".to_owned());
    BackupLook { runbook, targets, at: day(at), is_verified, taken: Some(day(at - 1)), size_bytes: Some(1 << 20) }
}

/// The samples by their names and labels. A strict reader: what the collector refuses, or what makes it refuse the metrics of everybody
/// else on the machine, is a mistake here.
fn read(text: &str) -> Result<BTreeMap<String, f64>, String> {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let help = line.strip_suffix('\n').ok_or("the last line has no end")?;
        let help = help.strip_prefix("# HELP ").ok_or_else(|| format!("no help: {help}"))?;
        let (name, help) = help.split_once(' ').ok_or("no words in a help")?;
        is_name(name)?;
        if help.trim().is_empty() || !families.insert(name.to_owned()) {
            return Err(format!("{name} is there twice, or has no help"));
        }
        if lines.next() != Some(&format!("# TYPE {name} gauge\n")) {
            return Err(format!("{name} has no type behind its help"));
        }
        let before = samples.len();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (labels, value) = sample(line, name)?;
            if samples.insert(format!("{name}{labels}"), value).is_some() {
                return Err(format!("the same labels twice: {line}"));
            }
        }
        if samples.len() == before {
            return Err(format!("{name} has no sample"));
        }
    }
    Ok(samples)
}

fn sample(line: &str, name: &str) -> Result<(String, f64), String> {
    let line = line.strip_suffix('\n').ok_or("the last line has no end")?;
    let labels = line.strip_prefix(name).ok_or_else(|| format!("not of {name}: {line}"))?;
    let mut rest = labels.strip_prefix('{').ok_or_else(|| format!("no labels: {line}"))?;
    let mut names = BTreeSet::new();
    loop {
        let (label, behind) = rest.split_once("=\"").ok_or_else(|| format!("no label: {rest}"))?;
        is_name(label)?;
        if !names.insert(label.to_owned()) {
            return Err(format!("{label} is there twice"));
        }
        rest = &behind[end_of_value(behind)? + 1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => break,
        }
    }
    let value = rest.strip_prefix("} ").ok_or_else(|| format!("no value: {rest}"))?;
    let number = if value == "+Inf" { Ok(f64::INFINITY) } else { value.parse() };
    let number: f64 = number.map_err(|_| format!("a time behind the value, or no number: {value}"))?;
    if number.is_nan() || number < 0.0 {
        return Err(format!("not a number that is known: {value}"));
    }
    Ok((labels[..labels.len() - rest.len() + 1].to_owned(), number))
}

fn end_of_value(text: &str) -> Result<usize, String> {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        match (is_escaped, letter) {
            (true, '\\' | '"' | 'n') => is_escaped = false,
            (true, other) => return Err(format!("`\\{other}` is no escape")),
            (false, '\\') => is_escaped = true,
            (false, '"') => return Ok(at),
            (false, _) => {}
        }
    }
    Err("a value has no end".to_owned())
}

fn is_name(name: &str) -> Result<(), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    if begins && name.chars().all(is_part) { Ok(()) } else { Err(format!("`{name}` is no name")) }
}

fn text(holdings: &[Holding], looks: &[BackupLook]) -> String {
    metrics(&held(holdings), looks, &[], "0.1.0")
}

#[test]
fn the_metrics_of_rehearsals_and_backups() {
    let mut missed = holding(3);
    missed.verdict = "missed".to_owned();
    missed.episodes[0].rto =
        missed.episodes[0].rto.map(|rto| Against { measured_s: Some(Interval::more_than(9.0)), ..rto });
    let looks = [look("BV-001", 60, true), look("BV-001", 90, false), look("BV-001", 30, true)];
    let text = text(&[holding(1), missed], &looks);
    read(&text).unwrap();
    insta::assert_snapshot!(text);
}

const RULES: &str = include_str!("../../../../docs/operating/prometheus/rules.yml");
const RULE_TESTS: &str = include_str!("../../../../docs/operating/prometheus/rules.test.yml");

/// An alert on a metric that nobody writes never sounds, and looks as if all were well.
#[test]
fn alerts_are_on_metrics_that_are_written() {
    let mut missed = holding(3);
    missed.verdict = "missed".to_owned();
    let written = text(&[holding(1), missed], &[look("BV-001", 60, true), look("BV-001", 90, false)]);
    let families: BTreeSet<&str> =
        written.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")).collect();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let expressions: Vec<&str> = RULES.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    let mut alerted = BTreeSet::new();
    for expression in &expressions {
        let metrics = expression
            .split(|c: char| !is_word(c))
            .filter(|word| ["restore_drill_", "backup_", "lifeboat_"].iter().any(|prefix| word.starts_with(prefix)));
        alerted.extend(metrics);
    }
    assert!(alerted.len() > 8, "the expressions are not read: {alerted:?}");
    assert!(alerted.is_subset(&families), "{:?}", alerted.difference(&families));
    let alerts: Vec<&str> = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(alerts.len(), expressions.len());
    for alert in alerts {
        let tests: Vec<&str> =
            RULE_TESTS.split("alertname: ").filter(|rest| rest.lines().next() == Some(alert)).collect();
        let sounds = |rest: &&&str| rest.lines().nth(1).is_some_and(|line| line.trim() == "exp_alerts:");
        assert!(tests.iter().any(|rest| sounds(&rest)), "{alert} is never heard in its tests");
        assert!(tests.iter().any(|rest| !sounds(&rest)), "{alert} is never silent in its tests");
    }
}

#[test]
fn what_never_happened_is_absent_and_never_0() {
    let samples = read(&text(&[], &[])).unwrap();
    assert_eq!(samples["restore_drill_holdings{drill=\"DR-003\"}"], 0.0);
    let timestamps = samples.keys().filter(|name| name.contains("_timestamp"));
    let expected = [
        "lifeboat_metrics_written_timestamp{version=\"0.1.0\"}",
        "lifeboat_runbook_last_success_timestamp{runbook=\"QD-001\"}",
    ];
    assert_eq!(timestamps.collect::<Vec<_>>(), expected, "BV-001 never succeeded");
    assert_eq!(samples["restore_drill_overdue{drill=\"DR-003\"}"], 1.0);
}

#[test]
fn a_look_that_failed_takes_nothing_from_one_that_succeeded() {
    let samples = read(&text(&[], &[look("BV-001", 60, true), look("BV-001", 90, false)])).unwrap();
    let at = |result: &str| {
        let labels = format!("{{runbook=\"BV-001\",targets=\"primary=db1:5432\",result=\"{result}\"}}");
        samples[&format!("backup_verification_last_timestamp{labels}")]
    };
    assert_eq!((at("succeeded"), at("failed")), (60.0 * 86_400.0, 90.0 * 86_400.0));
}

#[test]
fn two_recoveries_by_one_runbook_are_two_series() {
    let mut holding = holding(1);
    holding.episodes.push(holding.episodes[0].clone());
    let samples = read(&text(&[holding], &[])).unwrap();
    let of = samples.keys().filter(|name| name.starts_with("restore_drill_rto_objective_seconds"));
    assert_eq!(of.count(), 2);
}

#[test]
fn the_strict_reader_refuses_what_a_collector_would() {
    let good = "# HELP a b\n# TYPE a gauge\na{x=\"1\"} 2\n";
    assert!(read(good).is_ok());
    for (from, to) in [
        (" 2\n", " 2 1795262400000\n"),
        (" 2\n", " 2\na{x=\"1\"} 3\n"),
        (" 2\n", " NaN\n"),
        (" 2\n", " 2"),
        ("# TYPE a gauge\n", ""),
        ("# HELP a b\n", ""),
        ("x=\"1\"", "x=\"1\",x=\"2\""),
        ("x=\"1\"", "x=\"\\1\""),
        ("x=\"1\"", "X y=\"1\""),
        ("a{x=\"1\"} 2\n", ""),
    ] {
        assert!(read(&good.replace(from, to)).is_err(), "{to}");
    }
    assert!(read(&format!("{good}{good}")).is_err(), "a family twice");
}

proptest! {
    #[test]
    fn they_can_be_read_whatever_is_in_them(name in testing::texts(), label in testing::texts()) {
        let mut holding = holding(1);
        holding.drill.clone_from(&name);
        holding.episodes[0].runbook.clone_from(&name);
        let look = BackupLook { targets: name.clone(), ..look(&name, 2, true) };
        let labels = [("cluster".to_owned(), label)];
        let text = metrics(&held(&[holding]), &[look], &labels, &name);
        let samples = read(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
        prop_assert!(samples.keys().all(|name| name.contains("cluster=")), "{}", text);
    }
}

/// A run of a runbook that does these things, which ended so.
fn run(actions: &[&str], mode: Mode, outcome: Option<Outcome>) -> (Plan, Run) {
    let step = |(place, action): (usize, &&str)| {
        let mut step = sketch::uses(&format!("step-{place}"), &[], Repeat::Idempotent);
        let mut invocation = step.action().unwrap().clone();
        invocation.action = lifeboat_core::name::ActionName::new(action).unwrap();
        step.kind = lifeboat_core::plan::StepKind::Uses(invocation);
        step
    };
    let plan = sketch::plan(actions.iter().enumerate().map(step).collect());
    let mut run = Run::new(&plan);
    let mut started = sketch::started(&plan, &RunId::new("bv-001-20261121-7f3a").unwrap());
    started.mode = mode;
    let places = [("primary", json!({ "host": "db1", "port": 5432 })), ("recovery", json!({ "kind": "machine" }))];
    started.targets =
        places.into_iter().map(|(role, facts)| (lifeboat_core::name::RoleName::new(role).unwrap(), facts)).collect();
    let mut apply = |event: serde_json::Value| {
        let event: Event = serde_json::from_value(event).unwrap();
        run.apply(day(1), &event).unwrap_or_else(|illegal| panic!("{event:?}: {illegal:?}"));
    };
    apply(json!(Event::RunStarted(started)));
    for place in 0..actions.len() {
        let step = format!("step-{place}");
        let outputs = json!({ "newest": "b", "taken": "2026-11-21T02:00:00Z", "size_bytes": 7 });
        apply(json!({ "event": "step_started", "step": step, "attempt": 1, "parameters": null, "deadline": null }));
        apply(
            json!({ "event": "step_succeeded", "step": step, "attempt": 1, "outputs": outputs, "summary": "", "known_by": "answer" }),
        );
    }
    outcome.into_iter().for_each(|outcome| run.phase = Phase::Finished { at: day(1), outcome });
    (plan, run)
}

#[test]
fn only_a_run_that_restores_and_reads_verifies_a_backup() {
    const ALL: [&str; 4] = ["pg/check-backups", "pg/verify-backup", "pg/restore", "pg/read-tables"];
    let look = |actions: &[&str], mode: Mode, outcome: Option<Outcome>| {
        let (plan, run) = run(actions, mode, outcome);
        super::look(&plan, &run)
    };
    let whole = look(&ALL, Mode::Real, Some(Outcome::Succeeded)).unwrap();
    assert_eq!(
        (whole.is_verified, whole.targets.as_str(), whole.size_bytes),
        (true, "primary=db1:5432 recovery", Some(7))
    );
    assert_eq!(whole.taken, Some("2026-11-21T02:00:00Z".parse().unwrap()));
    let failed = look(&ALL, Mode::Real, Some(Outcome::SucceededWithExceptions)).unwrap();
    assert!(!failed.is_verified, "what was left out was not verified");
    assert_eq!(look(&ALL, Mode::Real, None), None);
    assert_eq!(look(&ALL[..3], Mode::Real, Some(Outcome::Succeeded)), None);
    assert_eq!(look(&[ALL[0], ALL[1], ALL[3]], Mode::Real, Some(Outcome::Succeeded)), None);
    assert_eq!(look(&ALL, Mode::DryRun, Some(Outcome::Succeeded)), None);
}
