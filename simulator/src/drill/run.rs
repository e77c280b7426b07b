//! Holds a drill: systems up, disaster, recovery, measurement, systems down, whatever happens between.

use std::{
    any::Any,
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use futures::FutureExt;
use jiff::Timestamp;
use lifeboat_runtime::home::Home;
use serde_json::to_vec_pretty;

use super::{
    engine::Engine, error::DrillError, evidence::Evidence, observer::DrillObserver, report::assemble,
    request::DrillRequest, stage::Stage, variant::Variant,
};
use crate::{
    controls::Sabotage,
    measurement::Verdict,
    report::{self, Control, ControlRun, DrillReport},
    testbed::{Testbed, TestbedOptions},
};

/// Holds the drill, its controls where they are asked for, and leaves the report in the run's folder.
///
/// # Errors
/// Where the drill could not be held. A recovery that failed or was too slow is a report.
pub async fn run(request: DrillRequest, observer: &dyn DrillObserver) -> Result<DrillReport, DrillError> {
    let home = Home::open(&request.home)?;
    let variant = Variant {
        name: "",
        fault: true,
        sabotage: request.sabotage,
        size: request.size.unwrap_or(request.spec.size),
        home: request.home.clone(),
        cache: home.cache(),
    };
    let (mut report, folder) = hold(&request, &variant, observer).await?;
    if request.controls {
        hold_controls(&request, &variant, &folder, &mut report, observer).await?;
    }
    save(&folder, &report)?;
    home.add_to_history(&report::history_line(&report, Timestamp::now()))?;
    Ok(report)
}

/// One holding: its report, and the run's folder.
async fn hold(
    request: &DrillRequest,
    variant: &Variant,
    observer: &dyn DrillObserver,
) -> Result<(DrillReport, PathBuf), DrillError> {
    let phase = |text: &str| match variant.name {
        "" => observer.phase(text),
        name => observer.phase(&format!("{name}: {text}")),
    };
    phase("compiling the runbook");
    let engine = Engine::prepare(request, variant)?;
    let folder = engine.folder();
    phase(&format!("building the systems ({})", request.backend.as_str()));
    let evidence = match held(request, variant, &engine, observer, &phase).await {
        Ok(evidence) => evidence,
        Err(error) => {
            forget_empty_run(&folder);
            return Err(error);
        }
    };
    phase("measuring");
    let report = assemble(request, variant, &engine, &evidence);
    save(&folder, &report)?;
    Ok((report, folder))
}

/// Systems up, the drill itself, systems down; the drill's own error comes before one of taking the systems down.
async fn held(
    request: &DrillRequest,
    variant: &Variant,
    engine: &Engine,
    observer: &dyn DrillObserver,
    phase: &(dyn Fn(&str) + Sync),
) -> Result<Evidence, DrillError> {
    let seconds = u32::try_from(request.spec.archive.interval.as_secs()).unwrap_or(u32::MAX).max(1);
    let options = TestbedOptions {
        backend: request.backend,
        keep: request.keep,
        archive_timeout_s: seconds,
        postgres_major: request.postgres_major,
        folder: None,
    };
    let testbed = tokio::select! {
        started = Testbed::start(options) => started?,
        () = request.stop.cancelled() => return Err(DrillError::Stopped),
    };
    let stage = Stage { request, variant, engine, testbed: &testbed, observer, phase };
    let body = AssertUnwindSafe(stage.play()).catch_unwind();
    let played = tokio::select! {
        played = body => played.unwrap_or_else(|panic| Err(DrillError::Panicked(panic_text(&*panic)))),
        () = request.stop.cancelled() => Err(DrillError::Stopped),
    };
    if request.keep {
        let folder = testbed.folder().display();
        phase(&format!("leaving the systems standing in {folder}; `lifeboat drill --remove {folder}` removes them"));
    } else {
        phase("tearing the systems down");
    }
    let stopped = testbed.stop().await;
    let evidence = played?;
    stopped?;
    Ok(evidence)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

/// A run that the engine never began leaves no folder behind that looks like one.
fn forget_empty_run(folder: &Path) {
    if !folder.join("journal.jsonl").exists() {
        // Nothing depends on it: the error that ended the drill is what the caller must see.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Each control is a holding of its own on fewer rows; its files lie below the drill's own.
async fn hold_controls(
    request: &DrillRequest,
    main: &Variant,
    folder: &Path,
    report: &mut DrillReport,
    observer: &dyn DrillObserver,
) -> Result<(), DrillError> {
    let variant = |name: &'static str, fault: bool, sabotage: Sabotage| Variant {
        name,
        fault,
        sabotage,
        size: request.spec.control_size,
        home: folder.join("controls").join(name),
        cache: main.cache.clone(),
    };
    for sabotage in Sabotage::CONTROLS {
        let (held, _) = hold(request, &variant(sabotage.name(), true, sabotage), observer).await?;
        report.controls.push(control(sabotage, &held));
    }
    let (quiet, _) = hold(request, &variant("control-run", false, Sabotage::None), observer).await?;
    report.control_run = Some(control_run(&quiet));
    let red = report.controls.iter().all(|control| control.turned_red);
    let zero = report.control_run.as_ref().is_some_and(|run| run.passed);
    if !(red && zero) {
        report.verdict = report.verdict.and(Verdict::Missed);
    }
    Ok(())
}

/// A control is red by the check that should see it: both breakages leave damage behind. A control that fails for another
/// reason, such as a server that did not start before the broken step had passed, has shown nothing.
fn control(sabotage: Sabotage, held: &DrillReport) -> Control {
    let residual = held.rpo.residual_damage.unwrap_or(0);
    let struck =
        sabotage.breaks().is_some_and(|id| held.steps.iter().any(|step| step.id == id && step.state == "succeeded"));
    let turned_red = struck && residual > 0 && held.verdict == Verdict::Missed;
    let failed: Vec<&str> = held.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    Control {
        name: sabotage.name().to_owned(),
        turned_red,
        by: turned_red.then(|| "residual_damage".to_owned()),
        detail: format!(
            "{}verdict {}, {residual} of {} damaged rows not back; checks that did not hold: {}",
            if struck { "" } else { "the breakage was never reached; " },
            held.verdict,
            held.writes.damaged_rows,
            if failed.is_empty() { "none".to_owned() } else { failed.join(", ") }
        ),
    }
}

fn control_run(held: &DrillReport) -> ControlRun {
    let zero = |interval: Option<crate::measurement::Interval>| interval.is_some_and(|interval| interval.low == 0.0);
    let nothing = held.writes.lost == 0 && held.writes.lost_loaded_rows == 0 && held.instants.t_onset.is_none();
    ControlRun {
        passed: zero(held.rto.service_s) && zero(held.rpo.actual_s) && nothing && held.verdict == Verdict::Met,
        verdict: held.verdict,
        rto_s: held.rto.service_s,
        rpo_s: held.rpo.actual_s,
        acknowledged: held.writes.acknowledged,
        detail: format!(
            "{} writes acknowledged, {} lost, no probe may fail",
            held.writes.acknowledged, held.writes.lost
        ),
    }
}

/// Leaves `report.json` and `report.html` in the folder.
fn save(folder: &Path, report: &DrillReport) -> Result<(), DrillError> {
    let json = folder.join("report.json");
    let text = to_vec_pretty(report).map_err(|error| DrillError::file(&json, "written")(error.into()))?;
    fs::write(&json, text).map_err(DrillError::file(&json, "written"))?;
    let html = folder.join("report.html");
    fs::write(&html, report::render(report)).map_err(DrillError::file(&html, "written"))
}
