//! Coverage as programs and people read it.

use serde_json::json;

use super::*;
use crate::drill::{DrillReport, Exercise, Interval, testing};

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(day * 86_400).unwrap()
}

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

fn exercise(kind: &str, fault: &str, episode: Option<usize>) -> Exercise {
    let system = if kind == "standby" { "west" } else { "primary" };
    Exercise { system: system.to_owned(), kind: kind.to_owned(), fault: fault.to_owned(), episode }
}

fn file(every: Option<Every>, exercises: &[Exercise]) -> DrillFile {
    DrillFile { digest: DIGEST.to_owned(), every, exercises: exercises.to_vec() }
}

fn known(drill: &str, file: DrillFile) -> KnownDrill {
    let runbooks = vec![RunbookReport { id: "DR-003".to_owned(), digest: DIGEST.to_owned() }];
    KnownDrill { drill: drill.to_owned(), command: format!("lifeboat drill {}", drill.to_lowercase()), file, runbooks }
}

/// DR-003, which has to be held each quarter, and a drill that watches a standby and does not say how often.
fn all_known() -> Vec<KnownDrill> {
    vec![
        known("DR-003", file(Some(Every::Quarterly), &[exercise("postgres", "accidental-deletion", Some(1))])),
        known("standby-lag", file(None, &[exercise("standby", "loss", None), exercise("standby", "delay", None)])),
    ]
}

fn report() -> DrillReport {
    let mut report = testing::report();
    report.file = Some(all_known().remove(0).file);
    report
}

/// A line of a drill that was held then, changed by whoever tests.
fn held(at: i64, change: impl FnOnce(&mut Holding)) -> Holding {
    let mut holding = Holding::of(&report(), day(at));
    holding.run = format!("dr-003-{at}");
    change(&mut holding);
    holding
}

fn look(holdings: &[Holding], known: &[KnownDrill], now: i64) -> Coverage {
    let plugins = testing::report().environment.plugins;
    let executed = |times| Executed { times, ..Executed::default() };
    let routine = Executed { times: 2, succeeded: Some(day(1)), every: Some(Every::Monthly) };
    let runs = BTreeMap::from([
        ("BS-001".to_owned(), executed(3)),
        ("BV-001".to_owned(), routine),
        ("DR-003".to_owned(), executed(1)),
    ]);
    coverage(holdings, &Today { now: day(now), version: "0.1.0", plugins: &plugins, known, runs: &runs })
}

fn only(coverage: &Coverage) -> &ExerciseCoverage {
    let cell = coverage.cells.iter().find(|cell| cell.fault == "accidental-deletion").unwrap();
    &cell.drills[0]
}

#[test]
fn only_a_pass_against_which_nothing_is_said_is_one() {
    let check = |now: i64, change: fn(&mut Holding), state: CellState, notes: &[&str]| {
        let coverage = look(&[held(1, change)], &all_known(), now);
        assert_eq!(
            (only(&coverage).state, &only(&coverage).notes),
            (state, &notes.iter().map(|it| (*it).to_owned()).collect())
        );
    };
    use CellState::{Met, MetWithNotes, Missed, Unmeasured};
    check(91, |_| {}, Met, &[]);
    check(92, |_| {}, MetWithNotes, &["overdue"]);
    check(2, |it| it.verdict = "missed".to_owned(), Missed, &[]);
    check(2, |it| it.verdict = "unmeasured".to_owned(), Unmeasured, &[]);
    check(2, |it| it.verdict = "fine".to_owned(), Unmeasured, &[]);
    check(2, |it| it.controls = Some(ControlTally::default()), MetWithNotes, &["controls not run"]);
    check(2, |it| it.controls = None, MetWithNotes, &["not recorded whether controls were run"]);
    check(2, |it| it.version = "0.0.9".to_owned(), MetWithNotes, &["held with Lifeboat 0.0.9"]);
    check(2, |it| it.plugins[0].digest.push('1'), MetWithNotes, &["the plugin pg has changed since"]);
    check(2, |it| it.episodes[0].runbook_digest.push('1'), MetWithNotes, &["DR-003 has changed since"]);
    check(2, |it| it.file.as_mut().unwrap().digest.push('1'), MetWithNotes, &["the drill file has changed since"]);
    check(
        2,
        |it| it.file = None,
        MetWithNotes,
        &["what it exercised was not recorded: taken from its file as it is now"],
    );
}

#[test]
fn the_last_holding_counts_and_the_last_pass_is_told() {
    let missed = held(5, |it| it.verdict = "missed".to_owned());
    let coverage = look(&[held(1, |_| {}), held(3, |_| {}), missed], &all_known(), 6);
    let exercise = only(&coverage);
    assert_eq!(exercise.state, CellState::Missed);
    let at = |held: &Option<HeldExercise>| held.as_ref().map(|held| held.at);
    assert_eq!((at(&exercise.last), at(&exercise.last_met)), (Some(day(5)), Some(day(3))));
    let drill = &coverage.drills[0];
    assert_eq!((drill.held, drill.last_by_verdict.met, drill.last_by_verdict.missed), (3, Some(day(3)), Some(day(5))));
}

#[test]
fn a_cell_is_as_good_as_the_worst_drill_that_was_held_for_it() {
    let mut other = all_known().remove(0);
    other.drill = "all".to_owned();
    let known = [all_known(), vec![other]].concat();
    let state = |holdings: &[Holding]| {
        let coverage = look(holdings, &known, 6);
        coverage.cells.iter().find(|cell| cell.fault == "accidental-deletion").unwrap().state
    };
    let of_all = |verdict: &str| held(2, |it| (it.drill, it.verdict) = ("all".to_owned(), verdict.to_owned()));
    assert_eq!(state(&[]), CellState::NeverHeld);
    assert_eq!(state(&[held(1, |_| {})]), CellState::Met, "one that was never held takes nothing away");
    assert_eq!(state(&[held(1, |_| {}), of_all("unmeasured")]), CellState::Unmeasured);
    assert_eq!(state(&[held(1, |it| it.verdict = "missed".to_owned()), of_all("met")]), CellState::Missed);
}

#[test]
fn controls_of_an_earlier_holding_are_told_as_such() {
    let coverage = look(&[held(1, |_| {}), held(3, |it| it.controls = Some(ControlTally::default()))], &all_known(), 6);
    let controls = coverage.drills[0].controls.as_ref().unwrap();
    assert_eq!((controls.at, controls.tally.red.as_slice()), (day(1), ["wrong-target-time".to_owned()].as_slice()));
    assert_eq!(only(&coverage).notes, ["controls not run"]);
}

#[test]
fn what_a_drill_newly_exercises_was_never_held_and_what_it_does_not_any_more_is_told() {
    let mut known = all_known();
    known[0].file =
        DrillFile { digest: format!("{DIGEST}1"), ..file(None, &[exercise("postgres", "host-crash", Some(1))]) };
    let coverage = look(&[held(1, |_| {})], &known, 2);
    let new = coverage.cells.iter().find(|it| it.fault == "host-crash" && it.kind == "postgres").unwrap();
    assert_eq!(new.state, CellState::NeverHeld);
    assert_eq!(
        only(&coverage).notes,
        ["the drill does not exercise this any more", "the drill file has changed since"]
    );
}

#[test]
fn a_drill_whose_file_was_not_given_is_told_by_what_it_recorded() {
    let coverage = look(&[held(1, |_| {})], &[], 100);
    let drill = &coverage.drills[0];
    assert_eq!((drill.every_from, drill.overdue, drill.is_placed), (Some(EveryFrom::LastHolding), Some(true), true));
    assert_eq!(only(&coverage).notes, ["overdue", "its drill file was not given: it may have changed since"]);
    let coverage = look(&[held(1, |it| it.file = None)], &[], 100);
    assert_eq!((coverage.cells.len(), coverage.drills[0].is_placed, coverage.drills[0].overdue), (0, false, None));
}

#[test]
fn a_watched_standby_has_its_lag_and_no_recovery() {
    let lag = crate::history::HeldLag {
        standby: "west".to_owned(),
        faults: vec!["loss".to_owned()],
        longest_s: Some(Interval::between(2.0, 3.1)),
        verdict: Verdict::Met,
    };
    let other = crate::history::HeldLag { longest_s: Some(Interval::between(0.1, 0.2)), ..lag.clone() };
    let holding = held(1, |it| {
        (it.drill, it.file) = ("standby-lag".to_owned(), Some(all_known().remove(1).file));
        (it.episodes, it.lags) = (Vec::new(), vec![lag, other]);
    });
    let coverage = look(&[holding], &all_known(), 2);
    let cell = |fault: &str| {
        let cell = coverage.cells.iter().find(|it| it.kind == "standby" && it.fault == fault).unwrap();
        cell.drills[0].last.clone().unwrap()
    };
    assert_eq!((cell("loss").lag_s, cell("loss").rto), (Some(Interval::between(2.0, 3.1)), None));
    assert_eq!(cell("delay").lag_s, None, "it was not looked at while that was open");
}

#[test]
fn what_was_executed_in_earnest_and_is_rehearsed_by_nothing_is_named() {
    assert_eq!(look(&[], &all_known(), 1).not_rehearsed, ["BS-001"]);
    assert_eq!(look(&[held(1, |_| {})], &[], 1).not_rehearsed, ["BS-001"], "a drill of it was held");
}

#[test]
fn a_routine_is_overdue_when_it_has_not_succeeded_for_so_long() {
    let routine = |now: i64| look(&[], &all_known(), now).routines.remove(0);
    assert_eq!((routine(32).runbook.as_str(), routine(32).succeeded), ("BV-001", Some(day(1))));
    assert_eq!((routine(32).overdue, routine(33).overdue), (false, true));
}

/// Rows of several states, for people.
fn varied() -> Coverage {
    let lag = |verdict: &str, at: i64| {
        held(at, |it| {
            (it.drill, it.verdict, it.file) =
                ("standby-lag".to_owned(), verdict.to_owned(), Some(all_known().remove(1).file));
            (it.episodes, it.controls) = (Vec::new(), Some(ControlTally::default()));
        })
    };
    let third = known("DR-009 <&>", file(Some(Every::Monthly), &[exercise("postgres", "loss", Some(1))]));
    look(&[held(1, |_| {}), lag("missed", 2), lag("unmeasured", 3)], &[all_known(), vec![third]].concat(), 95)
}

fn text(sheet: &crate::chapter::Sheet) -> String {
    let rows = sheet.rows.iter().map(|row| row.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "));
    std::iter::once(format!("{}: {}", sheet.caption, sheet.heads.join(" | ")))
        .chain(rows)
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_tables_tell_it_in_words() {
    let coverage = varied();
    let sheets = [matrix_sheet(&coverage), exercises_sheet(&coverage), drills_sheet(&coverage)];
    insta::assert_snapshot!(sheets.iter().map(text).collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn the_picture_tells_it_without_colours() {
    let picture = draw(&varied());
    for needed in
        ["<title id=\"coverage-title\">", "<desc id=\"coverage-text\">", "prefers-color-scheme: dark", "role=\"img\""]
    {
        assert!(picture.contains(needed), "{needed}");
    }
    for foreign in ["<script", "href", "style=\"", "fill=\"#", "DR-009 <&>"] {
        assert!(!picture.contains(foreign), "{foreign}");
    }
    insta::assert_snapshot!(picture);
    let empty = draw(&look(&[], &[], 1));
    assert!(empty.contains("No drill is known, and none was held."), "{empty}");
}

#[test]
fn the_document_fits_its_schema() {
    let schema = super::schema();
    let document = json!(varied());
    let required = |schema: &serde_json::Value, value: &serde_json::Value| {
        let names = schema["required"].as_array().cloned().unwrap_or_default();
        names.iter().all(|name| value.get(name.as_str().unwrap()).is_some())
    };
    assert!(required(&schema, &document) && required(&schema["$defs"]["CoverageCell"], &document["cells"][0]));
    assert_eq!(schema["properties"]["format"]["const"], document["format"]);
}
