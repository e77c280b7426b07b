//! Drills on real servers, on few rows: as they are, and with known breakages, each of which must turn them red.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test shows the phases, and says loudly what it skips"
)]

use std::{error::Error, time::Duration};

use lifeboat_core::run::Run;
use lifeboat_runtime::report::Report;
use lifeboat_simulator::{
    controls::{Breakage, Control, LeftOut},
    drill::{self, DrillObserver, DrillRequest, DrillSpec, Moment, Phase},
    ledger::Name,
    measurement::Verdict,
    model::Size,
    report::{CheckKind, DrillReport, schema},
    testbed::{Backend, available},
    workload::shop::Habits,
};

type Tested = Result<(), Box<dyn Error>>;

/// Shows the phases where a test is run with `--nocapture`.
struct Printer;

impl DrillObserver for Printer {
    fn phase(&self, holding: &str, phase: &Phase) {
        println!("{holding} {phase}");
    }

    fn engine(&self, report: &Report, _run: &Run) {
        match report {
            Report::Recorded(recorded) => println!("  {}", serde_json::to_string(recorded).expect("an event is JSON")),
            Report::Note(note) => println!("  {note:?}"),
            Report::Refused(refusal) => println!("  {refusal:?}"),
        }
    }
}

/// A drill on few rows; `None` where this machine has no PostgreSQL, which is said loudly.
async fn hold(sabotage: Option<Control>) -> Result<Option<DrillReport>, Box<dyn Error>> {
    hold_with(sabotage, |_| {}).await
}

/// A control of the drill that ships.
fn shipped(name: &str) -> Result<Control, Box<dyn Error>> {
    let request = DrillRequest::new("dr-003", "nowhere")?;
    let found = request.spec.controls.into_iter().find(|control| control.name == name);
    found.ok_or_else(|| format!("the drill has no control {name}").into())
}

fn control(name: &str, step: Option<&str>, breakage: Breakage) -> Control {
    let red_by = "residual-damage".to_owned();
    Control { name: name.to_owned(), step: step.map(str::to_owned), breakage, red_by }
}

fn recovery_at_most(spec: &mut DrillSpec, length: Duration) {
    for moment in &mut spec.timeline {
        if let Moment::Recover(recover) = moment {
            recover.at_most = length;
        }
    }
}

async fn hold_with(
    sabotage: Option<Control>,
    change: impl FnOnce(&mut DrillSpec),
) -> Result<Option<DrillReport>, Box<dyn Error>> {
    if let Err(unavailable) = available(Backend::Process) {
        eprintln!("SKIPPED: {unavailable}");
        return Ok(None);
    }
    let home = tempfile::tempdir()?;
    let mut request = DrillRequest::new("dr-003", home.path())?;
    request.size = Some(Size { customers: 4000, orders: 6000, order_items: 9000, damaged_customers: 1200 });
    if let Some(Moment::Steady(length)) = request.spec.timeline.first_mut() {
        *length = Duration::from_secs(3);
    }
    request.spec.windows.stable = Duration::from_secs(2);
    let name = sabotage.as_ref().map_or_else(|| "none".to_owned(), |control| control.name.clone());
    request.sabotage = sabotage;
    change(&mut request.spec);
    let report = drill::run(request, &Printer).await?;
    let folder = home.path().join("runs").join(&report.run);
    if let Ok(kept) = std::env::var("LIFEBOAT_KEEP_REPORTS") {
        for file in ["report.json", "report.html"] {
            std::fs::copy(folder.join(file), std::path::Path::new(&kept).join(format!("{name}-{file}")))?;
        }
    }
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("report.json"))?)?;
    let problems: Vec<String> =
        jsonschema::validator_for(&schema())?.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    assert!(folder.join("report.html").exists() && folder.join("ledger.jsonl").exists());
    Ok(Some(report))
}

fn failed(report: &DrillReport) -> Vec<&str> {
    report.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_runbook_puts_everything_back() -> Tested {
    let Some(report) = hold(None).await? else { return Ok(()) };
    assert_eq!(failed(&report), Vec::<&str>::new(), "{:#?}", report.checks);
    assert_eq!(report.verdict, Verdict::Met, "{report:#?}");
    let writes = &report.writes;
    assert_eq!((writes.lost, writes.lost_loaded_rows, writes.unexpected), (Some(0), Some(0), Some(0)));
    assert_eq!(report.residual_damage(), Some(0));
    assert!(
        report.episodes[0].rto.service_s.is_some_and(|service| service.low > 0.0),
        "the outage was seen: {:?}",
        report.episodes[0].rto
    );
    assert!(report.steps().any(|step| step.on_critical_path));
    Ok(())
}

/// An application that never touched the damage leaves nothing to decide: a plain success, and no copy.
#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_left_over_no_copy_stays() -> Tested {
    let quiet = |spec: &mut DrillSpec| spec.workload.habits = Habits::default();
    let Some(report) = hold_with(None, quiet).await? else { return Ok(()) };
    assert_eq!(failed(&report), Vec::<&str>::new(), "{:#?}", report.checks);
    assert_eq!((report.verdict, report.episodes[0].outcome.as_str()), (Verdict::Met, "succeeded"), "{report:#?}");
    let copy = report.checks.iter().find(|check| check.name == "copy-removed").expect("is checked");
    assert_eq!(copy.detail, "nothing is left in the work folder");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_made_again_that_are_overwritten_turn_the_drill_red() -> Tested {
    let Some(report) = hold(Some(shipped("overwritten-keys")?)).await? else { return Ok(()) };
    assert_eq!(report.verdict, Verdict::Missed);
    assert_eq!(report.residual_damage(), Some(10), "{:?}", report.episodes[0].rpo);
    assert!(failed(&report).contains(&"newer-rows-stay"), "{:#?}", report.checks);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_skips_rows_turns_the_drill_red() -> Tested {
    let left = LeftOut { collection: Name::fixed("order_items"), each: 1000 };
    let skipped = control("skipped-rows", Some("merge"), Breakage::LeavesOut(left));
    let Some(report) = hold(Some(skipped)).await? else { return Ok(()) };
    assert_eq!(report.verdict, Verdict::Missed);
    assert!(report.residual_damage().is_some_and(|rows| rows > 0), "{:?}", report.episodes[0].rpo);
    assert!(failed(&report).contains(&"rows-equal-ledger"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_loses_an_acknowledgement_turns_the_drill_red() -> Tested {
    let lost = control("lost-acknowledgement", None, Breakage::LosesAcknowledgement(100));
    let Some(report) = hold(Some(lost)).await? else { return Ok(()) };
    assert_ne!(report.verdict, Verdict::Met);
    let evidence = report.checks.iter().filter(|check| check.kind == CheckKind::Evidence && !check.passed);
    assert_eq!(evidence.map(|check| check.name.as_str()).collect::<Vec<_>>(), ["ledger-complete"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disaster_that_nobody_notices_is_a_miss_and_no_recovery_time() -> Tested {
    let unwatched = |spec: &mut DrillSpec| {
        spec.probes.detect_after = 1000;
        recovery_at_most(spec, Duration::from_secs(2));
    };
    let Some(report) = hold_with(None, unwatched).await? else { return Ok(()) };
    assert_eq!((report.verdict, report.episodes[0].outcome.as_str()), (Verdict::Missed, "not_started"));
    assert!(report.residual_damage().is_some_and(|rows| rows >= 1200), "{:?}", report.episodes[0].rpo);
    // An outage without an end was seen for some seconds, and the objective is an hour: the rows that are gone make the miss.
    assert!(
        report.episodes[0].rto.service_s.is_some_and(|service| service.low > 0.0 && service.high.is_none()),
        "{:?}",
        report.episodes[0].rto
    );
    assert_eq!(report.episodes[0].rto.verdict, Verdict::Unmeasured, "{:?}", report.episodes[0].rto);
    assert!(report.episodes[0].rto.missing.is_some(), "{:?}", report.episodes[0].rto);
    assert!(failed(&report).contains(&"runbook-succeeded"));
    Ok(())
}

/// Probes that look at no row of the disaster do not see it: then nothing was measured, whatever became of the rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_no_probe_sees_measures_no_recovery_time() -> Tested {
    let blind = |spec: &mut DrillSpec| {
        spec.probes.sampled_customers = 0;
        recovery_at_most(spec, Duration::from_secs(2));
    };
    let Some(report) = hold_with(None, blind).await? else { return Ok(()) };
    assert_eq!((report.episodes[0].rto.service_s, report.episodes[0].rto.verdict), (None, Verdict::Unmeasured));
    assert!(failed(&report).contains(&"fault-was-seen"));
    assert_eq!(report.verdict, Verdict::Missed, "the rows are gone, which the full read has seen");
    Ok(())
}
