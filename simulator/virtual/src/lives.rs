//! The lives of the engine, one after another: each does exactly what the shipped one does when it is started or resumed.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll, Waker},
};

use jiff::Timestamp;
use lifeboat_core::{
    event::Outcome,
    input::Input,
    name::StepId,
    run::{Phase, Run},
};
use lifeboat_runtime::{
    Error,
    driver::{drive, fold, opening},
    journal::Recorded,
    request::Unattended,
    session::How,
};

use super::{
    behaviour::start,
    case::Case,
    chronicle::{Chronicle, Told},
    subject::{Subject, person},
    truth::Truth,
    world::{Away, VirtualWorld},
};

/// How a life of the engine ended.
#[derive(Debug, Clone, PartialEq)]
pub enum LifeEnd {
    /// The run is over.
    Finished(Outcome),
    /// These steps wait for a person, and nobody was there.
    Waiting(Vec<StepId>),
    /// The engine was told to stop.
    Stopped,
    /// It was cut off.
    Died,
    /// The disk was full.
    DiskFull,
    /// The store did not say that a decision is durable.
    Unwritten,
    /// Another engine owned the run.
    Disowned,
    /// It would have gone on for ever.
    Hung(String),
    /// It found a defect in itself.
    Defect(String),
    /// Its journal cannot be used.
    Damaged(String),
}

/// A case that was played.
#[derive(Debug)]
pub struct Played {
    /// Every record of the journal.
    pub records: Vec<Recorded>,
    /// The bytes of the journal.
    pub journal: Vec<u8>,
    /// What really happened.
    pub truth: Truth,
    /// How each life of the engine ended.
    pub lives: Vec<LifeEnd>,
    /// The state that the last engine left.
    pub run: Run,
    /// Everything that happened, where it was asked for.
    pub(super) chronicle: Vec<(Timestamp, Told)>,
}

/// Plays a case to its end.
pub fn play(subject: &Subject, case: &Case) -> Played {
    play_with(subject, case, Chronicle::default(), Away::AWhile)
}

/// Plays a case from a journal on, which is read as an engine left it: any beginning of one, torn or not. Nothing is known of what its
/// calls did, so that the targets are as if nothing had happened to them.
pub fn resume(subject: &Subject, case: &Case, journal: &[u8]) -> Played {
    let mut world = VirtualWorld::new(subject, case, Chronicle::default(), Away::AWhile, start());
    world.find(journal);
    live_on(world)
}

/// Plays a case in which an engine is started again as soon as one ended.
pub(super) fn play_at_once(subject: &Subject, case: &Case) -> Played {
    play_with(subject, case, Chronicle::default(), Away::NoTime)
}

/// Plays a case to its end, and keeps what happened.
pub(super) fn play_and_tell(subject: &Subject, case: &Case) -> Played {
    play_with(subject, case, Chronicle::kept(), Away::AWhile)
}

fn play_with(subject: &Subject, case: &Case, chronicle: Chronicle, away: Away) -> Played {
    live_on(VirtualWorld::new(subject, case, chronicle, away, start()))
}

/// One life of the engine after another, until the run is over.
fn live_on(mut world: VirtualWorld<'_>) -> Played {
    let (subject, case) = (world.subject, world.case);
    let (mut lives, mut left) = (Vec::new(), Left::default());
    // Each fault ends one life at most, or begins one. One more comes to the end, and another shows that it does not.
    let most = case.faults.len() + 2;
    while lives.len() < most {
        let Some(end) = next_life(subject, case, &mut world, &lives, &mut left) else { break };
        world.chronicle.tell(world.now, || Told::EngineEnded(end.clone()));
        let over = is_the_last(&end) && !(matches!(end, LifeEnd::Finished(_)) && world.somebody_intends());
        lives.push(end);
        world.truth.left.push(world.journal().end().seq);
        if over {
            break;
        }
    }
    if !lives.last().is_some_and(is_the_last) {
        lives.push(LifeEnd::Hung(format!("it did not end within {} engines", lives.len())));
    }
    let journal = world.journal().medium().bytes().to_vec();
    let (records, truth, chronicle) = world.into_records();
    Played { records, journal, truth, lives, run: left.run, chronicle: chronicle.into_lines() }
}

/// The state of the run that an engine left.
#[derive(Debug, Default)]
struct Left {
    run: Run,
    /// It was the last engine, and nobody has read its journal since.
    is_new: bool,
}

/// Whether no engine goes on by itself after it.
fn is_the_last(end: &LifeEnd) -> bool {
    matches!(end, LifeEnd::Finished(_) | LifeEnd::Hung(_) | LifeEnd::Defect(_) | LifeEnd::Damaged(_))
}

/// Plays the next life of the engine, and what people tell the run before it; `None` where the run is known to be over and nobody
/// wants anything of it.
fn next_life(
    subject: &Subject,
    case: &Case,
    world: &mut VirtualWorld<'_>,
    lives: &[LifeEnd],
    left: &mut Left,
) -> Option<LifeEnd> {
    loop {
        let found = match open(subject, world) {
            Err(damage) => return Some(LifeEnd::Damaged(damage)),
            Ok(found) => found,
        };
        if std::mem::take(&mut left.is_new) && found != left.run {
            return Some(LifeEnd::Defect("the state of the engine is not what its journal tells".to_owned()));
        }
        let wanted = match world.tell_unattended(&found) {
            None => None,
            Some(Unattended::Reopens(request)) => Some(request),
            Some(Unattended::Refused(refusal)) => {
                world.refused(&refusal);
                continue;
            }
            Some(Unattended::Records(events)) => match world.write_unattended(&events) {
                Some(end) => return Some(end),
                None => continue,
            },
        };
        if let (Phase::Finished { outcome, .. }, None) = (&found.phase, &wanted) {
            let end = LifeEnd::Finished(*outcome);
            left.run = found;
            return (lives.last() != Some(&end)).then_some(end);
        }
        let opening = match found.phase {
            Phase::NotStarted => vec![Input::Start(Box::new(subject.started(case.seed)))],
            _ => opening(&found, wanted, person),
        };
        world.begin_life(lives.len());
        let (state, end) = live(subject, found, opening, world);
        if let Some(run) = state {
            *left = Left { run, is_new: true };
        }
        return Some(end);
    }
}

/// The run as it lies on the disk: what `lifeboat run` finds with nothing there, and every other command with a journal.
fn open(subject: &Subject, world: &mut VirtualWorld<'_>) -> Result<Run, String> {
    let records = world.own().map_err(|damage| damage.to_string())?;
    fold(&subject.plan, records).map_err(|damage| damage.to_string())
}

/// One life of the engine.
fn live(subject: &Subject, run: Run, opening: Vec<Input>, world: &mut VirtualWorld<'_>) -> (Option<Run>, LifeEnd) {
    let driven = catch_unwind(AssertUnwindSafe(|| at_once(drive(&subject.plan, run, opening, world))));
    let ended = world.end_life();
    match (driven, ended) {
        (Err(panic), _) => (None, LifeEnd::Defect(message(panic.as_ref()))),
        (Ok(Ok((run, _))), Some(end)) => (Some(run), end),
        (Ok(Err(_)), Some(end)) => (None, end),
        (Ok(Ok((run, How::Finished(outcome)))), None) => (Some(run), LifeEnd::Finished(outcome)),
        (Ok(Ok((run, How::Waiting(steps)))), None) => (Some(run), LifeEnd::Waiting(steps)),
        (Ok(Ok((run, How::Stopped))), None) => (Some(run), LifeEnd::Stopped),
        (Ok(Err(error)), None) => (None, LifeEnd::Defect(told(&error))),
    }
}

fn told(error: &Error) -> String {
    format!("{} ({error})", error.code())
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("it panicked").to_owned()
}

/// The result of a future that never waits: everything in the virtual world is there at once.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the driver waits for something outside of the virtual world"),
    }
}
