//! Stands between the engine and the plugins, and holds the drills that steps ask for: by the same code as `lifeboat drill`, on their own
//! testbeds. A drill leaves a run in the same state folder, so that the history and the reports include it, and a review can read it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lifeboat_core::{
    event::Mode,
    failure::{Failure, HELD_BACK, Reason},
    input::{Done, Purpose},
    name::RunId,
    plan::Plan,
};
use lifeboat_host::Limits;
use lifeboat_runtime::{
    holder::Holder,
    home::Home,
    invoke::{Answer, Deadline, Invoke, Pending, Request},
};
use serde_json::Value;
use tokio::{runtime::Runtime, sync::Mutex};

use super::{
    actions::{REVIEW, WRITE_METRICS},
    for_step::for_step,
    notes::Notes,
    outcome::{of_error, of_report},
    review::review,
    scenario::{folder, seen_from, testbed},
    write_metrics::write_metrics,
};
use crate::{
    drill::{self, DrillError, DrillRequest, HOLD},
    report::DrillReport,
    testbed::TestbedError,
};

/// Two drills at once would compete for the machine, and measure that.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Serves the drills of a plan and passes every other call on. `runbook`: the path of the plan's runbook; `None` if it is not in a
/// file, and then paths of drill files are relative to the working directory.
pub fn serve(inner: Arc<dyn Invoke>, plan: &Plan, runbook: Option<PathBuf>, home: &Home) -> Arc<dyn Invoke> {
    let (plan, runbook) = (Arc::new(plan.clone()), runbook.unwrap_or_default());
    Arc::new(Server { inner, plan, runbook, home: home.clone() })
}

struct Server {
    inner: Arc<dyn Invoke>,
    plan: Arc<Plan>,
    runbook: PathBuf,
    home: Home,
}

impl Invoke for Server {
    fn invoke(&self, request: Request) -> Pending<Answer> {
        // What was interrupted needs no observation: it can be done again.
        if request.call.purpose == Purpose::Observe {
            return self.inner.invoke(request);
        }
        let home = self.home.clone();
        match request.call.action.to_string().as_str() {
            HOLD => {
                let seen_from = folder(&self.plan, &self.runbook, &request.call.step);
                Box::pin(answer(request, seen_from, home))
            }
            REVIEW => on_a_thread(move || review(&request, &home)),
            WRITE_METRICS => on_a_thread(move || write_metrics(&request, &home)),
            _ => self.inner.invoke(request),
        }
    }

    fn hold(&self, holder: Holder) -> Pending<Result<Vec<Reason>, Reason>> {
        self.inner.hold(holder)
    }

    fn let_go(&self) -> Pending<()> {
        self.inner.let_go()
    }
}

/// What reads the state folder for a while.
fn on_a_thread(work: impl FnOnce() -> Result<Done, Failure> + Send + 'static) -> Pending<Answer> {
    Box::pin(async {
        let done = tokio::task::spawn_blocking(work).await;
        Answer::Ran(done.unwrap_or_else(|error| Err(of_error(&DrillError::Panicked(error.to_string())))))
    })
}

async fn answer(request: Request, folder: PathBuf, home: Home) -> Answer {
    Answer::Ran(match asked(&request.call.parameters, &folder, &home) {
        Ok(drill) if request.mode == Mode::DryRun => Err(held_back(&drill)),
        Ok(drill) => {
            let for_step = Some(for_step(&request.call.step, &request.run));
            held(request, DrillRequest { for_step, ..drill }, &home).await
        }
        Err(failure) => Err(failure),
    })
}

/// The drill that the parameters name.
fn asked(parameters: &Value, folder: &Path, home: &Home) -> Result<DrillRequest, Failure> {
    let invalid = |problem: String| Failure::InvalidInput(Reason::new("drill-unknown", problem));
    let scenario = parameters["scenario"].as_str().unwrap_or_default();
    let backend = testbed(parameters).map_err(invalid)?;
    let request = DrillRequest::new(&seen_from(folder, scenario), home.path()).map_err(|error| of_error(&error))?;
    let controls = parameters["controls"].as_bool().unwrap_or(false);
    Ok(DrillRequest { backend, controls, ..request })
}

/// A dry-run holds no drill: it would be the real thing.
fn held_back(drill: &DrillRequest) -> Failure {
    let message = format!("would hold {} ({})", drill.spec.drill, drill.backend.as_str());
    Failure::Denied(Reason::new(HELD_BACK, message))
}

/// Holds the drill on a thread of its own, which tears everything down even if the caller no longer waits for the answer: a process
/// that ends waits for the thread.
async fn held(request: Request, drill: DrillRequest, home: &Home) -> Result<Done, Failure> {
    let stop = request.cancel.child_token();
    let _ends_with_the_call = stop.clone().drop_guard();
    let drill = DrillRequest { stop: stop.clone(), ..drill };
    let notes = Notes(Arc::clone(&request.notes));
    let mut task = tokio::task::spawn_blocking(move || hold(drill, &notes));
    let (ended, out_of_time) = tokio::select! {
        ended = &mut task => (ended, false),
        () = over(&request.deadline) => {
            stop.cancel();
            (task.await, true)
        }
    };
    match ended.unwrap_or_else(|error| Err(DrillError::Panicked(error.to_string()))) {
        Ok(report) => of_report(&report, &folder_of(&report, home)),
        Err(DrillError::Stopped) if out_of_time => {
            let message = "the time limit of this attempt expired before the drill ended; its systems are torn down";
            Err(Failure::Transient(Reason::new(DrillError::Stopped.code(), message)))
        }
        Err(error) => Err(of_error(&error)),
    }
}

/// Blocks until the drill ends. Its tasks are separate from those of the engine that holds it, so that neither waits for the
/// other's.
fn hold(drill: DrillRequest, notes: &Notes) -> Result<DrillReport, DrillError> {
    let no_threads = |source| TestbedError::Resource { what: "threads for the drill", source };
    Runtime::new().map_err(no_threads)?.block_on(async {
        let _alone = tokio::select! {
            alone = ONE_AT_A_TIME.lock() => alone,
            () = drill.stop.cancelled() => return Err(DrillError::Stopped),
        };
        drill::run(drill, notes).await
    })
}

/// The deadline of the call: that of the step, or by default that of every call.
async fn over(deadline: &Deadline) {
    match deadline.at() {
        Some(_) => deadline.passed().await,
        None => tokio::time::sleep(Limits::default().wall).await,
    }
}

fn folder_of(report: &DrillReport, home: &Home) -> PathBuf {
    RunId::new(report.run.as_str()).map(|run| home.run_folder(&run)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use lifeboat_core::{
        action::Catalogue,
        diagnostic::SourceFile,
        failure::FailureKind,
        input::Call,
        name::{ActionName, StepId},
        runbook::compile,
    };
    use lifeboat_runtime::invoke::Unfenced;
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::drill::hold_action;

    /// The plugins: each call is done.
    struct Plugins;

    impl Invoke for Plugins {
        lifeboat_runtime::holds_nothing!();

        fn invoke(&self, request: Request) -> Pending<Answer> {
            let summary = request.call.action.to_string();
            Box::pin(std::future::ready(Answer::Ran(Ok(Done { outputs: json!({}), summary }))))
        }
    }

    fn server(home: &Path) -> Arc<dyn Invoke> {
        let text = "lifeboat: 1\nid: A\nname: A\nsteps:\n  - { id: rehearse, drill: { scenario: dr-003 } }\n";
        let file = SourceFile { name: "a.yaml".to_owned(), text: text.to_owned() };
        let plan = compile(&file, &Catalogue::new([hold_action()])).plan.unwrap();
        serve(Arc::new(Plugins), &plan, Some(PathBuf::from("a.yaml")), &Home::to_read(home))
    }

    fn request(action: &str, parameters: Value) -> Request {
        let call = Call {
            step: StepId::new("rehearse").unwrap(),
            attempt: 1,
            purpose: Purpose::Run,
            action: ActionName::new(action).unwrap(),
            parameters,
            grants: BTreeMap::new(),
            deadline: None,
        };
        Request {
            call,
            run: RunId::new("a-20261121-7f3a").unwrap(),
            mode: Mode::Real,
            deadline: Deadline::fixed(None),
            cancel: CancellationToken::new(),
            notes: Arc::new(|_| {}),
            fence: Arc::new(Unfenced),
        }
    }

    fn failed(answer: Answer) -> (FailureKind, String, String) {
        let Answer::Ran(Err(failure)) = answer else { panic!("{answer:?}") };
        (failure.kind(), failure.reason().code.clone(), failure.reason().message.clone())
    }

    #[tokio::test]
    async fn every_other_call_is_passed_on() {
        let home = tempfile::tempdir().unwrap();
        let answer = server(home.path()).invoke(request("pg/restore", json!({}))).await;
        assert!(matches!(&answer, Answer::Ran(Ok(done)) if done.summary == "pg/restore"), "{answer:?}");
    }

    #[tokio::test]
    async fn a_dry_run_holds_no_drill_and_says_which_it_would_hold() {
        let home = tempfile::tempdir().unwrap();
        let dry = |parameters| Request { mode: Mode::DryRun, ..request(HOLD, parameters) };
        let known = dry(json!({ "scenario": "dr-003", "testbed": "container" }));
        let expected = (FailureKind::Denied, HELD_BACK.to_owned(), "would hold DR-003 (container)".to_owned());
        assert_eq!(failed(server(home.path()).invoke(known).await), expected);
        let (kind, code, _) = failed(server(home.path()).invoke(dry(json!({ "scenario": "dr-999" }))).await);
        assert_eq!((kind, code.as_str()), (FailureKind::InvalidInput, "drill-unknown"));
        assert!(!home.path().join("runs").exists(), "nothing was held");
    }

    #[tokio::test]
    async fn a_drill_that_waits_for_another_one_ends_with_its_call() {
        let home = tempfile::tempdir().unwrap();
        let _another_drill = ONE_AT_A_TIME.lock().await;
        let overdue = Deadline::fixed(Some(Timestamp::UNIX_EPOCH));
        let late = Request { deadline: overdue, ..request(HOLD, json!({ "scenario": "dr-003" })) };
        let (kind, code, message) = failed(server(home.path()).invoke(late).await);
        assert_eq!((kind, code.as_str()), (FailureKind::Transient, "drill-stopped"));
        assert!(message.contains("the time limit of this attempt expired"), "{message}");

        let cancelled = request(HOLD, json!({ "scenario": "dr-003" }));
        cancelled.cancel.cancel();
        let (kind, code, message) = failed(server(home.path()).invoke(cancelled).await);
        assert_eq!((kind, code.as_str()), (FailureKind::Transient, "drill-stopped"));
        assert!(!message.contains("the time limit"), "{message}");
        assert!(!home.path().join("runs").exists(), "nothing was held");
    }
}
