//! Virtual operators: they tell the run what it did not ask for. They look at the journal and at the targets first, as one does at
//! another terminal; then they tell it to the engine, or to the journal where no engine works on the run, or they reopen a run that
//! is over.

use jiff::SignedDuration;
use lifeboat_core::{
    action::Effect,
    event::Person,
    input::Input,
    name::StepId,
    operator::{Command, Refusal, Request, behind, judge},
    plan::{OnFailure, Section, StepKind},
    run::{Awaiting, Phase, Run, StepRun, StepState},
};
use lifeboat_runtime::{
    driver::fold,
    request::{Unattended, unattended},
};
use serde_json::{Value, json};

use super::{
    chance::Chance,
    chronicle::Told,
    faults::{AppendFault, Planned},
    subject::{colleague, person, planned},
    truth::{Answered, ReplyGiven, RequestTold},
    world::{Happening, VirtualWorld},
};

/// What an operator has in mind: the fault, and the decision for which it was planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intent {
    fault: AppendFault,
    nth: u32,
}

/// The operators of a case, through all lives of the engine.
#[derive(Debug, Default)]
pub(super) struct Operators {
    /// What they have in mind and did not tell yet.
    open: Vec<Intent>,
    /// Everything that they had in mind so far.
    come: Vec<Intent>,
    /// The place in the truth of what was told and not answered yet.
    unanswered: Option<usize>,
}

impl VirtualWorld<'_> {
    /// Somebody has something in mind, and tells it soon. Everybody has each thing in mind once.
    pub(super) fn intend(&mut self, fault: AppendFault, nth: u32) {
        let intent = Intent { fault, nth };
        if !self.operators.come.contains(&intent) {
            self.operators.come.push(intent);
            self.operators.open.push(intent);
            self.plan_intent(intent);
        }
    }

    fn plan_intent(&mut self, intent: Intent) {
        let mut chance = Chance::of(self.case.seed, intent.fault.name(), "wait", u64::from(intent.nth));
        let wait = SignedDuration::from_millis(i64::try_from(chance.below(60_000)).unwrap_or_default());
        self.queue.plan(self.later(wait), Happening::Operator(intent));
    }

    /// What could not be told to the last engine is told to this one.
    pub(super) fn intend_again(&mut self) {
        for intent in self.operators.open.clone() {
            self.plan_intent(intent);
        }
    }

    /// Whether anybody has something in mind, or will when the run is over.
    pub(super) fn somebody_intends(&self) -> bool {
        !self.operators.open.is_empty() || self.intended_for_later().next().is_some()
    }

    fn intended_for_later(&self) -> impl Iterator<Item = Intent> + '_ {
        let intents = self.case.faults.iter().filter_map(|planned| match planned {
            Planned::Append { fault, nth } if fault.is_of_an_operator() => Some(Intent { fault: *fault, nth: *nth }),
            _ => None,
        });
        intents.filter(|intent| !self.operators.come.contains(intent))
    }

    /// A person sends a request to the engine.
    pub(super) fn tell(&mut self, intent: Intent) -> Option<Input> {
        let place = self.operators.open.iter().position(|open| *open == intent)?;
        self.operators.open.remove(place);
        let run = fold(&self.subject.plan, &self.records).ok()?;
        let request = self.request(intent, &run);
        if self.told(&request, &run) && intent.fault == AppendFault::Pauses {
            self.plan_the_end_of_the_pause(intent);
        }
        Some(Input::Command(Box::new(request)))
    }

    /// Somebody lets the run go on, in this life of the engine or in a later one.
    fn plan_the_end_of_the_pause(&mut self, intent: Intent) {
        let mut chance = Chance::of(self.case.seed, "pause", "", u64::from(intent.nth));
        let minutes = i64::try_from(1 + chance.below(360)).unwrap_or(1);
        let what = if chance.below(4) > 0 { Happening::GoOn } else { Happening::Leave };
        self.queue.plan(self.later(SignedDuration::from_mins(minutes)), what);
    }

    /// Nobody lets a paused run go on while this engine lives: it notices that nobody can, or is told to stop. Whoever starts another
    /// one does.
    pub(super) fn leave(&mut self) {
        let mut chance = Chance::of(self.case.seed, "leave", "", self.life as u64);
        if self.held.is_none() {
            return;
        }
        if self.flying.is_empty() && chance.coin() {
            self.left_alone = true;
        } else {
            self.chronicle.tell(self.now, || Told::AppendFault { fault: AppendFault::Stop });
            self.told_to_stop = true;
        }
    }

    /// The end of a pause is told as it comes: where the run is not paused any more it is refused.
    pub(super) fn go_on(&mut self) -> Option<Input> {
        let run = fold(&self.subject.plan, &self.records).ok()?;
        let request = request(colleague(), Command::Unpause { reason: None });
        self.told(&request, &run);
        Some(Input::Command(Box::new(request)))
    }

    /// Somebody tells it to the run while no engine works on it; `None` where nobody has anything in mind.
    pub(super) fn tell_unattended(&mut self, run: &Run) -> Option<Unattended> {
        let is_over = matches!(run.phase, Phase::Finished { .. });
        if matches!(run.phase, Phase::NotStarted) {
            return None;
        }
        let open = self.operators.open.first().copied();
        let later = || self.intended_for_later().filter(|_| is_over).min_by_key(|intent| intent.nth);
        let intent = open.or_else(later)?;
        let mut chance = Chance::of(self.case.seed, intent.fault.name(), "unattended", u64::from(intent.nth));
        // Half of them wait until somebody has started an engine again.
        if !is_over && chance.coin() {
            return None;
        }
        self.operators.open.retain(|open| *open != intent);
        if !self.operators.come.contains(&intent) {
            self.operators.come.push(intent);
        }
        let wait = SignedDuration::from_secs(i64::try_from(chance.below(3_600)).unwrap_or_default());
        self.look_at_the_clock_after(wait);
        let request = self.request(intent, run);
        self.told(&request, run);
        Some(unattended(&self.subject.plan, run, request, self.now))
    }

    /// Remembers what is told; returns whether it can be done.
    fn told(&mut self, request: &Request, run: &Run) -> bool {
        let can_be_done = judge(&self.subject.plan, run, request, self.now).is_ok();
        let who = request.who.clone();
        if let Command::Resolve { step, .. } | Command::Approve { step, .. } = &request.command
            && can_be_done
        {
            // They do the work, and then say so; or they say yes.
            self.truth.replies.push(ReplyGiven { step: step.clone(), who: who.clone(), good: true });
        }
        self.operators.unanswered = Some(self.truth.told.len());
        self.truth.told.push(RequestTold { who, can_be_done, before: self.journal().end().seq, answer: None });
        can_be_done
    }

    /// What was told last is answered, where it was not yet.
    pub(super) fn answer_operator(&mut self, answered: Answered) -> Option<Person> {
        let end = self.journal().end().seq;
        let told = self.truth.told.get_mut(self.operators.unanswered.take()?)?;
        told.answer = Some((answered, end));
        Some(told.who.clone())
    }

    /// Who told something gets no answer: the engine is gone.
    pub(super) fn leave_operator_without_answer(&mut self) {
        self.operators.unanswered = None;
    }

    pub(super) fn refused(&mut self, refusal: &Refusal) {
        if let Some(who) = self.answer_operator(Answered::Refused) {
            self.chronicle.tell(self.now, || Told::Refused { who, message: refusal.message.clone() });
        }
    }

    fn request(&self, intent: Intent, run: &Run) -> Request {
        let mut chance = Chance::of(self.case.seed, intent.fault.name(), "operator", u64::from(intent.nth));
        let who = if chance.coin() { person() } else { colleague() };
        let said = |text: &str| Some(text.to_owned());
        let command = match intent.fault {
            AppendFault::Skips => self.fitting(run, &who, &mut chance, |step| Command::Skip {
                step: step.id.clone(),
                reason: "it is not needed today".to_owned(),
            }),
            AppendFault::Resolves => self.fitting(run, &who, &mut chance, |step| Command::Resolve {
                step: step.id.clone(),
                evidence: self.work_done(&step.id),
                reason: said("it was quicker by hand"),
            }),
            AppendFault::Retries => self.retry(run, &mut chance),
            AppendFault::Answers => self.answer(run, &mut chance),
            AppendFault::Undoes => Command::Abort { reason: said("take it all back"), undo: true },
            _ => Command::Pause { reason: said("let us look first") },
        };
        request(who, command)
    }

    /// What somebody wants of a step for which it can be done, drawn by chance; where there is none, of one for which it cannot.
    fn fitting(&self, run: &Run, who: &Person, chance: &mut Chance, command: impl Fn(&StepRun) -> Command) -> Command {
        let (count, first) = (run.steps.len(), chance.place(run.steps.len()));
        let rotated = || (0..count).map(|place| &run.steps[(first + place) % count]);
        // Who is called because something failed, or because nobody knows what became of it, looks at that first.
        let failed = rotated().filter(|step| (is_failed(step) || is_undecided(step)) && chance_is_good(chance));
        let mut candidates: Vec<&StepRun> = failed.collect();
        candidates.extend(rotated().filter(|step| may_concern(&step.state)));
        let can_be_done = |command: &Command| {
            judge(&self.subject.plan, run, &request(who.clone(), command.clone()), self.now).is_ok()
        };
        let found = candidates.into_iter().map(&command).find(can_be_done);
        found.unwrap_or_else(|| command(&run.steps[first]))
    }

    /// An answer to a question that stands; where none does, to one that nobody asked.
    fn answer(&self, run: &Run, chance: &mut Chance) -> Command {
        let asked = |step: &&StepRun| matches!(step.state, StepState::Awaiting(_));
        let asked: Vec<&StepRun> = run.steps.iter().filter(asked).collect();
        let Some(asked) = asked.get(chance.place(asked.len())) else {
            return Command::Approve { step: chance.pick(&self.subject.plan.steps).id.clone(), comment: None };
        };
        let step = asked.id.clone();
        match &asked.state {
            StepState::Awaiting(Awaiting::Hands { .. }) => {
                Command::Resolve { evidence: self.work_done(&step), step, reason: None }
            }
            StepState::Awaiting(Awaiting::Decision { .. }) => Command::Decide { answer: self.decision(&step), step },
            _ if chance.below(4) == 0 => Command::Reject { step, comment: Some("not today".to_owned()) },
            _ => Command::Approve { step, comment: None },
        }
    }

    /// The evidence of a person who did the work of a step.
    fn work_done(&self, step: &StepId) -> Value {
        match planned(&self.subject.plan, step).map(|step| &step.kind) {
            Some(StepKind::Uses(_)) => {
                let mut outputs = self.subject.outputs(self.case.seed, step);
                if let Some(outputs) = outputs.as_object_mut().filter(|outputs| outputs.is_empty()) {
                    outputs.insert("ticket".to_owned(), json!("T-1"));
                }
                outputs
            }
            _ => self.subject.evidence(self.case.seed, step),
        }
    }

    /// What waits is tried at once; what failed once more, perhaps with all that is behind it; else something is done again.
    fn retry(&self, run: &Run, chance: &mut Chance) -> Command {
        let ids = |fits: fn(&StepRun) -> bool| {
            run.steps.iter().filter(|step| fits(step)).map(|step| step.id.clone()).collect::<Vec<_>>()
        };
        let (waiting, failed) = (ids(waits), ids(is_failed));
        let (steps, from) = if !waiting.is_empty() && (failed.is_empty() || chance.coin()) {
            (vec![chance.pick(&waiting).clone()], false)
        } else if !failed.is_empty() {
            (failed, chance.coin())
        } else {
            (vec![chance.pick(&self.subject.plan.steps).id.clone()], true)
        };
        let confirmed = self.redone(run, &steps, from).iter().all(|step| self.may_be_done_again(step));
        Command::Retry { steps, from, confirmed, reason: None }
    }

    /// Everything that would be done once more, the items of lists included.
    fn redone(&self, run: &Run, steps: &[StepId], from: bool) -> Vec<StepId> {
        let plan = &self.subject.plan;
        let mut redone = steps.to_vec();
        if from {
            let places: Vec<_> = steps.iter().filter_map(|step| plan.position(step)).collect();
            redone = behind(plan, &places).into_iter().map(|place| plan.steps[place].id.clone()).collect();
        }
        let left = |item: &&StepRun| !matches!(item.state, StepState::Succeeded { .. } | StepState::Skipped { .. });
        let items: Vec<_> = redone.iter().flat_map(|step| run.items(step).iter().filter(left)).collect();
        redone.extend(items.into_iter().map(|item| item.id.clone()));
        redone
    }

    /// They look at the target: nothing of the step stands there, or it does no harm twice.
    fn may_be_done_again(&self, step: &StepId) -> bool {
        let harmless = planned(&self.subject.plan, step).and_then(|step| step.action()).is_none_or(|action| {
            action.effect == Effect::Read || action.idempotent && action.effect != Effect::Destroy
        });
        harmless || self.truth.standing_effect(step).is_none() && !self.truth.is_done_by_hand(step)
    }

    /// The questions wait as long as the run is paused.
    pub(super) fn hold(&mut self, held: bool) {
        match self.held {
            None if held => self.held = Some(self.now),
            Some(since) if !held => {
                self.held = None;
                self.grant_time(self.now.duration_since(since));
            }
            _ => {}
        }
    }
}

fn request(who: Person, command: Command) -> Request {
    Request { who, groups: std::collections::BTreeSet::new(), command }
}

fn chance_is_good(chance: &mut Chance) -> bool {
    chance.below(4) > 0
}

/// A step whose failure keeps the run from going on; a list stands for its items.
fn is_failed(step: &StepRun) -> bool {
    let counts = step.section == Section::Steps && step.on_failure != OnFailure::Continue;
    counts && !step.id.as_str().ends_with(']') && matches!(step.state, StepState::Failed { .. })
}

fn waits(step: &StepRun) -> bool {
    matches!(step.state, StepState::BackingOff { .. }) || is_undecided(step)
}

/// The result of an attempt is unknown, and a person has to state it.
fn is_undecided(step: &StepRun) -> bool {
    matches!(step.state, StepState::Awaiting(Awaiting::Decision { .. }))
}

/// Whether an operator can do something about a step that stands so.
fn may_concern(state: &StepState) -> bool {
    matches!(
        state,
        StepState::Waiting
            | StepState::Awaiting(_)
            | StepState::Failed { .. }
            | StepState::Cancelled
            | StepState::BackingOff { .. }
            | StepState::Settling(_)
    )
}
