//! Calls of virtual plugins: when they take effect, what they answer, and what becomes of those that are cut off.

use jiff::SignedDuration;
use lifeboat_core::{
    action::Effect,
    failure::{Failure, Reason},
    input::{Call, Done, Input, Observation, Purpose},
    name::RoleName,
};

use super::{
    chance::Chance,
    chronicle::Told,
    faults::CallFault,
    truth::CallMade,
    world::{Happening, VirtualWorld},
};

/// A call in flight.
#[derive(Debug)]
pub(super) struct Flight {
    /// Its place in the truth.
    pub(super) made: usize,
    call: Call,
    /// Whether it takes effect, now or later.
    works: bool,
    /// Whether its answer will come while the engine listens.
    heard: bool,
}

/// What a call answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// That it worked; of an observation and a verification, what it finds.
    Works,
    /// That it did not.
    Fails(Failure),
    /// Asked what became of an attempt, that it cannot tell.
    CanNotTell,
    /// The host ended it, because its time is up.
    Walled,
}

/// What a call will do.
struct Course {
    effect: Option<SignedDuration>,
    answer: Option<(SignedDuration, Answer)>,
    /// An answer beside it of an attempt that is over, and of which.
    old: Option<(SignedDuration, u32)>,
    death: Option<SignedDuration>,
}

impl VirtualWorld<'_> {
    pub(super) fn is_flying(&self, made: usize) -> bool {
        self.flying.iter().any(|flight| flight.made == made)
    }

    /// Makes the calls in flight those that are due.
    pub(super) fn reconcile_calls(&mut self, due: Vec<Call>) {
        let same = |a: &Call, b: &Call| (a.attempt, a.purpose) == (b.attempt, b.purpose) && a.step == b.step;
        while let Some(place) = self.flying.iter().position(|flight| !due.iter().any(|call| same(call, &flight.call))) {
            self.cut_off(place);
        }
        for call in due {
            if !self.flying.iter().any(|flight| same(&call, &flight.call)) {
                self.begin(call);
            }
        }
    }

    fn begin(&mut self, call: Call) {
        let nth = u32::try_from(self.truth.calls_of(&call.step, call.purpose).count()).unwrap_or(u32::MAX) + 1;
        let made = self.truth.calls.len();
        let course = self.course(&call, nth);
        // The host compares the identity of what may be destroyed before it lets anything be done.
        let identified = destroyed(&call).filter(|role| self.subject.unproved(role).is_none()).cloned().collect();
        let began = self.truth.tick();
        self.truth.calls.push(CallMade {
            step: call.step.clone(),
            purpose: call.purpose,
            attempt: call.attempt,
            nth,
            life: self.life,
            began,
            durable: self.journal().end().seq,
            identified,
            effect: None,
            ended: None,
            outlived: false,
            answer: None,
        });
        self.chronicle.tell(self.now, || Told::Called { step: call.step.clone(), purpose: call.purpose });
        for fault in self.case.of_call(call.purpose, &call.step, nth) {
            self.chronicle.tell(self.now, || Told::CallFault { fault, step: call.step.clone(), purpose: call.purpose });
        }
        let works = course.effect.is_some();
        let heard = matches!(&course.answer, Some((after, Answer::Works)) if call.deadline.is_none_or(|deadline| self.later(*after) < deadline));
        for (after, happening) in course.into_happenings(made, &call, self) {
            let at = self.later(after);
            self.queue.plan(at, happening);
        }
        self.flying.push(Flight { made, call, works, heard });
    }

    /// What the call will do, from what is planned and from chance.
    fn course(&self, call: &Call, nth: u32) -> Course {
        let mut chance =
            Chance::of(self.case.seed, "course", call.step.as_str(), u64::from(nth) * 8 + call.purpose as u64);
        let time = call.deadline.map(|deadline| deadline.duration_since(self.now).max(SignedDuration::ZERO));
        let quick = milliseconds(50 + chance.below(20_000));
        let quick = time.map_or(quick, |time| quick.min(time / 2));
        let soon = milliseconds(chance.below(u64::try_from(quick.as_millis()).unwrap_or(1).max(1)));
        let mut course = Course { effect: Some(soon), answer: Some((quick, Answer::Works)), old: None, death: None };
        for fault in self.case.of_call(call.purpose, &call.step, nth) {
            course.take(fault, time, self.subject.wall, &mut chance, call, self);
        }
        let before = self.truth.calls_of(&call.step, call.purpose).last();
        let old = before.filter(|before| {
            // The calls of an engine that has ended get no answer.
            let over = before.attempt < call.attempt;
            over && self.case.of_call(call.purpose, &call.step, before.nth).any(|fault| fault == CallFault::AnswerOld)
        });
        course.old = old.map(|before| (soon / 2, before.attempt));
        if let Some(reason) = self.refusal(call) {
            course.effect = None;
            course.answer = Some((quick, Answer::Fails(Failure::Denied(reason))));
        }
        course
    }

    /// The host lets nothing be destroyed of which nothing proves that it is what is meant. Asking destroys nothing.
    fn refusal(&self, call: &Call) -> Option<Reason> {
        let unproved = destroyed(call).find_map(|role| self.subject.unproved(role));
        unproved.filter(|_| call.purpose != Purpose::Observe).cloned()
    }

    /// A call is not wanted any more, or its engine is gone. What it had begun may take effect all the same.
    pub(super) fn cut_off(&mut self, place: usize) {
        let flight = self.flying.remove(place);
        let pending = flight.works && self.truth.calls[flight.made].effect.is_none();
        let mut chance = Chance::of(self.case.seed, "cut off", flight.call.step.as_str(), flight.made as u64);
        if pending && !self.dies_before_effect(&flight.call, self.truth.calls[flight.made].nth) && chance.coin() {
            self.truth.calls[flight.made].effect = Some(self.truth.tick());
            let (step, purpose) = (flight.call.step.clone(), flight.call.purpose);
            self.chronicle.tell(self.now, || Told::TookEffectUnheard { step, purpose });
        }
        self.truth.calls[flight.made].ended = Some(self.truth.tick());
    }

    /// A death that is planned before the effect is one before the effect.
    fn dies_before_effect(&self, call: &Call, nth: u32) -> bool {
        self.case.of_call(call.purpose, &call.step, nth).any(|fault| fault == CallFault::CrashInCall)
    }

    pub(super) fn take_effect(&mut self, made: usize) {
        if self.is_flying(made) {
            self.truth.calls[made].effect = Some(self.truth.tick());
            let call = &self.truth.calls[made];
            // Looking leaves everything as it was.
            if matches!(call.purpose, Purpose::Run | Purpose::Undo) {
                let (step, purpose) = (call.step.clone(), call.purpose);
                self.chronicle.tell(self.now, || Told::TookEffect { step, purpose });
            }
        }
    }

    /// A call answers, if it is still in flight.
    pub(super) fn answered(&mut self, made: usize, answer: Answer) -> Option<Input> {
        let place = self.flying.iter().position(|flight| flight.made == made)?;
        let flight = self.flying.remove(place);
        let input = self.input(&flight.call, answer);
        let ended = self.truth.tick();
        let call = &mut self.truth.calls[made];
        call.answer = Some(match &input {
            Input::Answered { answer: Err(failure), .. } | Input::Observed { observation: Err(failure), .. } => {
                Err(failure.kind())
            }
            _ => Ok(()),
        });
        call.ended = Some(ended);
        let nth = call.nth;
        let mut faults = self.case.of_call(flight.call.purpose, &flight.call.step, nth);
        if faults.any(|fault| fault == CallFault::AnswerTwice) {
            let mut chance = Chance::of(self.case.seed, "twice", flight.call.step.as_str(), u64::from(nth));
            let at = self.later(milliseconds(chance.below(5_000)));
            self.queue.plan(at, Happening::Input(input.clone()));
        }
        Some(input)
    }

    /// What the engine hears of a call that worked or failed.
    fn input(&self, call: &Call, answer: Answer) -> Input {
        let (step, attempt, purpose) = (call.step.clone(), call.attempt, call.purpose);
        let changed = self.truth.calls_of(&step, purpose).last().is_some_and(|call| call.effect.is_some());
        let answer = match answer {
            Answer::Walled if changed => Answer::Fails(Failure::Interrupted(walled())),
            Answer::Walled => Answer::Fails(Failure::Transient(walled())),
            Answer::Works if purpose == Purpose::Verify && !self.truth.is_done_by_hand(&step) => {
                Answer::Fails(Failure::Permanent(Reason::new("virtual-not-done", "it is not done")))
            }
            other => other,
        };
        if purpose == Purpose::Observe {
            let observation = match answer {
                Answer::Fails(failure) => Err(failure),
                Answer::CanNotTell => Ok(Observation::Unknown("there is no trace of it, either way".to_owned())),
                _ if self.truth.standing_effect(&step).is_some() => Ok(Observation::Done(self.done(&step))),
                _ => Ok(Observation::NotDone),
            };
            return Input::Observed { step, attempt, observation };
        }
        let answer = match answer {
            Answer::Fails(failure) => Err(failure),
            _ if purpose == Purpose::Run => Ok(self.done(&step)),
            _ => Ok(Done { outputs: serde_json::Value::Object(serde_json::Map::new()), summary: String::new() }),
        };
        Input::Answered { step, attempt, purpose, answer }
    }

    fn done(&self, step: &lifeboat_core::name::StepId) -> Done {
        Done { outputs: self.subject.outputs(self.case.seed, step), summary: "done".to_owned() }
    }

    /// While the engine winds down: a call that was told to end may still answer that it worked. A failure is no answer then.
    pub(super) fn last_answer(&mut self) -> Option<Input> {
        while let Some(flight) = self.flying.first() {
            let (made, heard) = (flight.made, flight.heard);
            let mut chance = Chance::of(self.case.seed, "hurried", flight.call.step.as_str(), made as u64);
            if heard && chance.coin() {
                if self.truth.calls[made].effect.is_none() {
                    self.take_effect(made);
                }
                let input = self.answered(made, Answer::Works);
                if !matches!(input, Some(Input::Answered { answer: Err(_), .. })) {
                    return input;
                }
            } else {
                self.cut_off(0);
            }
        }
        None
    }
}

impl Course {
    fn take(
        &mut self,
        fault: CallFault,
        time: Option<SignedDuration>,
        wall: SignedDuration,
        chance: &mut Chance,
        call: &Call,
        world: &VirtualWorld<'_>,
    ) {
        let quick = self.answer.as_ref().map_or(SignedDuration::ZERO, |(after, _)| *after);
        let too_late = time.unwrap_or(wall) + SignedDuration::from_mins(1);
        let reason = |code: &str, message: &str| Reason::new(code, message);
        match fault {
            CallFault::Transient | CallFault::AnswerOld => {
                // What can be repeated may have taken effect before it failed.
                let idempotent = world.subject.action(&call.step, call.purpose).is_some_and(|action| action.idempotent);
                self.effect = self.effect.filter(|_| idempotent && fault == CallFault::Transient && chance.coin());
                let failure = Failure::Transient(reason("virtual-transient", "the connection was refused"));
                self.answer = Some((quick, Answer::Fails(failure)));
            }
            CallFault::Permanent => {
                self.effect = None;
                let failure = Failure::Permanent(reason("virtual-permanent", "it cannot work"));
                self.answer = Some((quick, Answer::Fails(failure)));
            }
            CallFault::WrongTarget => {
                self.effect = None;
                let failure = Failure::Denied(reason("host-identity-mismatch", "it is not the intended system"));
                self.answer = Some((quick, Answer::Fails(failure)));
            }
            CallFault::Slow => {
                // Where there is a time-out it is over before the answer, and perhaps before the effect.
                let slow = if time.is_some() { too_late } else { (quick * 100).min(wall / 2) };
                self.effect = self.effect.map(|soon| if chance.coin() { soon } else { slow });
                self.answer = self.answer.take().map(|(_, answer)| (slow, answer));
            }
            CallFault::NeverAnswers => {
                self.effect = self.effect.filter(|_| chance.coin());
                self.answer = time.is_none().then_some((wall, Answer::Walled));
            }
            CallFault::AnswerLost => {
                let failure = Failure::Interrupted(reason("virtual-lost", "the connection was lost while it ran"));
                self.answer = Some((quick, Answer::Fails(failure)));
            }
            // Comes when the first one was heard.
            CallFault::AnswerTwice => {}
            CallFault::CannotTell => self.answer = Some((quick, Answer::CanNotTell)),
            CallFault::CrashInCall => {
                self.death = self.effect.or(Some(quick / 2));
                self.effect = self.effect.map(|soon| soon + milliseconds(1));
                self.answer = self.answer.take().map(|(after, answer)| (after + milliseconds(2), answer));
            }
            CallFault::CrashUnheard => {
                self.death = Some(self.effect.unwrap_or(quick / 2));
                self.answer = self.answer.take().map(|(after, answer)| (after + milliseconds(2), answer));
            }
        }
    }

    /// In the order in which they happen where they happen at one instant: the effect before the death that follows it.
    fn into_happenings(self, made: usize, call: &Call, world: &VirtualWorld<'_>) -> Vec<(SignedDuration, Happening)> {
        let mut happenings = Vec::with_capacity(4);
        happenings.extend(self.effect.map(|after| (after, Happening::Effect(made))));
        happenings.extend(self.death.map(|after| (after, Happening::Death(made))));
        happenings.extend(self.answer.map(|(after, answer)| (after, Happening::Answer(made, answer))));
        if let Some((after, attempt)) = self.old.filter(|_| call.purpose != Purpose::Observe) {
            happenings.push((after, Happening::OldAnswer(world.late(call, attempt), call.step.clone(), attempt)));
        }
        happenings
    }
}

impl VirtualWorld<'_> {
    /// An answer that all is well, of an attempt that has answered already.
    fn late(&self, call: &Call, attempt: u32) -> Input {
        let (step, purpose) = (call.step.clone(), call.purpose);
        Input::Answered { answer: Ok(self.done(&step)), step, attempt, purpose }
    }
}

/// The roles on which the call may destroy something.
fn destroyed(call: &Call) -> impl Iterator<Item = &RoleName> {
    call.grants.iter().filter(|(_, effect)| **effect == Effect::Destroy).map(|(role, _)| role)
}

fn walled() -> Reason {
    Reason::new("host-deadline", "the attempt ran out of time")
}

fn milliseconds(number: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(number).unwrap_or(i64::MAX))
}
