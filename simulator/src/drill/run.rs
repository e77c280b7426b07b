//! Holds a drill: systems up, disaster, recovery, measurement, systems down, whatever happens between.

use std::{
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use futures::FutureExt;
use jiff::Timestamp;
use lifeboat_runtime::{holder::Holder, home::Home, identity};
use tokio::time::timeout;

use super::{
    control::{CONTROL_RUN, control, control_run, proves},
    engine::{Engine, Engines},
    error::DrillError,
    evidence::Evidence,
    holding::Holding,
    observer::DrillObserver,
    phase::Phase,
    report::assemble,
    request::DrillRequest,
    series::save,
    stage::Stage,
    walk::panic_text,
};
use crate::{
    controls::Control,
    host::{self, Readiness},
    report::{self, DrillReport, Held},
    testbed::{Testbed, TestbedOptions},
};

/// Ctrl-C takes effect within this time.
const HEARD_WITHIN: Duration = Duration::from_millis(200);

/// Holds the drill, and its controls if requested, and leaves the report in the run's folder.
///
/// # Errors
/// If the drill could not be held. A recovery that failed or was too slow is a report.
pub async fn run(request: DrillRequest, observer: &dyn DrillObserver) -> Result<DrillReport, DrillError> {
    let home = Home::open(&request.home)?;
    let holding = Holding {
        name: String::new(),
        fault: true,
        sabotage: request.sabotage.clone(),
        size: request.size.unwrap_or(request.spec.size),
        home: request.home.clone(),
        cache: home.cache(),
    };
    let began = Instant::now();
    let (mut report, folder) = hold(&request, &holding, observer).await?;
    let length = began.elapsed();
    if request.controls {
        hold_controls(&request, &holding, &folder, &mut report, observer).await?;
    }
    save(&folder, &report)?;
    home.add_to_history(&report::history_line(&report, Timestamp::now(), length))?;
    Ok(report)
}

/// One holding: its report, and the run's folder.
async fn hold(
    request: &DrillRequest,
    holding: &Holding,
    observer: &dyn DrillObserver,
) -> Result<(DrillReport, PathBuf), DrillError> {
    let from = Timestamp::now();
    let phase = |phase: Phase| observer.phase(&holding.name, &phase);
    let interval = request.spec.probes.interval;
    let ready = host::readiness(interval).await;
    phase(Phase::Machine { readiness: ready.line(interval) });
    phase(Phase::Compiling);
    let engines = Engine::prepare_all(request, holding)?;
    let run = match engines.recoveries.first() {
        Some(engine) => engine.run.clone(),
        // Without a recovery the drill has a name of its own.
        None => Home::open(&holding.home)?.new_name(&request.spec.drill, Timestamp::now())?,
    };
    let folder = Home::open(&holding.home)?.run_folder(&run);
    phase(Phase::Building { backend: request.backend });
    let held = held(request, holding, &engines, &folder, ready, observer, &phase).await;
    let runs = engines.all().map(Engine::folder).filter(|run| *run != folder);
    runs.chain(held.is_err().then(|| folder.clone())).for_each(forget_empty_run);
    let evidence = held?;
    phase(Phase::Measuring);
    let mut report = assemble(request, holding, &run, &engines, &evidence);
    report.held = Some(Held {
        from,
        until: Timestamp::now(),
        host: Holder::this_process(&run).host,
        by: identity::this_person().to_string(),
        for_step: request.for_step.clone(),
    });
    save(&folder, &report)?;
    Ok((report, folder))
}

/// Systems up, the drill itself, systems down; the drill's own error comes before one of taking the systems down.
async fn held(
    request: &DrillRequest,
    holding: &Holding,
    engines: &Engines,
    folder: &Path,
    ready: Readiness,
    observer: &dyn DrillObserver,
    phase: &(dyn Fn(Phase) + Sync),
) -> Result<Evidence, DrillError> {
    let options = TestbedOptions {
        backend: request.backend,
        keep: request.keep,
        systems: request.spec.systems.clone(),
        wal_segment_mib: None,
        postgres_major: request.postgres_major,
        folder: None,
        stop: request.stop.clone(),
    };
    let testbed = match Testbed::start(options).await {
        Ok(testbed) => testbed,
        Err(_) if is_stopped(request).await => return Err(DrillError::Stopped),
        Err(error) => return Err(error.into()),
    };
    let stage = Stage { request, holding, engines, folder, testbed: &testbed, observer, phase, ready };
    let played = AssertUnwindSafe(stage.play()).catch_unwind().await;
    let played = played.unwrap_or_else(|panic| Err(DrillError::Panicked(panic_text(&*panic))));
    if request.keep {
        phase(Phase::Leaving { folder: testbed.folder().to_owned() });
    } else {
        phase(Phase::TearingDown);
    }
    let cleared = testbed.stop().await;
    // A person who stops a drill, even now, wants no verdict, but must be told if something is left behind.
    if request.stop.is_cancelled() {
        cleared?;
        return Err(DrillError::Stopped);
    }
    let evidence = played?;
    cleared?;
    Ok(evidence)
}

/// Whether a start failed because the drill is to end: Ctrl-C also ends a program that pulls or builds an image, and that failure
/// may be reported before Ctrl-C itself is.
async fn is_stopped(request: &DrillRequest) -> bool {
    timeout(HEARD_WITHIN, request.stop.cancelled()).await.is_ok()
}

/// If the engine never began the run, no folder stays that looks like a run.
fn forget_empty_run(folder: PathBuf) {
    if !folder.join("journal.jsonl").exists() {
        // Nothing depends on it: the error that ended the drill is what the caller must see.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Each control is a holding of its own on fewer rows; its files lie below the drill's own.
async fn hold_controls(
    request: &DrillRequest,
    main: &Holding,
    folder: &Path,
    report: &mut DrillReport,
    observer: &dyn DrillObserver,
) -> Result<(), DrillError> {
    let holding = |name: &str, fault: bool, sabotage: Option<&Control>| Holding {
        name: name.to_owned(),
        fault,
        sabotage: sabotage.cloned(),
        size: request.spec.control_size.unwrap_or(request.spec.size),
        home: folder.join("controls").join(name),
        cache: main.cache.clone(),
    };
    for sabotage in &request.spec.controls {
        let (held, _) = hold(request, &holding(&sabotage.name, true, Some(sabotage)), observer).await?;
        report.controls.push(control(sabotage, &held));
    }
    let (quiet, _) = hold(request, &holding(CONTROL_RUN, false, None), observer).await?;
    report.control_run = Some(control_run(&quiet));
    report.verdict = report.verdict.and(proves(&report.controls, &quiet));
    Ok(())
}
