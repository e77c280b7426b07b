//! The loop: take an input, decide, make the events durable, apply them, and put the effects right.

use jiff::Timestamp;
use lifeboat_core::{
    decide::{self, advance, decide},
    due::due,
    event::{Event, Outcome},
    input::Input,
    mutant::{self, Mutant},
    name::StepId,
    operator,
    plan::Plan,
    run::{Phase, Run, StepState},
};

use super::{Next, World};
use crate::{Error, report::Report, variant};

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

/// Drives a run from its present state until it is over, waits for people who cannot be asked, or is stopped. `opening` are
/// the inputs that come before anything in the world: the start, or what a crash interrupted.
///
/// # Panics
/// When the core decides something that it then refuses to apply, or leaves a run with nothing to wait for. Both are bugs of
/// the engine; the journal stays as it was before.
pub async fn drive<W: World>(
    plan: &Plan,
    mut run: Run,
    opening: impl IntoIterator<Item = Input>,
    world: &mut W,
) -> Result<(Run, How), Error> {
    for input in opening {
        let at = world.now();
        take(plan, &mut run, at, &input, world).await?;
    }
    loop {
        if let Phase::Finished { outcome, .. } = run.phase {
            world.reconcile(Vec::new());
            return Ok((run, How::Finished(outcome)));
        }
        let now = world.now();
        world.reconcile(due(plan, &run, now));
        match world.next().await {
            Next::Input(at, input) => take(plan, &mut run, at, &input, world).await?,
            Next::Note(note) => world.report(Report::Note(note), &run),
            Next::Stopped => return Ok((run, How::Stopped)),
            Next::Quiet => {
                let waiting = awaiting(&run);
                let waits = !waiting.is_empty() || run.pause.is_some();
                assert!(waits, "the run is not over, but nothing is due and no answer is awaited: {run:?}");
                return Ok((run, How::Waiting(waiting)));
            }
        }
    }
}

/// The decision is applied before it is written, so that an illegal event never reaches the disk. Until it is durable nothing sees the
/// state that is ahead of the journal; where writing fails it is dropped with the error.
async fn take<W: World>(plan: &Plan, run: &mut Run, at: Timestamp, input: &Input, world: &mut W) -> Result<(), Error> {
    if let Some(request) = decide::request(input)
        && let Err(refusal) = operator::judge(plan, run, &request, at)
    {
        world.refuse(refusal, run);
        return Ok(());
    }
    let events = if world.is_stopping() { known(plan, run, at, input) } else { advance(plan, run, input, at) };
    if events.is_empty() {
        return Ok(());
    }
    if mutant::is_active(Mutant::EffectBeforeEvent) {
        world.reconcile(due(plan, run, at));
    }
    for record in world.append(at, &events).await? {
        let step = record.event.step().map(tracing::field::display);
        tracing::debug!(seq = record.seq, event = variant::name(&record.event), step, "recorded");
        world.report(Report::Recorded(record), run);
    }
    Ok(())
}

/// The decision up to where something would begin: the journal must not record as started what no engine will start. The rest
/// follows when the run is resumed, as after a crash in the middle of it.
fn known(plan: &Plan, run: &mut Run, at: Timestamp, input: &Input) -> Vec<Event> {
    let mut events = decide(plan, run, input, at);
    events.truncate(events.iter().position(Event::begins_something).unwrap_or(events.len()));
    for event in &events {
        if let Err(illegal) = run.apply(at, event) {
            panic!("the decision about {input:?} holds {event:?}, which is illegal: {illegal}");
        }
    }
    events
}

fn awaiting(run: &Run) -> Vec<StepId> {
    let waits = run.steps.iter().filter(|step| matches!(step.state, StepState::Awaiting(_)));
    waits.map(|step| step.id.clone()).collect()
}
