//! The world of one case: a queue, a clock, a disk, and what goes wrong. It stays when the engine ends.

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    event::{Event, Person},
    input::{Effect, Input},
    name::StepId,
    operator::Refusal,
    run::Run,
};
use lifeboat_runtime::{
    Error,
    driver::{Next, World, fold},
    journal::{Damage, Journal, Recorded},
    report::Report,
    shown,
};

use super::{
    calls::{Answer, Flight},
    case::Case,
    chance::Chance,
    chronicle::{Chronicle, Told},
    disk::{Disk, Trouble},
    faults::AppendFault,
    lives::{LifeEnd, at_once},
    operators::{Intent, Operators},
    people::{Asked, Asking, Stray},
    queue::Queue,
    shelf::{Owner, Refused, Shelf},
    subject::{Subject, person, run_id},
    truth::{Answered, HandWork, Truth},
};

/// More things than a sensible run has in one life, for each of its steps and for the run: what goes on beyond them never ends.
const HAPPENINGS_MAX: usize = 200;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A call takes effect.
    Effect(usize),
    /// A call answers.
    Answer(usize, Answer),
    /// The engine dies while a call is in flight.
    Death(usize),
    /// The engine dies while the question stands that was asked as the how manieth of the step.
    DeathAsked(StepId, u32),
    /// Somebody answers the question that was asked as the how manieth of the step.
    Reply(StepId, u32),
    /// The time for that answer is over.
    Unanswered(StepId, u32),
    /// Somebody answers what nobody asked.
    Stray(StepId, Stray),
    /// Who has said yes to the question of the step says it once more.
    SaidTwice(StepId, Person),
    /// Somebody tells the run what they have in mind.
    Operator(Intent),
    /// Somebody lets a paused run go on.
    GoOn,
    /// Nobody will in this life of the engine.
    Leave,
    /// An answer of that attempt, which is over.
    OldAnswer(Input, StepId, u32),
    /// It reaches the engine as it is.
    Input(Input),
}

/// How long nobody works on the run between two lives of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    /// Up to two hours.
    AWhile,
    /// None at all.
    NoTime,
}

/// The world of a case, through all lives of the engine.
#[derive(Debug)]
pub(super) struct VirtualWorld<'a> {
    pub(super) subject: &'a Subject,
    pub(super) case: &'a Case,
    pub(super) truth: Truth,
    pub(super) chronicle: Chronicle,
    /// What the clock of the run shows.
    pub(super) now: Timestamp,
    /// What the clock on the wall shows, which anybody can set.
    wall: Timestamp,
    pub(super) queue: Queue<Happening>,
    pub(super) flying: Vec<Flight>,
    pub(super) asked: Vec<Asked>,
    pub(super) life: usize,
    away: Away,
    pub(super) operators: Operators,
    /// Since when the run is paused.
    pub(super) held: Option<Timestamp>,
    shelf: Shelf,
    /// By which number the engine owns the run.
    owner: Option<Owner>,
    /// The number of an engine that lost the run, and does not know that it should leave it alone.
    lost: Option<Owner>,
    pub(super) records: Vec<Recorded>,
    wake_at: Option<Timestamp>,
    appends: u32,
    happenings: usize,
    stopping: bool,
    /// The engine was told to stop, and has not asked yet.
    pub(super) told_to_stop: bool,
    /// The run is paused, and nobody can let it go on.
    pub(super) left_alone: bool,
    /// How this life ended, where it was not the driver that ended it.
    ended: Option<LifeEnd>,
}

impl<'a> VirtualWorld<'a> {
    pub(super) fn new(subject: &'a Subject, case: &'a Case, chronicle: Chronicle, away: Away, now: Timestamp) -> Self {
        Self {
            subject,
            case,
            truth: Truth::default(),
            chronicle,
            now,
            wall: now,
            queue: Queue::new(),
            flying: Vec::new(),
            asked: Vec::new(),
            life: 0,
            away,
            operators: Operators::default(),
            held: None,
            shelf: Shelf::new(run_id()),
            owner: None,
            lost: None,
            records: Vec::new(),
            wake_at: None,
            appends: 0,
            happenings: 0,
            stopping: false,
            told_to_stop: false,
            left_alone: false,
            ended: None,
        }
    }

    /// What somebody left lies on the disk.
    pub(super) fn find(&mut self, journal: &[u8]) {
        self.shelf = Shelf::holding(run_id(), journal);
    }

    /// An engine goes on with the journal that lies on the disk.
    pub(super) fn begin_life(&mut self, life: usize) {
        if life > 0 || !self.records.is_empty() {
            let seconds = match self.away {
                // Another engine is there already.
                _ if self.lost.is_some() => 0,
                Away::AWhile => Chance::of(self.case.seed, "away", "", life as u64).below(7_200),
                Away::NoTime => 0,
            };
            self.look_at_the_clock_after(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or_default()));
        }
        self.life = life;
        (self.wake_at, self.happenings, self.ended) = (None, 0, None);
        (self.stopping, self.told_to_stop, self.held) = (false, false, None);
        self.chronicle.tell(self.now, || Told::EngineBegan);
        self.intend_again();
    }

    /// Time goes on, with the clock that ships.
    fn reach(&mut self, at: Timestamp) {
        let elapsed = at.duration_since(self.now).max(SignedDuration::ZERO);
        self.set_wall(elapsed);
        self.now = shown(self.now, elapsed, self.wall);
    }

    /// A process begins after a while in which none ran: its clock knows the clock on the wall and the end of the journal.
    pub(super) fn look_at_the_clock_after(&mut self, wait: SignedDuration) {
        self.set_wall(wait);
        let earliest = self.journal().end().at;
        self.now = earliest.map_or(self.wall, |earliest| shown(earliest, SignedDuration::ZERO, self.wall));
    }

    /// The clock on the wall shows another time: because time went by, or because somebody set it.
    fn set_wall(&mut self, by: SignedDuration) {
        self.wall = self.wall.checked_add(by).unwrap_or(Timestamp::MAX);
    }

    /// Somebody becomes the owner of the run, and reads the journal that lies on the disk.
    pub(super) fn own(&mut self) -> Result<&[Recorded], Damage> {
        let (owner, contents) = self.shelf.own()?;
        (self.owner, self.records) = (Some(owner), contents.records);
        Ok(&self.records)
    }

    /// Somebody writes into the journal while no engine works on the run; returns how that ended, where it was cut off.
    pub(super) fn write_unattended(&mut self, events: &[Event]) -> Option<LifeEnd> {
        // The world remembers how it was cut off.
        let _ = at_once(self.append(self.now, events));
        self.leave_operator_without_answer();
        self.ended.take()
    }

    /// The engine is gone. Calls in flight are cut off, questions are not asked any more; returns how it ended, where it was
    /// not the driver that ended it.
    pub(super) fn end_life(&mut self) -> Option<LifeEnd> {
        while let Some(flight) = self.flying.first() {
            self.truth.calls[flight.made].outlived = true;
            self.cut_off(0);
        }
        for asked in self.asked.drain(..) {
            self.truth.questions_cut_off.push((asked.step, self.life));
        }
        self.queue.clear();
        self.leave_operator_without_answer();
        self.ended.take()
    }

    /// Everything that is on disk.
    pub(super) fn journal(&self) -> &Journal<Disk> {
        self.shelf.journal()
    }

    /// What stands in the journal, as the engine was told.
    pub(super) fn into_records(self) -> (Vec<Recorded>, Truth, Chronicle) {
        (self.records, self.truth, self.chronicle)
    }

    pub(super) fn later(&self, wait: SignedDuration) -> Timestamp {
        self.now.checked_add(wait).unwrap_or(Timestamp::MAX)
    }

    /// The engine is ended from outside.
    pub(super) fn die(&mut self, end: LifeEnd) {
        self.ended.get_or_insert(end);
    }

    fn gone(&self, why: &str) -> Error {
        Error::Disk { path: "journal.jsonl".into(), source: std::io::Error::other(why.to_owned()) }
    }

    /// What comes next; `None` where it does not concern the engine.
    fn happen(&mut self, happening: Happening) -> Option<Input> {
        match happening {
            Happening::Effect(call) => {
                self.take_effect(call);
                None
            }
            Happening::Answer(call, answer) => self.answered(call, answer),
            Happening::Death(call) => {
                if self.is_flying(call) {
                    self.die(LifeEnd::Died);
                }
                None
            }
            Happening::DeathAsked(step, nth) => {
                if self.is_asked(&step, nth) {
                    self.die(LifeEnd::Died);
                }
                None
            }
            Happening::Reply(step, nth) => self.reply(&step, nth),
            Happening::Unanswered(step, nth) => self.unanswered(&step, nth),
            Happening::Stray(step, stray) => self.stray(step, stray),
            Happening::SaidTwice(step, who) => Some(self.said_twice(step, who)),
            Happening::Operator(intent) => self.tell(intent),
            Happening::GoOn => self.go_on(),
            Happening::Leave => {
                self.leave();
                None
            }
            Happening::OldAnswer(input, step, attempt) => {
                self.chronicle.tell(self.now, || Told::OldAnswer { step, attempt });
                Some(input)
            }
            Happening::Input(input) => Some(input),
        }
    }

    /// What happens to the engine beside the decision that it writes; `Some` where it does not survive it.
    fn disturb(&mut self, fault: AppendFault) -> Option<Error> {
        self.chronicle.tell(self.now, || Told::AppendFault { fault });
        let number = u64::from(self.appends);
        let mut chance = Chance::of(self.case.seed, fault.name(), "", number);
        match fault {
            AppendFault::CrashBefore => {
                self.die(LifeEnd::Died);
                return Some(self.gone("the engine died"));
            }
            AppendFault::CrashDuring => self.journal().medium().trouble_next(Trouble::Torn(chance.below(1_000))),
            AppendFault::DiskFull => self.journal().medium().trouble_next(Trouble::Full(chance.below(1_000))),
            AppendFault::CrashAfter | AppendFault::AppendUnanswered => {}
            AppendFault::AppendSlow => {
                let seconds = i64::try_from(1 + chance.below(300)).unwrap_or(1);
                self.reach(self.later(SignedDuration::from_secs(seconds)));
            }
            AppendFault::AppendRefused => {
                self.die(LifeEnd::Unwritten);
                return Some(self.gone("the store cannot be reached"));
            }
            AppendFault::SecondOwner => self.shelf.lapse(),
            AppendFault::Stop => self.told_to_stop = true,
            AppendFault::SecondEngine => self.second_engine(),
            AppendFault::ClockForward => {
                self.set_wall(hours(&mut chance));
                self.reach(self.now);
            }
            AppendFault::ClockBack => self.set_wall(-hours(&mut chance)),
            AppendFault::Abort => {
                let wait = SignedDuration::from_secs(i64::try_from(chance.below(60)).unwrap_or_default());
                let input = Input::Abort { who: person(), reason: "somebody wants it so".to_owned() };
                self.queue.plan(self.later(wait), Happening::Input(input));
            }
            AppendFault::Stray => self.plan_strays(&mut chance),
            AppendFault::Pauses
            | AppendFault::Skips
            | AppendFault::Resolves
            | AppendFault::Retries
            | AppendFault::Undoes
            | AppendFault::Answers => self.intend(fault, self.appends),
        }
        None
    }

    /// Appends to the journal on the disk, where this engine still owns the run.
    fn write(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        let appended = self.owner.map_or(Err(Refused::NotOwner), |owner| self.shelf.append(owner, at, events));
        appended.map_err(|refused| match refused {
            Refused::NotOwner => {
                self.die(LifeEnd::Disowned);
                self.lost = self.owner;
                Error::OwnerLost { run: run_id(), owner: None }
            }
            Refused::Disk(source) => {
                let full = source.kind() == std::io::ErrorKind::StorageFull;
                self.die(if full { LifeEnd::DiskFull } else { LifeEnd::Died });
                Error::Disk { path: "journal.jsonl".into(), source }
            }
        })
    }

    /// An engine that lost the run tries to write once more, now that another one has.
    fn write_for_the_lost(&mut self, at: Timestamp, events: &[Event]) {
        let Some(lost) = self.lost.take() else { return };
        if !matches!(self.shelf.append(lost, at, events), Err(Refused::NotOwner)) {
            self.die(LifeEnd::Damaged("an engine that had lost the run wrote to it".to_owned()));
        }
    }

    /// A second engine reads what lies on disk, and then is refused, because this one holds the lock of the run.
    fn second_engine(&mut self) {
        let found = self
            .shelf
            .contents()
            .and_then(|contents| fold(&self.subject.plan, &contents.records).map(|_| contents.records.len()));
        match found {
            Ok(records) if records == self.records.len() => {}
            Ok(records) => self.die(LifeEnd::Damaged(format!("another engine finds {records} records in it"))),
            Err(damage) => self.die(LifeEnd::Damaged(damage.to_string())),
        }
    }
}

/// By how much somebody sets a clock.
fn hours(chance: &mut Chance) -> SignedDuration {
    SignedDuration::from_hours(i64::try_from(1 + chance.below(48)).unwrap_or(1))
}

impl World for VirtualWorld<'_> {
    fn now(&mut self) -> Timestamp {
        self.now
    }

    fn is_stopping(&mut self) -> bool {
        self.stopping |= self.told_to_stop;
        self.stopping
    }

    async fn next(&mut self) -> Next {
        loop {
            if self.ended.is_some() {
                return Next::Stopped;
            }
            if self.is_stopping() {
                return self.last_answer().map_or(Next::Stopped, |input| Next::Input(self.now, input));
            }
            self.happenings += 1;
            if self.happenings > HAPPENINGS_MAX * (self.subject.plan.steps.len() + 1) {
                self.die(LifeEnd::Hung("it repeats itself without progress".to_owned()));
                continue;
            }
            let queued = self.queue.next_at();
            if let Some(wake) = self.wake_at.filter(|wake| queued.is_none_or(|at| *wake < at)) {
                self.wake_at = None;
                self.reach(wake);
                return Next::Input(self.now, Input::Tick);
            }
            let Some((at, happening)) = self.queue.pop() else {
                if !self.asked.is_empty() && self.flying.is_empty() {
                    return Next::Quiet;
                }
                self.die(LifeEnd::Hung("nothing is due, and nobody is asked".to_owned()));
                continue;
            };
            self.reach(at);
            if let Some(input) = self.happen(happening) {
                return Next::Input(self.now, input);
            }
            if std::mem::take(&mut self.left_alone) {
                return Next::Quiet;
            }
        }
    }

    fn reconcile(&mut self, due: Vec<Effect>) {
        if self.stopping || self.ended.is_some() {
            return;
        }
        self.wake_at = None;
        let (mut calls, mut questions, mut held) = (Vec::new(), Vec::new(), false);
        for effect in due {
            match effect {
                Effect::Invoke(call) => calls.push(call),
                Effect::Ask { step, question, within } => questions.push(Asking { step, question, within }),
                Effect::WakeAt(at) | Effect::ExpiresAt(at) => {
                    self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)))
                }
                Effect::Hold => held = true,
            }
        }
        self.hold(held);
        self.reconcile_calls(calls);
        self.reconcile_questions(questions);
    }

    async fn append(&mut self, at: Timestamp, events: &[Event]) -> Result<Vec<Recorded>, Error> {
        if self.ended.is_some() {
            return Err(self.gone("the engine is dead"));
        }
        self.appends += 1;
        let faults: Vec<AppendFault> = self.case.of_append(self.appends).collect();
        for fault in &faults {
            if let Some(error) = self.disturb(*fault) {
                return Err(error);
            }
        }
        let records = self.write(at, events)?;
        self.write_for_the_lost(at, events);
        // What lies on the disk is true, whether the engine hears of it or not.
        for event in events {
            if let Event::ResolvedByHand { step, .. } = event {
                let effect = self.truth.tick();
                self.truth.hands.push(HandWork { step: step.clone(), effect });
            }
            self.chronicle.tell(at, || Told::Recorded(Box::new(event.clone())));
        }
        if faults.contains(&AppendFault::AppendUnanswered) {
            self.die(LifeEnd::Unwritten);
            return Err(self.gone("the answer of the store was lost"));
        }
        let end = self.journal().end();
        let durable = (end.seq, end.hash.clone());
        self.truth.durable.push(durable);
        self.answer_operator(Answered::Recorded);
        if faults.contains(&AppendFault::CrashAfter) {
            self.die(LifeEnd::Died);
        }
        Ok(records)
    }

    fn refuse(&mut self, refusal: Refusal, _run: &Run) {
        self.refused(&refusal);
    }

    fn report(&mut self, report: Report, _run: &Run) {
        if let Report::Recorded(record) = report {
            self.records.push(record);
        }
    }
}
