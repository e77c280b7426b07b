//! Starting and resuming a run: what the command line and the simulator call.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Mode, RunStarted},
    failure::Reason,
    input::Input,
    name::RunId,
    operator::{Refusal, Request},
    plan::Plan,
    run::{Phase, Run},
};
use tracing::Instrument;

use crate::{
    Error,
    driver::{self, World},
    holder::Holder,
    identity, journal,
    report::Report,
    store::{Leases, Log, Owned, Store, Taken},
    variant,
    world::{Materials, RealWorld},
};
pub use crate::{driver::How, store::NewRun, world::Surroundings};

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

/// Starts a run and drives it until it is over, waits, or is stopped. Where this is refused before the first event (by a
/// lease, or a full disk), the run is removed again: nothing has happened.
pub async fn start<S: Store>(store: &S, new: NewRun, surroundings: Surroundings) -> Result<Ended, Error> {
    let mut owned = store.create(&new).await?;
    let taken = match take(store, &new.run, &mut owned.leases, &surroundings).await {
        Ok(taken) => taken,
        Err(refused) => {
            owned.leases.release().await;
            owned.log.discard().await;
            return Err(refused);
        }
    };
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
    let (run, last) = (Run::new(&plan), None);
    let session = Session { logs: store.logs(&new.run), run: new.run, mode: new.mode, plan, last, people: new.people };
    session.drive(owned, taken, (run, vec![opening]), surroundings).await
}

/// Continues a run after a crash, a stop or a pause, or when somebody can be asked now. A run that is over stays as it is.
pub async fn resume<S: Store>(store: &S, run: &RunId, surroundings: Surroundings) -> Result<Ended, Error> {
    go_on(store, run, None, surroundings).await
}

/// As [`resume`], for a run that is over and that a person reopens with a request.
pub async fn reopen<S: Store>(
    store: &S,
    run: &RunId,
    request: Request,
    surroundings: Surroundings,
) -> Result<Ended, Error> {
    go_on(store, run, Some(request), surroundings).await
}

async fn go_on<S: Store>(
    store: &S,
    run: &RunId,
    request: Option<Request>,
    surroundings: Surroundings,
) -> Result<Ended, Error> {
    let (loaded, mut owned) = store.own(run).await?;
    let at = loaded.end.at.unwrap_or_else(Timestamp::now);
    if let (Phase::Finished { outcome, .. }, None) = (&loaded.run.phase, &request) {
        return Ok(Ended { run: run.clone(), how: How::Finished(*outcome), state: loaded.run, at });
    }
    let (mode, people) = match &loaded.run.started {
        Some((_, started)) => (started.mode, started.people.clone()),
        None => (Mode::DryRun, BTreeMap::new()),
    };
    let taken = take(store, run, &mut owned.leases, &surroundings).await?;
    let opening = driver::opening(&loaded.run, request, identity::this_person);
    let (plan, last) = (loaded.plan, loaded.end.at);
    let session = Session { logs: store.logs(run), run: run.clone(), mode, plan, last, people };
    session.drive(owned, taken, (loaded.run, opening), surroundings).await
}

/// Takes the leases, and then the targets themselves, so that engines with other stores are kept away too. A run that needs no lease
/// here (a dry-run writes to no target) needs none there.
async fn take<S: Store>(
    store: &S,
    run: &RunId,
    leases: &mut S::Leases,
    surroundings: &Surroundings,
) -> Result<Taken, Error> {
    let taken = leases.take().await?;
    if taken.resources.is_empty() {
        return Ok(taken);
    }
    let holder = Holder::this_process(run).of_home(store.name());
    tracing::debug!(%run, leases = taken.resources.len(), "the leases are taken; taking the targets");
    let told = surroundings.invoke.hold(holder).await.map_err(|reason| Error::TargetHeld(reason.message))?;
    for Reason { code, message } in told {
        surroundings.reporter.report(&Report::Refused(Refusal::new(&code, message)), &Run::default());
    }
    Ok(taken)
}

/// A run on which this process works.
struct Session {
    run: RunId,
    mode: Mode,
    plan: Plan,
    logs: PathBuf,
    /// When the last event was.
    last: Option<Timestamp>,
    people: BTreeMap<String, Vec<String>>,
}

impl Session {
    async fn drive<S: Store>(
        self,
        owned: Owned<S>,
        taken: Taken,
        (run, opening): (Run, Vec<Input>),
        surroundings: Surroundings,
    ) -> Result<Ended, Error> {
        let Owned { log, mut leases, desk } = owned;
        let materials = Materials {
            run: self.run.clone(),
            mode: self.mode,
            taken,
            log,
            desk,
            last: self.last,
            logs: self.logs,
            people: self.people,
        };
        let invoke = surroundings.invoke.clone();
        let span = tracing::info_span!("run", run = %self.run, mode = ?self.mode);
        let mut world = RealWorld::<S>::new(materials, surroundings).await;
        let driven = driver::drive(&self.plan, run, opening, &mut world).instrument(span.clone()).await;
        let nothing = Run::default();
        let left = driven.as_ref().map_or(&nothing, |(run, _)| run);
        world.wind_down(left).instrument(span.clone()).await;
        match &driven {
            Ok((_, how)) => tracing::info!(parent: &span, how = variant::name(how), "the session is over"),
            Err(error) => tracing::error!(parent: &span, code = error.code(), "the session cannot continue"),
        }
        invoke.let_go().await;
        let (state, how) = driven?;
        if let How::Finished(_) = how {
            // The run is still owned here: no other engine finds it over before its leases are free.
            leases.release().await;
        }
        Ok(Ended { run: self.run, how, state, at: world.now() })
    }
}
