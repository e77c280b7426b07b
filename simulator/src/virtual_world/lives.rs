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
    driver::{drive, fold, interrupted},
    journal::{Journal, Recorded, read},
    session::How,
};

use super::{
    behaviour::start,
    case::Case,
    chronicle::{Chronicle, Told},
    disk::Disk,
    subject::{Subject, run_id},
    truth::Truth,
    world::VirtualWorld,
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
    /// It would have gone on for ever.
    Hung(String),
    /// It found a defect in itself.
    Defect(String),
    /// Its journal can not be used.
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
    play_with(subject, case, Chronicle::default())
}

/// Plays a case to its end, and keeps what happened.
pub(super) fn play_and_tell(subject: &Subject, case: &Case) -> Played {
    play_with(subject, case, Chronicle::kept())
}

fn play_with(subject: &Subject, case: &Case, chronicle: Chronicle) -> Played {
    let mut world = VirtualWorld::new(subject, case, chronicle, start());
    let (mut lives, mut run) = (Vec::new(), Run::default());
    // Each fault ends one life at most. One more comes to the end, and another shows that it does not.
    let most = case.faults.len() + 2;
    while lives.len() < most {
        let end = match resume(subject, case, &world) {
            Err(damage) => LifeEnd::Damaged(damage),
            Ok(Resumed { run: loaded, .. }) if matches!(loaded.phase, Phase::Finished { .. }) => {
                let outcome = loaded.outcome().unwrap_or(Outcome::Failed);
                run = loaded;
                LifeEnd::Finished(outcome)
            }
            Ok(Resumed { run: loaded, journal, records, opening }) => {
                world.begin_life(lives.len(), journal, records);
                let (left, end) = live(subject, loaded, opening, &mut world);
                run = left.unwrap_or(run);
                end
            }
        };
        world.chronicle.tell(world.now, || Told::EngineEnded(end.clone()));
        let over = matches!(end, LifeEnd::Finished(_) | LifeEnd::Hung(_) | LifeEnd::Defect(_) | LifeEnd::Damaged(_));
        lives.push(end);
        if over {
            break;
        }
    }
    if !matches!(lives.last(), Some(LifeEnd::Finished(_) | LifeEnd::Hung(_) | LifeEnd::Defect(_) | LifeEnd::Damaged(_)))
    {
        lives.push(LifeEnd::Hung(format!("{} engines did not bring it to an end", lives.len())));
    }
    let journal = world.journal().medium().bytes().to_vec();
    let (records, truth, chronicle) = world.into_records();
    Played { records, journal, truth, lives, run, chronicle: chronicle.into_lines() }
}

/// A run as an engine finds it.
struct Resumed {
    run: Run,
    journal: Journal<Disk>,
    records: Vec<Recorded>,
    opening: Vec<Input>,
}

/// What `lifeboat run` does with nothing on disk, and `lifeboat resume` with a journal.
fn resume(subject: &Subject, case: &Case, world: &VirtualWorld<'_>) -> Result<Resumed, String> {
    let bytes = world.journal().medium().bytes();
    let contents = read(bytes).map_err(|damage| damage.to_string())?;
    if contents.records.is_empty() {
        return Ok(Resumed {
            run: Run::new(&subject.plan),
            journal: Journal::begin(Disk::default(), &run_id()),
            records: Vec::new(),
            opening: vec![Input::Start(Box::new(subject.started(case.seed)))],
        });
    }
    let run = fold(&subject.plan, &contents.records).map_err(|damage| damage.to_string())?;
    let opening = interrupted(&run);
    let disk = Disk::holding(bytes.to_vec());
    let journal = Journal::go_on(disk, contents.end, contents.torn_bytes).map_err(|error| error.to_string())?;
    Ok(Resumed { run, journal, records: contents.records, opening })
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
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the driver waits for something outside of the virtual world"),
    }
}
