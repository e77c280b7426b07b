//! The engine in the drill: the same core, runtime, host and plugins that serve an incident.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use lifeboat_core::{
    action::Catalogue,
    bindings::Bindings,
    diagnostic::SourceFile,
    event::{Mode, Person},
    name::RunId,
    plan::Plan,
    run::Run,
};
use lifeboat_host::Host;
use lifeboat_launch::{self as launch, Bound, Ready, Runbook, Sources, plugins, source};
use lifeboat_runtime::{
    home::Home,
    invoke::Invoke,
    journal::Recorded,
    report::{Report, Reporter},
    session::{self, Ended, Surroundings},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    error::DrillError, executed::Executed, holding::Holding, observer::DrillObserver, policy::DrillPolicy,
    request::DrillRequest, runbooks::compiled, spec::RecoverSpec,
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
    sources: Sources,
}

/// One for each runbook that a drill executes, in the order of the timeline.
#[derive(Default)]
pub(super) struct Engines {
    pub(super) recoveries: Vec<Engine>,
    pub(super) routines: Vec<Engine>,
}

impl Engines {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Engine> {
        self.recoveries.iter().chain(&self.routines)
    }
}

impl Engine {
    /// Loads the plugins and compiles the runbook of each recovery and of each routine; the folders of the runs are there afterwards.
    pub(super) fn prepare_all(request: &DrillRequest, holding: &Holding) -> Result<Engines, DrillError> {
        if request.spec.runbooks().next().is_none() {
            return request.check(&Catalogue::default()).map(|()| Engines::default());
        }
        let host = Arc::new(plugins::host(holding.cache.clone())?);
        request.check(&host.catalogue())?;
        let prepare = |recover: &RecoverSpec| Self::prepare(request, holding, Arc::clone(&host), recover);
        Ok(Engines {
            recoveries: request.spec.recoveries().map(prepare).collect::<Result<_, _>>()?,
            routines: request.spec.routines().map(|it| prepare(&it.as_recovery())).collect::<Result<_, _>>()?,
        })
    }

    fn prepare(
        request: &DrillRequest,
        holding: &Holding,
        host: Arc<Host>,
        recover: &RecoverSpec,
    ) -> Result<Self, DrillError> {
        let home = Home::open(&holding.home)?;
        let Runbook { plan, sources } = compiled(request.runbook(&recover.runbook)?, &host.catalogue())?;
        let run = home.new_run_id(&plan, Timestamp::now())?;
        Ok(Self { home, host, recover: recover.clone(), plan, run, sources })
    }

    /// The folder of the run, which holds all files of the drill.
    pub(super) fn folder(&self) -> PathBuf {
        self.home.run_folder(&self.run)
    }

    /// Reads the bindings that the testbed gives.
    pub(super) fn bindings(&self, text: &str) -> Result<Bindings, DrillError> {
        Ok(self.bound(text)?.bindings)
    }

    fn bound(&self, text: &str) -> Result<Bound, DrillError> {
        let file = SourceFile { name: "bindings.yaml".to_owned(), text: text.to_owned() };
        Ok(Bound::of(source::check_bindings(file).against(&self.plan))?)
    }

    /// Runs the plan to its end, or until `stop` fires or `at_most` has passed.
    pub(super) async fn execute(&self, order: Order<'_>) -> Result<Executed, DrillError> {
        let runbook = Runbook { plan: self.plan.clone(), sources: self.sources.clone() };
        let ready = Ready::new(runbook, self.bound(order.bindings)?, &order.inputs)?;
        let invoke = ready.invoke(&self.host)?;
        let who = Person::Policy { name: order.policy.name.clone() };
        let new = ready.into_run(launch::Order { run: self.run.clone(), mode: Mode::Real, who, onset: None });
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
        // A run that ended by itself all the same was not cut short.
        let out_of_time = out_of_time && !matches!(&ended, Ok(Ended { how: session::How::Finished(_), .. }));
        Ok(Executed { ended, events, state, out_of_time })
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

/// Hands the engine's reports to the drill's observer, which lives on the drill's side, and keeps the events with the resulting
/// state: an engine that cannot continue leaves nothing else.
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
