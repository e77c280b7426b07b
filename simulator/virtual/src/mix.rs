//! Which cases are played: each single fault at each place it can have, and between them mixtures drawn by chance.

mod led;
mod sample;
mod singles;
#[cfg(test)]
mod tests;

use lifeboat_core::{
    input::Purpose,
    name::StepId,
    plan::{Plan, Step, StepKind},
};

use self::sample::{Samples, Single};
use super::{
    case::Case,
    chance::Chance,
    faults::{AppendFault, CallFault, Planned, QuestionFault, Selection},
    lives::play,
    subject::Subject,
};

/// Faults in one mixture at most.
const FAULTS_MAX: u64 = 4;
/// Calls of one step for one purpose that a fault drawn by chance can be at.
const CALLS_MAX: u64 = 3;
/// Items of a list that faults are planned for.
const ITEMS: usize = 2;
/// Runs that are looked at to find the places of faults, where not all runs come to the same.
const SAMPLES: u64 = 32;
/// Their seeds are those of cases that nobody plays.
const SAMPLES_FROM: u64 = 1 << 31;

/// A mixture of cases. Case `n` is the same whoever plays it.
#[derive(Debug)]
pub(super) struct Mix {
    seed: u64,
    /// Faults that are played alone, or with what is needed to get to their place.
    single: Vec<Single>,
    /// What mixtures are drawn from.
    calls: Vec<(Purpose, StepId)>,
    questions: Vec<StepId>,
    faults: Faults,
    appends: u64,
}

/// The faults that are played.
#[derive(Debug)]
struct Faults {
    calls: Vec<CallFault>,
    questions: Vec<QuestionFault>,
    appends: Vec<AppendFault>,
}

impl Faults {
    fn selected(selection: &Selection) -> Self {
        Self {
            calls: CallFault::ALL.iter().copied().filter(|fault| selection.has(fault.name())).collect(),
            questions: QuestionFault::ALL.iter().copied().filter(|fault| selection.has(fault.name())).collect(),
            appends: AppendFault::ALL.iter().copied().filter(|fault| selection.has(fault.name())).collect(),
        }
    }

    /// Those that a call for that purpose can have.
    fn of(&self, purpose: Purpose) -> impl Iterator<Item = CallFault> + '_ {
        let possible = move |fault: &CallFault| match fault {
            CallFault::CannotTell => purpose == Purpose::Observe,
            CallFault::AnswerOld | CallFault::WrongTarget => purpose != Purpose::Observe,
            _ => true,
        };
        self.calls.iter().copied().filter(possible)
    }

    fn have(&self, faults: &[AppendFault]) -> bool {
        faults.iter().all(|fault| self.appends.contains(fault))
    }
}

impl Mix {
    pub(super) fn new(subject: &Subject, seed: u64, selection: &Selection) -> Self {
        let faults = Faults::selected(selection);
        let seeds: Vec<u64> = (0..SAMPLES).map(|number| case_seed(seed, SAMPLES_FROM + number)).collect();
        let samples = Samples::new(subject, &seeds);
        let calm = play(subject, &Case::calm(case_seed(seed, 0)));
        Self {
            seed,
            single: singles::singles(&subject.plan, &samples, &faults),
            calls: calls(&subject.plan),
            questions: questions(&subject.plan),
            faults,
            appends: calm.truth.durable.len() as u64,
        }
    }

    /// How many cases of single faults there are, and how many of them are not among the first so many cases.
    pub(super) fn singles(&self, cases: u64) -> (u64, u64) {
        let all = self.single.len() as u64;
        (all, all.saturating_sub(cases.saturating_sub(1) / 2))
    }

    /// The case of that number: 0 is calm, even ones are single faults until all of them were played, the rest are mixtures.
    pub(super) fn case(&self, number: u64) -> Case {
        let seed = case_seed(self.seed, number);
        if number == 0 {
            return Case::calm(seed);
        }
        let single = usize::try_from(number / 2).ok().filter(|_| number.is_multiple_of(2));
        if let Some(single) = single.and_then(|place| self.single.get(place - 1)) {
            return Case { seed: single.seed.unwrap_or(seed), faults: single.faults.clone() };
        }
        let mut chance = Chance::of(seed, "mixture", "", 0);
        let mut faults = match chance.below(4) {
            // About the engine alone, so that its end can be compared with that of a run without it.
            0 => self.some(&mut chance, Self::disturbance),
            1 => self.with_operators(&mut chance),
            _ => self.some(&mut chance, Self::any),
        };
        faults.sort();
        faults.dedup();
        Case { seed, faults }
    }

    fn some(&self, chance: &mut Chance, draw: impl Fn(&Self, &mut Chance) -> Option<Planned>) -> Vec<Planned> {
        (0..=chance.below(FAULTS_MAX)).filter_map(|_| draw(self, chance)).collect()
    }

    /// A step fails, people deal with it, and something else may go wrong meanwhile. Many of them come when the run is over.
    fn with_operators(&self, chance: &mut Chance) -> Vec<Planned> {
        let operators: Vec<_> = self.faults.appends.iter().copied().filter(|fault| fault.is_of_an_operator()).collect();
        let runs: Vec<_> = self.calls.iter().filter(|(purpose, _)| *purpose == Purpose::Run).collect();
        let breaks = |chance: &mut Chance| {
            let (purpose, step) = *runs.get(chance.place(runs.len()))?;
            let broken = [CallFault::Permanent, CallFault::Transient, CallFault::WrongTarget, CallFault::AnswerLost];
            let fault = *chance.pick(&broken);
            let planned =
                Planned::Call { fault, purpose: *purpose, step: step.clone(), nth: number(1 + chance.below(2)) };
            self.faults.calls.contains(&fault).then_some(planned)
        };
        let mut faults: Vec<Planned> = breaks(chance).into_iter().collect();
        faults.extend((0..=chance.below(2)).filter_map(|_| self.append(chance, &operators)));
        faults.extend(if chance.coin() { self.any(chance) } else { None });
        faults
    }

    fn any(&self, chance: &mut Chance) -> Option<Planned> {
        match chance.below(8) {
            0..=3 => {
                let (purpose, step) = self.calls.get(chance.place(self.calls.len()))?.clone();
                let faults: Vec<_> = self.faults.of(purpose).collect();
                let fault = *faults.get(chance.place(faults.len()))?;
                Some(Planned::Call { fault, purpose, step, nth: number(1 + chance.below(CALLS_MAX)) })
            }
            4 if !self.questions.is_empty() => {
                let fault = *self.faults.questions.get(chance.place(self.faults.questions.len()))?;
                let step = chance.pick(&self.questions).clone();
                Some(Planned::Question { fault, step, nth: number(1 + chance.below(2)) })
            }
            _ => self.append(chance, &self.faults.appends),
        }
    }

    /// What must not matter, or is the same with it and without it.
    fn disturbance(&self, chance: &mut Chance) -> Option<Planned> {
        if chance.below(3) == 0 {
            let (purpose, step) = self.calls.get(chance.place(self.calls.len()))?.clone();
            let faults: Vec<_> = self
                .faults
                .of(purpose)
                .filter(|fault| fault.ends_engine() || matches!(fault, CallFault::Permanent | CallFault::AnswerTwice))
                .collect();
            let fault = *faults.get(chance.place(faults.len()))?;
            let nth = if fault == CallFault::Permanent { 1 } else { number(1 + chance.below(CALLS_MAX)) };
            return Some(Planned::Call { fault, purpose, step, nth });
        }
        let faults: Vec<_> = self.faults.appends.iter().copied().filter(|fault| fault.is_of_the_engine()).collect();
        self.append(chance, &faults)
    }

    /// Runs with faults take more decisions than the calm one.
    fn append(&self, chance: &mut Chance, faults: &[AppendFault]) -> Option<Planned> {
        let fault = *faults.get(chance.place(faults.len()))?;
        Some(Planned::Append { fault, nth: number(1 + chance.below(self.appends * 3 / 2)) })
    }
}

fn number(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Everything that can be called, with what for.
fn calls(plan: &Plan) -> Vec<(Purpose, StepId)> {
    let mut calls = Vec::new();
    for (step, id) in plan.steps.iter().flat_map(|step| done(step).into_iter().map(move |id| (step, id))) {
        let id = || id.clone();
        if let Some(action) = step.action() {
            calls.push((Purpose::Run, id()));
            calls.extend((action.observable && !action.idempotent).then(|| (Purpose::Observe, id())));
        }
        calls.extend(step.verify().map(|_| (Purpose::Verify, id())));
        calls.extend(step.undo.as_ref().map(|_| (Purpose::Undo, id())));
    }
    calls
}

/// Every step about which somebody can be asked.
fn questions(plan: &Plan) -> Vec<StepId> {
    let asks = plan.steps.iter().filter(|step| match &step.kind {
        StepKind::Approve { .. } | StepKind::Manual { .. } => true,
        StepKind::Uses(action) => !action.idempotent,
    });
    asks.flat_map(done).collect()
}

/// What is done for a step of the plan: the step itself, or the first items of its list.
fn done(step: &Step) -> Vec<StepId> {
    match &step.each {
        Some(_) => (0..ITEMS).map(|number| step.id.item(number)).collect(),
        None => vec![step.id.clone()],
    }
}

/// The seed of a case. Every number has another one, and another exploration has others.
fn case_seed(seed: u64, number: u64) -> u64 {
    // Each round can be reversed, so that no two numbers of 32 bits meet.
    let mut mixed = u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default();
    let mut keys = Chance::of(seed, "case", "", number >> 32);
    for _ in 0..4 {
        mixed ^= u32::try_from(keys.below(1 << 32)).unwrap_or_default();
        mixed = mixed.wrapping_mul(0x9e37_79b1);
        mixed ^= mixed >> 15;
    }
    u64::from(mixed)
}
