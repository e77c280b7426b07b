//! Starting and resuming a run: what the command line and the simulator call.

use std::{collections::BTreeMap, fs, fs::File, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use lifeboat_core::{
    diagnostic::SourceFile,
    event::{Mode, Outcome, Person, RunStarted},
    failure::Reason,
    input::Input,
    name::{RoleName, RunId, StepId},
    operator::{Refusal, Request},
    plan::Plan,
    run::{Phase, Run},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    Error,
    driver::{self, World},
    holder::Holder,
    home::{Home, Leases, RunFolder},
    identity,
    invoke::Invoke,
    journal::{self, Journal},
    lease::Held,
    lock::RunLock,
    people::People,
    report::{Report, Reporter},
    variant,
    world::{Materials, RealWorld},
};

/// What surrounds every run of this process.
#[derive(Clone)]
pub struct Surroundings {
    /// Runs plugin calls.
    pub invoke: Arc<dyn Invoke>,
    /// Answers questions.
    pub people: Arc<dyn People>,
    /// Reads the stream of reports.
    pub reporter: Arc<dyn Reporter>,
    /// Fires when the engine should stop. Nothing begins any more; calls in flight are told to end, and what they still did is
    /// journalled. An attempt that fails, or does not end in time, is found interrupted by the engine that resumes the run.
    pub stop: CancellationToken,
}

/// What a run is started with.
pub struct NewRun {
    /// Its name; made by [`crate::home::Home::new_run_id`].
    pub run: RunId,
    /// What to execute.
    pub plan: Plan,
    /// Where the runbook is, so that a resumed run can say that it was changed meanwhile.
    pub runbook_path: Option<PathBuf>,
    /// The runbook's bytes, kept beside the journal.
    pub runbook_source: Vec<u8>,
    /// The runbooks that it calls, kept there too.
    pub called_sources: Vec<SourceFile>,
    /// The bindings file's bytes, kept beside the journal (references to secrets only).
    pub bindings_source: Vec<u8>,
    /// Every input with its value.
    pub inputs: Value,
    /// What expressions may know of the targets.
    pub targets: BTreeMap<RoleName, Value>,
    /// The exclusive resources it writes to (`postgres:SYSTEM_IDENTIFIER`, `machine:…`): one lease each.
    pub leases: Vec<String>,
    /// Whether anything may be changed.
    pub mode: Mode,
    /// Who starts it.
    pub who: Person,
    /// The people of each role, as the bindings name them.
    pub people: BTreeMap<String, Vec<String>>,
    /// When users first noticed, where that is known.
    pub onset: Option<Timestamp>,
}

/// How a session with a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// The run.
    pub run: RunId,
    /// Why the session is over.
    pub how: How,
    /// The state it left.
    pub state: Run,
    /// When it was left.
    pub at: Timestamp,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq)]
pub enum How {
    /// The run is over.
    Finished(Outcome),
    /// These steps wait for a person and nobody can be asked here.
    Waiting(Vec<StepId>),
    /// The engine was told to stop.
    Stopped,
}

/// Starts a run and drives it until it is over, waits, or is stopped. Where this is refused before the first event (by a
/// lease, or a full disk), the run's folder is removed again: nothing has happened.
pub async fn start(home: &Home, new: NewRun, surroundings: Surroundings) -> Result<Ended, Error> {
    let folder = home.folder(&new.run);
    fs::create_dir_all(folder.path()).map_err(Error::disk(folder.path()))?;
    let lock = RunLock::take(folder.path(), &new.run)?;
    if folder.journal().exists() {
        return Err(Error::Exists { run: new.run });
    }
    let (journal, leases) = match prepare(home, &folder, &new) {
        Ok(prepared) => prepared,
        Err(error) => {
            // The refusal is what the user must see; a folder that stays behind holds no journal and no run.
            folder.discard();
            return Err(error);
        }
    };
    if let Err(held) = hold(home, &new.run, new.mode, &new.leases, &surroundings).await {
        leases.release();
        folder.discard();
        return Err(held);
    }
    let plan = new.plan;
    let opening = Input::Start(Box::new(RunStarted {
        run: new.run.clone(),
        format: journal::FORMAT,
        runbook: plan.runbook.clone(),
        plan_digest: plan.digest(),
        engine: env!("CARGO_PKG_VERSION").to_owned(),
        inputs: new.inputs,
        targets: new.targets,
        mode: new.mode,
        who: new.who,
        people: new.people.clone(),
        onset: new.onset,
    }));
    let journal = Journal::begin(journal, &new.run);
    let state = Run::new(&plan);
    let leases = Arc::new(leases);
    let session = Session { run: new.run, mode: new.mode, plan, folder, _lock: lock, leases, people: new.people };
    session.drive(journal, state, vec![opening], surroundings).await
}

/// Goes on with a run after a crash, a stop, a pause, or where somebody can be asked now. A run that is over stays as it is.
pub async fn resume(home: &Home, run: &RunId, surroundings: Surroundings) -> Result<Ended, Error> {
    go_on(home, run, None, surroundings).await
}

/// As [`resume`], of a run that is over and that somebody reopens with what they want.
pub async fn reopen(home: &Home, run: &RunId, request: Request, surroundings: Surroundings) -> Result<Ended, Error> {
    go_on(home, run, Some(request), surroundings).await
}

async fn go_on(home: &Home, run: &RunId, request: Option<Request>, surroundings: Surroundings) -> Result<Ended, Error> {
    let folder = home.folder(run);
    if !folder.path().exists() {
        return Err(Error::Unknown { name: run.to_string() });
    }
    let lock = RunLock::take(folder.path(), run)?;
    let loaded = home.load(run)?;
    let at = loaded.end.at.unwrap_or_else(Timestamp::now);
    if let (Phase::Finished { outcome, .. }, None) = (&loaded.run.phase, &request) {
        return Ok(Ended { run: run.clone(), how: How::Finished(*outcome), state: loaded.run, at });
    }
    let (mode, people) = match &loaded.run.started {
        Some((_, started)) => (started.mode, started.people.clone()),
        None => (Mode::DryRun, BTreeMap::new()),
    };
    let resources = home.leases_of(run)?.resources;
    let leases = home.lease(&resources, run)?;
    let journal =
        Journal::go_on(folder.open_journal()?, loaded.end, loaded.torn_bytes).map_err(Error::disk(folder.journal()))?;
    hold(home, run, mode, &resources, &surroundings).await?;
    let opening = driver::opening(&loaded.run, request, identity::this_person);
    let leases = Arc::new(leases);
    let session = Session { run: run.clone(), mode, plan: loaded.plan, folder, _lock: lock, leases, people };
    session.drive(journal, loaded.run, opening, surroundings).await
}

/// Takes the targets themselves, so that engines with other state folders are kept away too. A dry-run writes to no target, and a run
/// that needs no lease here needs none there.
async fn hold(
    home: &Home,
    run: &RunId,
    mode: Mode,
    resources: &[String],
    surroundings: &Surroundings,
) -> Result<(), Error> {
    if mode == Mode::DryRun || resources.is_empty() {
        return Ok(());
    }
    let holder = Holder::this_process(run).of_home(home.path());
    tracing::debug!(%run, leases = resources.len(), "the leases are taken, now the targets themselves");
    let told = surroundings.invoke.hold(holder).await.map_err(|reason| Error::TargetHeld(reason.message))?;
    for Reason { code, message } in told {
        surroundings.reporter.report(&Report::Refused(Refusal::new(&code, message)), &Run::default());
    }
    Ok(())
}

/// Takes the leases and writes what must stand on disk before the first event. A dry-run writes to no target.
fn prepare(home: &Home, folder: &RunFolder, new: &NewRun) -> Result<(File, Held), Error> {
    let resources = if new.mode == Mode::Real { new.leases.clone() } else { Vec::new() };
    let leases = home.lease(&resources, &new.run)?;
    folder.prepare(new, &Leases { resources })?;
    folder.keep_called(&new.called_sources)?;
    Ok((folder.create_journal()?, leases))
}

/// A run with everything that this process holds for it.
struct Session {
    run: RunId,
    mode: Mode,
    plan: Plan,
    folder: RunFolder,
    _lock: RunLock,
    leases: Arc<Held>,
    people: BTreeMap<String, Vec<String>>,
}

impl Session {
    async fn drive(
        self,
        journal: Journal<File>,
        run: Run,
        opening: Vec<Input>,
        surroundings: Surroundings,
    ) -> Result<Ended, Error> {
        let materials = Materials {
            run: self.run.clone(),
            mode: self.mode,
            fence: self.leases.clone(),
            journal,
            journal_path: self.folder.journal(),
            logs: self.folder.logs(),
            people: self.people,
        };
        let invoke = surroundings.invoke.clone();
        let span = tracing::info_span!("run", run = %self.run, mode = ?self.mode);
        let mut world = RealWorld::new(materials, surroundings);
        let driven = driver::drive(&self.plan, run, opening, &mut world).instrument(span.clone()).await;
        let nothing = Run::default();
        let left = driven.as_ref().map_or(&nothing, |(run, _)| run);
        world.wind_down(left).instrument(span.clone()).await;
        match &driven {
            Ok((_, how)) => tracing::info!(parent: &span, how = variant::name(how), "the session is over"),
            Err(error) => tracing::error!(parent: &span, code = error.code(), "the session cannot go on"),
        }
        invoke.let_go().await;
        let (state, how) = driven?;
        if let How::Finished(_) = how {
            self.leases.release();
        }
        Ok(Ended { run: self.run, how, state, at: world.now() })
    }
}
