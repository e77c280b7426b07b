//! The real world.

use std::{collections::BTreeMap, fs::File, path::PathBuf};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Mode},
    input::{Effect, Input},
    name::RunId,
    run::Run,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::{
    Clock,
    calls::Calls,
    inbox::{Arrival, input_of_answer, input_of_reply},
    logs::Logs,
    notes::{NoteReceiver, notes},
    questions::Questions,
};
use crate::{
    Error,
    driver::{Next, World},
    invoke::{Level, Note, StepNote},
    journal::{Journal, Recorded},
    report::Report,
    session::Surroundings,
};

/// The world of one session with a run.
pub(crate) struct RealWorld {
    surroundings: Surroundings,
    clock: Clock,
    journal: Journal<File>,
    journal_path: PathBuf,
    logs: Logs,
    calls: Calls,
    questions: Questions,
    wake_at: Option<Timestamp>,
    arrivals: UnboundedReceiver<Arrival>,
    notes: NoteReceiver,
}

/// What a world is made of.
pub(crate) struct Materials {
    pub(crate) run: RunId,
    pub(crate) mode: Mode,
    pub(crate) journal: Journal<File>,
    pub(crate) journal_path: PathBuf,
    pub(crate) logs: PathBuf,
}

impl RealWorld {
    pub(crate) fn new(materials: Materials, surroundings: Surroundings) -> Self {
        let Materials { run, mode, journal, journal_path, logs } = materials;
        let (sender, arrivals) = unbounded_channel();
        let (note_sender, notes) = notes();
        Self {
            clock: Clock::not_before(journal.end().at),
            calls: Calls::new(surroundings.invoke.clone(), run, mode, sender.clone(), note_sender),
            questions: Questions::new(surroundings.people.clone(), sender),
            surroundings,
            journal,
            journal_path,
            logs: Logs::new(logs),
            wake_at: None,
            arrivals,
            notes,
        }
    }

    /// Cancels what is in flight, waits until it has ended, and shows what the plugins said last.
    pub(crate) async fn wind_down(&mut self, run: &Run) {
        self.questions.reconcile(BTreeMap::new());
        self.calls.wind_down().await;
        while let Some(note) = self.notes.ready() {
            self.report(Report::Note(note), run);
        }
    }

    fn receive(&mut self, arrival: Arrival) -> Option<Input> {
        match arrival {
            Arrival::Answer { key, ticket, answer } => {
                self.calls.arrived(&key, ticket).then(|| input_of_answer(key, answer))
            }
            Arrival::Reply { step, ticket, reply } => {
                let reply = self.questions.arrived(&step, ticket, reply)?;
                Some(input_of_reply(step, reply))
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.wake_at.is_none() && self.calls.is_empty() && self.questions.is_hopeless()
    }

    fn write_log(&mut self, said: &StepNote, run: &Run) {
        let at = self.clock.now();
        if let Some(count) = self.notes.take_dropped() {
            let message = format!("{count} lines were lost: the plugins talk faster than they can be written");
            let note = Note::Log { level: Level::Warn, message, fields: Vec::new() };
            self.logs.write(at, &StepNote { step: said.step.clone(), note });
        }
        if let Some(warning) = self.logs.write(at, said) {
            self.surroundings.reporter.report(&Report::Note(warning), run);
        }
    }
}

impl World for RealWorld {
    fn now(&mut self) -> Timestamp {
        self.clock.now()
    }

    /// Answers come before everything else: what a plugin did must not be forgotten because the engine was told to stop.
    async fn next(&mut self) -> Next {
        loop {
            if self.is_quiet() && self.arrivals.is_empty() {
                let nothing = if self.surroundings.stop.is_cancelled() { Next::Stopped } else { Next::Quiet };
                return self.notes.ready().map_or(nothing, Next::Note);
            }
            tokio::select! {
                biased;
                Some(arrival) = self.arrivals.recv() => {
                    if let Some(input) = self.receive(arrival) {
                        return Next::Input(self.clock.now(), input);
                    }
                }
                () = self.surroundings.stop.cancelled() => return Next::Stopped,
                note = self.notes.next() => return Next::Note(note),
                () = timer(&mut self.clock, self.wake_at) => {
                    self.wake_at = None;
                    return Next::Input(self.clock.now(), Input::Tick);
                }
            }
        }
    }

    fn reconcile(&mut self, due: Vec<Effect>) {
        let (mut calls, mut questions) = (Vec::new(), BTreeMap::new());
        self.wake_at = None;
        for effect in due {
            match effect {
                Effect::Invoke(call) => calls.push(call),
                Effect::Ask { step, question } => drop(questions.insert(step, question)),
                Effect::WakeAt(at) => self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at))),
            }
        }
        // An engine that was told to stop begins nothing new; winding down cancels the rest.
        if !self.surroundings.stop.is_cancelled() {
            self.calls.reconcile(calls);
            self.questions.reconcile(questions);
        }
    }

    /// Blocks the thread: until the events are on disk there is nothing else that the driver may do.
    fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        self.journal.append(at, events).map_err(Error::disk(&self.journal_path))
    }

    fn report(&mut self, report: Report, run: &Run) {
        if let Report::Note(note) = &report {
            self.write_log(note, run);
        }
        self.surroundings.reporter.report(&report, run);
    }
}

async fn timer(clock: &mut Clock, wake_at: Option<Timestamp>) {
    match wake_at {
        Some(instant) => clock.reach(instant).await,
        None => std::future::pending().await,
    }
}
