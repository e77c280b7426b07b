//! The real world.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use lifeboat_core::{
    decide,
    event::{Event, Mode},
    input::{Effect, Input, Observation},
    name::RunId,
    operator::Refusal,
    run::Run,
};
use tokio::sync::{
    mpsc::{UnboundedReceiver, unbounded_channel},
    oneshot,
};

use super::{
    Clock, Surroundings,
    calls::Calls,
    inbox::{Arrival, input_of_answer, input_of_reply},
    logs::Logs,
    notes::{NoteReceiver, notes},
    questions::{Questions, Wanted},
};
use crate::{
    Error, control,
    driver::{Next, World},
    identity,
    invoke::{Level, Note, StepNote},
    journal::Recorded,
    report::Report,
    store::{Desk, Log, Store, Taken},
};

/// The world of one session with a run.
pub(crate) struct RealWorld<S: Store> {
    surroundings: Surroundings,
    clock: Clock,
    log: S::Log,
    logs: Logs,
    calls: Calls,
    questions: Questions,
    wake_at: Option<Timestamp>,
    /// When a question to a person expires, where nothing else is waited for.
    expires_at: Option<Timestamp>,
    arrivals: UnboundedReceiver<Arrival>,
    notes: NoteReceiver,
    stopping: Stopping,
    /// The people of each role.
    people: BTreeMap<String, Vec<String>>,
    desk: S::Desk,
    /// Whether others can reach the run there.
    reachable: bool,
    /// Who waits at another terminal for what becomes of the input that the driver has.
    waits: Option<oneshot::Sender<control::Answer>>,
    /// The run is paused.
    held: bool,
}

/// How far the end of the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stopping {
    /// Nobody asked for it.
    No,
    /// The engine was told to stop: nothing begins any more.
    Told,
    /// What was in flight was told to end, and what it still answers is waited for.
    WindingDown,
}

/// What a world is made of.
pub(crate) struct Materials<S: Store> {
    pub(crate) run: RunId,
    pub(crate) mode: Mode,
    pub(crate) taken: Taken,
    pub(crate) log: S::Log,
    pub(crate) desk: S::Desk,
    /// When the last event was.
    pub(crate) last: Option<Timestamp>,
    pub(crate) logs: PathBuf,
    pub(crate) people: BTreeMap<String, Vec<String>>,
}

impl<S: Store> RealWorld<S> {
    pub(crate) async fn new(materials: Materials<S>, surroundings: Surroundings) -> Self {
        let Materials { run, mode, taken, log, mut desk, last, logs, people } = materials;
        let (sender, arrivals) = unbounded_channel();
        let (note_sender, notes) = notes();
        let requests = sender.clone();
        let deliver = move |arrived| drop(requests.send(Arrival::Request(arrived)));
        let opened = desk.open(people.clone(), Box::new(deliver)).await;
        let reachable = opened.is_ok();
        // The run continues without it.
        if let Err(error) = opened {
            let message = format!("this engine cannot be reached from other terminals: {error}");
            let refusal = Refusal::new("run-control", message);
            surroundings.reporter.report(&Report::Refused(refusal), &Run::default());
        }
        Self {
            people,
            desk,
            reachable,
            waits: None,
            held: false,
            clock: Clock::not_before(last),
            calls: Calls::new(surroundings.invoke.clone(), run, mode, taken.fence, sender.clone(), note_sender),
            questions: Questions::new(surroundings.people.clone(), sender),
            surroundings,
            log,
            logs: Logs::new(logs),
            wake_at: None,
            expires_at: None,
            arrivals,
            notes,
            stopping: Stopping::No,
        }
    }

    /// Drops what is in flight, waits until it has ended, and shows what the plugins said last.
    pub(crate) async fn wind_down(&mut self, run: &Run) {
        self.desk.close();
        self.reachable = false;
        self.questions.reconcile(BTreeMap::new(), self.clock.now());
        self.calls.wind_down().await;
        while let Some(note) = self.notes.ready() {
            self.report(Report::Note(note), run);
        }
        // What the driver had and could not write, and what comes from now on, is answered by its sender.
        self.waits = None;
        self.arrivals.close();
        while let Ok(arrival) = self.arrivals.try_recv() {
            if let Arrival::Request(arrived) = arrival {
                let _ = arrived.answer.send(Err(control::ending()));
            }
        }
        self.desk.answered().await;
    }

    fn receive(&mut self, arrival: Arrival) -> Option<Input> {
        match arrival {
            Arrival::Answer { key, ticket, answer } => {
                self.calls.arrived(&key, ticket).then(|| input_of_answer(key, answer))
            }
            Arrival::Reply { step, ticket, reply } => {
                let reply = self.questions.arrived(&step, ticket, reply)?;
                Some(self.with_groups(input_of_reply(step, reply)))
            }
            Arrival::Request(arrived) => {
                let (request, answer) = arrived.wanted(Timestamp::now())?;
                self.waits = Some(answer);
                Some(Input::Command(Box::new(request)))
            }
        }
    }

    /// What a person answered, with the groups that give them the right to answer.
    fn with_groups(&self, input: Input) -> Input {
        match decide::request(&input) {
            Some(mut request) => {
                request.groups = identity::groups(&self.people, &request.who);
                Input::Command(Box::new(request))
            }
            None => input,
        }
    }

    /// What a call in flight or a person brought back, while the session winds down; `Stopped` at the end of it.
    async fn next_of_the_last(&mut self) -> Next {
        loop {
            let arrived = tokio::select! {
                biased;
                Some(arrival) = self.arrivals.recv() => Some(arrival),
                note = self.notes.next() => return Next::Note(note),
                // A task that ended has already sent its answer.
                () = self.calls.ended() => self.arrivals.try_recv().ok(),
            };
            let Some(arrival) = arrived else { return self.notes.ready().map_or(Next::Stopped, Next::Note) };
            if let Some(input) = self.receive(arrival).filter(is_certain) {
                return Next::Input(self.clock.now(), input);
            }
        }
    }

    /// When time alone changes something, and what is to be said then.
    fn alarm(&self) -> Option<(Timestamp, Input)> {
        let unanswered = self.questions.first_expiry().map(|(at, step)| (at, Input::Unanswered { step }));
        let tick = [self.wake_at, self.expires_at].into_iter().flatten().min().map(|at| (at, Input::Tick));
        tick.into_iter().chain(unanswered).min_by_key(|(at, _)| *at)
    }

    fn is_quiet(&self) -> bool {
        let reachable = self.held && self.reachable;
        !reachable && self.wake_at.is_none() && self.calls.is_empty() && self.questions.is_hopeless()
    }

    fn write_log(&mut self, said: &StepNote, run: &Run) {
        let at = self.clock.now();
        if let Some(count) = self.notes.take_dropped() {
            let message = format!("{count} log lines were dropped: plugins log faster than lines can be written");
            let note = Note::Log { level: Level::Warn, message, fields: Vec::new() };
            self.logs.write(at, &StepNote { step: said.step.clone(), note });
        }
        if let Some(warning) = self.logs.write(at, said) {
            self.surroundings.reporter.report(&Report::Note(warning), run);
        }
    }
}

impl<S: Store> World for RealWorld<S> {
    fn now(&mut self) -> Timestamp {
        self.clock.now()
    }

    fn is_stopping(&mut self) -> bool {
        if self.stopping == Stopping::No && self.surroundings.stop.is_cancelled() {
            self.stopping = Stopping::Told;
        }
        self.stopping != Stopping::No
    }

    /// Answers come before everything else: what a plugin did must not be forgotten because the engine was told to stop.
    async fn next(&mut self) -> Next {
        loop {
            if self.stopping == Stopping::WindingDown {
                return self.next_of_the_last().await;
            }
            if self.is_quiet() && self.arrivals.is_empty() {
                let nothing = if self.is_stopping() { Next::Stopped } else { Next::Quiet };
                return self.notes.ready().map_or(nothing, Next::Note);
            }
            let alarm = self.alarm();
            tokio::select! {
                biased;
                Some(arrival) = self.arrivals.recv() => {
                    if let Some(input) = self.receive(arrival) {
                        return Next::Input(self.clock.now(), input);
                    }
                }
                () = self.surroundings.stop.cancelled() => {
                    self.stopping = Stopping::WindingDown;
                    self.calls.hurry();
                    self.questions.hurry();
                }
                note = self.notes.next() => return Next::Note(note),
                input = timer(&mut self.clock, alarm) => return Next::Input(self.clock.now(), input),
            }
        }
    }

    /// By what the driver was told, not by what is true by now: what stands in the journal as started is started.
    fn reconcile(&mut self, due: Vec<Effect>) {
        if self.stopping != Stopping::No {
            return;
        }
        let (mut calls, mut questions) = (Vec::new(), BTreeMap::new());
        (self.wake_at, self.expires_at) = (None, None);
        self.held = false;
        for effect in due {
            match effect {
                Effect::Invoke(call) => calls.push(call),
                Effect::Ask { step, question, within } => drop(questions.insert(step, Wanted { question, within })),
                Effect::Hold => self.held = true,
                Effect::WakeAt(at) => self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at))),
                Effect::ExpiresAt(at) => self.expires_at = Some(at),
            }
        }
        self.calls.reconcile(calls);
        self.questions.hold(self.held, self.clock.now());
        self.questions.reconcile(questions, self.clock.now());
    }

    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        let records = self.log.append(at, events).await?;
        if let Some(waits) = self.waits.take() {
            // Who went away can look at the journal.
            let _ = waits.send(Ok(records.clone()));
        }
        Ok(records)
    }

    fn refuse(&mut self, refusal: Refusal, run: &Run) {
        match self.waits.take() {
            Some(waits) => drop(waits.send(Err(refusal))),
            None => {
                self.questions.refused();
                self.report(Report::Refused(refusal), run);
            }
        }
    }

    fn report(&mut self, report: Report, run: &Run) {
        if let Report::Note(note) = &report {
            self.write_log(note, run);
        }
        self.surroundings.reporter.report(&report, run);
    }
}

async fn timer(clock: &mut Clock, alarm: Option<(Timestamp, Input)>) -> Input {
    match alarm {
        Some((instant, input)) => {
            clock.reach(instant).await;
            input
        }
        None => std::future::pending().await,
    }
}

/// Whether an answer that came after the call was told to end says what became of the call. A failure may come of being told
/// to end: the resumed engine looks into that attempt, as after a crash.
fn is_certain(input: &Input) -> bool {
    match input {
        Input::Answered { answer, .. } => answer.is_ok(),
        Input::Observed { observation, .. } => matches!(observation, Ok(Observation::Done(_) | Observation::NotDone)),
        _ => true,
    }
}
