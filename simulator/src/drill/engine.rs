//! The engine in the drill: the same core, runtime, host and plugins that serve an incident.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_bundle::COMPONENTS;
use lifeboat_core::{
    bindings::{self, Bindings},
    diagnostic::{Diagnostic, Severity, SourceFile},
    event::{Mode, Outcome, Person},
    inputs,
    name::RunId,
    plan::{self, Plan},
    run::Run,
    runbook::{self, Compiled},
};
use lifeboat_host::{Component, Host, HostOptions, Limits};
use lifeboat_runtime::{
    files::Disk,
    home::Home,
    invoke::Invoke,
    journal::Recorded,
    report::{Report, Reporter},
    session::{self, Ended, NewRun, Surroundings},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    error::DrillError, observer::DrillObserver, policy::DrillPolicy, request::DrillRequest, spec::RecoverSpec,
    variant::Variant,
};
use crate::controls::{Control, Known, Saboteur};

/// The engine, ready to run one plan.
pub(super) struct Engine {
    pub(super) home: Home,
    pub(super) host: Arc<Host>,
    /// What the drill says of this recovery.
    pub(super) recover: RecoverSpec,
    pub(super) plan: Plan,
    pub(super) run: RunId,
    runbook: SourceFile,
    called: Vec<SourceFile>,
}

/// What the engine did.
pub(super) struct Executed {
    pub(super) ended: Result<Ended, lifeboat_runtime::error::Error>,
    pub(super) events: Vec<Recorded>,
    /// The run as the last event left it.
    pub(super) state: Run,
    /// The drill ended the run, because its time was over.
    pub(super) out_of_time: bool,
}

impl Engine {
    /// Loads the plugins and compiles the runbook of each recovery; the folders of the runs are there afterwards.
    pub(super) fn prepare_all(request: &DrillRequest, variant: &Variant) -> Result<Vec<Self>, DrillError> {
        let host = Arc::new(load(variant.cache.clone())?);
        let prepare = |recover: &RecoverSpec| Self::prepare(request, variant, Arc::clone(&host), recover);
        request.spec.recoveries().map(prepare).collect()
    }

    fn prepare(
        request: &DrillRequest,
        variant: &Variant,
        host: Arc<Host>,
        recover: &RecoverSpec,
    ) -> Result<Self, DrillError> {
        let home = Home::open(&variant.home)?;
        let runbook = request.runbook(recover);
        let mut compiled = runbook::compile_with(&runbook, &host.catalogue(), &Disk);
        let plan = compiled.plan.take().ok_or_else(|| refused(&runbook, compiled.clone()))?;
        // A drill is a disaster.
        let plan = if plan.has_variants() { plan.of_variant(plan::Variant::Disaster) } else { plan };
        let called = compiled.called.into_iter().map(|called| called.file).collect();
        let run = home.new_run_id(&plan, Timestamp::now())?;
        Ok(Self { home, host, recover: recover.clone(), plan, run, runbook, called })
    }

    /// The folder of the run, where everything of the drill lies.
    pub(super) fn folder(&self) -> PathBuf {
        self.home.run_folder(&self.run)
    }

    /// Reads the bindings that the testbed gives.
    pub(super) fn bindings(&self, text: &str) -> Result<Bindings, DrillError> {
        let file = SourceFile { name: "bindings.yaml".to_owned(), text: text.to_owned() };
        let parsed = bindings::parse(&file);
        let found = parsed.bindings.ok_or_else(|| wrong(&file, parsed.diagnostics))?;
        let problems: Vec<Diagnostic> = bindings::check(&self.plan, &found);
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(wrong(&file, problems));
        }
        Ok(found)
    }

    /// Runs the plan to its end, or until `stop` fires or `at_most` is over.
    pub(super) async fn execute(&self, order: Order<'_>) -> Result<Executed, DrillError> {
        let resolved =
            inputs::resolve(&self.plan, &order.inputs).map_err(|diagnostics| wrong(&self.runbook, diagnostics))?;
        let bindings = self.bindings(order.bindings)?;
        let new = NewRun {
            run: self.run.clone(),
            runbook_path: None,
            runbook_source: self.runbook.text.clone().into_bytes(),
            called_sources: self.called.clone(),
            bindings_source: order.bindings.as_bytes().to_vec(),
            inputs: resolved,
            targets: bindings.facts(),
            leases: bindings::leases(&self.plan, &bindings),
            mode: Mode::Real,
            who: Person::Policy { name: order.policy.name.clone() },
            people: bindings.people.clone(),
            onset: None,
            plan: self.plan.clone(),
        };
        let invoke = self.host.bind(&self.plan, bindings)?;
        let invoke: Arc<dyn Invoke> = match order.sabotage {
            None => invoke,
            Some(control) => Arc::new(Saboteur::new(invoke, control, self.host.catalogue(), order.known)),
        };
        let (sender, mut reports) = mpsc::unbounded_channel();
        let relay = Arc::new(Relay { sender, seen: Mutex::default() });
        let stop = order.stop.child_token();
        let surroundings =
            Surroundings { invoke, people: Arc::new(order.policy), reporter: relay.clone(), stop: stop.clone() };
        let limit = tokio::time::sleep(order.at_most);
        let session = session::start(&self.home, new, surroundings);
        tokio::pin!(limit, session);
        let mut out_of_time = false;
        let ended = loop {
            tokio::select! {
                ended = &mut session => break ended,
                Some((report, run)) = reports.recv() => order.observer.engine(&report, &run),
                () = &mut limit, if !stop.is_cancelled() => {
                    out_of_time = true;
                    stop.cancel();
                }
            }
        };
        while let Ok((report, run)) = reports.try_recv() {
            order.observer.engine(&report, &run);
        }
        let (events, state) = std::mem::take(&mut *relay.seen.lock().unwrap_or_else(PoisonError::into_inner));
        // A run that came to its end all the same was not cut short.
        let out_of_time = out_of_time && !matches!(&ended, Ok(Ended { how: session::How::Finished(_), .. }));
        Ok(Executed { ended, events, state, out_of_time })
    }
}

impl Executed {
    /// Whether the run came to a good end, all of it or all but what it names.
    pub(super) fn is_success(&self) -> bool {
        const GOOD: [Outcome; 2] = [Outcome::Succeeded, Outcome::SucceededWithExceptions];
        self.ended.as_ref().is_ok_and(|ended| matches!(ended.how, session::How::Finished(how) if GOOD.contains(&how)))
    }
}

/// What the engine is asked to do.
pub(super) struct Order<'a> {
    pub(super) inputs: std::collections::BTreeMap<String, String>,
    pub(super) bindings: &'a str,
    pub(super) policy: DrillPolicy,
    pub(super) sabotage: Option<Control>,
    pub(super) known: Arc<OnceLock<Known>>,
    pub(super) observer: &'a dyn DrillObserver,
    pub(super) stop: CancellationToken,
    pub(super) at_most: Duration,
}

fn load(cache: PathBuf) -> Result<Host, DrillError> {
    let component = |(name, bytes): &(&str, &[u8])| Component { name: (*name).to_owned(), bytes: bytes.to_vec() };
    let plugins = COMPONENTS.iter().map(component).collect();
    Ok(Host::new(HostOptions { cache, plugins, limits: Limits::default() })?)
}

/// What is wrong with the runbook, or with one that it calls.
fn refused(file: &SourceFile, compiled: Compiled) -> DrillError {
    let own = (file.clone(), compiled.diagnostics);
    let called = compiled.called.into_iter().map(|called| (called.file, called.diagnostics));
    let is_wrong = |found: &[Diagnostic]| found.iter().any(|finding| finding.severity == Severity::Error);
    let first = std::iter::once(own.clone()).chain(called).find(|(_, found)| is_wrong(found));
    let (file, diagnostics) = first.unwrap_or(own);
    DrillError::Diagnostics { file, diagnostics }
}

fn wrong(file: &SourceFile, diagnostics: Vec<Diagnostic>) -> DrillError {
    DrillError::Diagnostics { file: file.clone(), diagnostics }
}

/// Hands the engine's reports to the drill's observer, which lives on the drill's side, and keeps the events with the state
/// that they lead to: of an engine that cannot go on there is nothing else.
struct Relay {
    sender: mpsc::UnboundedSender<(Report, Run)>,
    seen: Mutex<(Vec<Recorded>, Run)>,
}

impl Reporter for Relay {
    fn report(&self, report: &Report, run: &Run) {
        if let Report::Recorded(recorded) = report {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.0.push(recorded.clone());
            seen.1 = run.clone();
        }
        // The receiver lives as long as the session does.
        let _ = self.sender.send((report.clone(), run.clone()));
    }
}
