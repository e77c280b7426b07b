//! Sends a request to a run: to the engine that works on it, or to the run's journal if none does.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_core::{
    decide::decide_unattended,
    event::Event,
    input::Input,
    name::RunId,
    operator::{Command, Refusal, Request, judge},
    plan::Plan,
    run::{Phase, Run},
};

use crate::{
    Error,
    holder::{Doing, Holder},
    identity,
    journal::Recorded,
    store::{Loaded, Log, Owned, Sent, Store},
    world::Clock,
};

/// How often a run that is locked, but not reached yet, is tried: an engine that has just started takes the lock before it listens.
const TRIES: u32 = 50;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// The result of a request to a run.
#[derive(Debug)]
pub enum Told {
    /// The engine that works on the run has recorded it, and continues.
    Live(Vec<Recorded>),
    /// No engine works on the run: it is recorded, and happens when the run is resumed.
    Recorded(Vec<Recorded>, Box<Run>),
    /// The run is over and would continue: [`crate::session::reopen`] does it.
    Reopens(Request),
    /// It cannot be done; nothing is recorded.
    Refused(Refusal),
}

/// How long to wait for an answer. An engine answers at once unless it is stopped or blocked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a request to a run, live or not, in the name of the person behind this process.
pub async fn tell<S: Store>(store: &S, run: &RunId, command: Command) -> Result<Told, Error> {
    tell_within(PATIENCE, store, run, command).await
}

/// As [`tell`], with another time for a live engine to answer. What it has not done by then it does not do at all.
pub async fn tell_within<S: Store>(
    patience: Duration,
    store: &S,
    run: &RunId,
    command: Command,
) -> Result<Told, Error> {
    for attempt in 1.. {
        match store.tell(run, &command, patience).await? {
            Sent::Answered(Ok(records)) => return Ok(Told::Live(records)),
            Sent::Answered(Err(refusal)) => return Ok(Told::Refused(refusal)),
            Sent::Silent(owner) => return Ok(Told::Refused(silent(owner.as_ref(), patience))),
            Sent::Nobody => {}
        }
        match store.own(run).await {
            Ok((loaded, owned)) => return record(loaded, owned, command).await,
            Err(Error::Locked { .. }) if attempt < TRIES => tokio::time::sleep(BETWEEN_TRIES).await,
            Err(error) => return Err(error),
        }
    }
    unreachable!("the loop returns")
}

/// The refusal if the engine does not answer: what it is doing, and what happens to the request.
fn silent(holder: Option<&Holder>, patience: Duration) -> Refusal {
    let who = holder.map_or_else(|| "the engine".to_owned(), |holder| format!("the engine ({holder})"));
    let (doing, advice) = match holder.and_then(|holder| Some((holder.pid, holder.doing()?))) {
        Some((pid, Doing::Stopped)) => ("it is stopped by a signal", format!("continue it with `kill -CONT {pid}`")),
        Some((pid, Doing::Traced)) => ("it is stopped by a debugger", format!("end the debugger of process {pid}")),
        Some((_, Doing::WaitsForDisk)) => ("it waits for a disk", "check the disk of the state folder".to_owned()),
        Some((pid, Doing::Other)) => ("it is busy", format!("check process {pid}, then try again")),
        None => ("its state cannot be seen from this machine", "check it on its machine".to_owned()),
    };
    let seconds = patience.as_secs();
    let message = format!(
        "{who} has not answered within {seconds} s: {doing}. The request has expired and will not be carried out; \
         {advice}"
    );
    Refusal::new("run-control", message)
}

/// Records it in the journal of a run on which no engine works; this process owns the run meanwhile.
async fn record<S: Store>(loaded: Loaded, mut owned: Owned<S>, command: Command) -> Result<Told, Error> {
    let Loaded { plan, run: mut state, end, .. } = loaded;
    let who = identity::this_person();
    let people = state.started.as_ref().map(|(_, facts)| facts.people.clone()).unwrap_or_default();
    let request = Request { groups: identity::groups(&people, &who), who, command };
    let at = Clock::not_before(end.at).now();
    let events = match unattended(&plan, &state, request, at) {
        Unattended::Refused(refusal) => return Ok(Told::Refused(refusal)),
        Unattended::Reopens(request) => return Ok(Told::Reopens(request)),
        Unattended::Records(events) => events,
    };
    let records = owned.log.append(at, &events).await?;
    for record in &records {
        if let Err(illegal) = state.apply(record.at, &record.event) {
            panic!("the decision holds {record:?}, which is illegal: {illegal}");
        }
    }
    Ok(Told::Recorded(records, Box::new(state)))
}

/// What follows from a request to a run that no engine works on.
#[derive(Debug)]
pub enum Unattended {
    /// It cannot be done.
    Refused(Refusal),
    /// The run is over and would continue: an engine has to do that.
    Reopens(Request),
    /// These events are to be written. What would begin does so where an engine continues the run, as after a stop.
    Records(Vec<Event>),
}

/// What follows from a request to a run that no engine works on. Nothing is written.
pub fn unattended(plan: &Plan, run: &Run, request: Request, at: Timestamp) -> Unattended {
    match judge(plan, run, &request, at) {
        Err(refusal) => Unattended::Refused(refusal),
        Ok(event) if goes_on(run, &event, at) => Unattended::Reopens(request),
        Ok(_) => Unattended::Records(decide_unattended(plan, run, &Input::Command(Box::new(request)), at)),
    }
}

/// Whether the run is over and is not after the event.
fn goes_on(run: &Run, event: &Event, at: Timestamp) -> bool {
    let is_over = |run: &Run| matches!(run.phase, Phase::Finished { .. });
    let mut after = run.clone();
    is_over(run) && after.apply(at, event).is_ok() && !is_over(&after)
}
