//! Which cases are played: each single fault at each place it can have, and between them mixtures drawn by chance.

use lifeboat_core::{
    event::Event,
    input::Purpose,
    name::StepId,
    plan::{OnFailure, Plan, Section, Step, StepKind},
};

use super::{
    case::Case,
    chance::Chance,
    faults::{AppendFault, CallFault, Planned, QuestionFault, Selection},
    lints::tries_again_after_time_out,
    lives::play,
    subject::{Subject, planned},
};

/// Faults in one mixture at most.
const FAULTS_MAX: u64 = 4;
/// Calls of one step for one purpose that a fault drawn by chance can be at.
const CALLS_MAX: u64 = 3;
/// Items of a list that faults are planned for.
const ITEMS: usize = 2;

/// A mixture of cases. Case `n` is the same whoever plays it.
#[derive(Debug)]
pub(super) struct Mix {
    seed: u64,
    /// Faults that are played alone, or with what is needed to get to their place.
    single: Vec<Vec<Planned>>,
    /// What mixtures are drawn from.
    calls: Vec<(Purpose, StepId)>,
    questions: Vec<StepId>,
    call_faults: Vec<CallFault>,
    question_faults: Vec<QuestionFault>,
    append_faults: Vec<AppendFault>,
    appends: u64,
}

impl Mix {
    pub(super) fn new(subject: &Subject, seed: u64, selection: &Selection) -> Self {
        let calm = play(subject, &Case::calm(seed));
        let mut mix = Self {
            seed,
            single: Vec::new(),
            calls: calls(&subject.plan),
            questions: questions(&subject.plan),
            call_faults: CallFault::ALL.iter().copied().filter(|fault| selection.has(fault.name())).collect(),
            question_faults: QuestionFault::ALL.iter().copied().filter(|fault| selection.has(fault.name())).collect(),
            append_faults: AppendFault::ALL.iter().copied().filter(|fault| selection.has(fault.name())).collect(),
            appends: calm.truth.durable.len() as u64,
        };
        mix.single = mix.singles(&subject.plan, &calm.records.iter().map(|record| &record.event).collect::<Vec<_>>());
        mix
    }

    /// Each fault at each place: every call and every question of a run in which nothing else goes wrong, every decision.
    fn singles(&self, plan: &Plan, calm: &[&Event]) -> Vec<Vec<Planned>> {
        let mut singles = self.exhausting(plan);
        for (purpose, step) in self.calls.iter().filter(|(purpose, _)| *purpose != Purpose::Undo) {
            // How long a list is depends on the case: its items come where it comes.
            let of = planned(plan, step).map(|step| &step.id);
            let came = calm.iter().any(|event| of.is_some() && event.step() == of);
            for fault in self.faults_of(*purpose).filter(|_| came || *purpose == Purpose::Observe) {
                let planned = Planned::Call { fault, purpose: *purpose, step: step.clone(), nth: 1 };
                let lost =
                    Planned::Call { fault: CallFault::CrashUnheard, purpose: Purpose::Run, step: step.clone(), nth: 1 };
                singles.push(if *purpose == Purpose::Observe { vec![lost, planned] } else { vec![planned] });
            }
        }
        for step in &self.questions {
            let single = |fault: &QuestionFault| vec![Planned::Question { fault: *fault, step: step.clone(), nth: 1 }];
            singles.extend(self.question_faults.iter().map(single));
        }
        singles.extend(self.deaths_in_a_pause());
        for fault in &self.append_faults {
            let numbers = 1..=u32::try_from(self.appends).unwrap_or(u32::MAX);
            singles.extend(numbers.map(|nth| vec![Planned::Append { fault: *fault, nth }]));
        }
        singles.extend(self.undo_singles(plan));
        singles.extend(self.handler_singles(plan));
        singles
    }

    /// Every attempt of a step takes all the time that it may take: those that have a time in all, which can be too short for that.
    fn exhausting(&self, plan: &Plan) -> Vec<Vec<Planned>> {
        let fault =
            [CallFault::NeverAnswers, CallFault::Slow].into_iter().find(|fault| self.call_faults.contains(fault));
        let Some(fault) = fault else { return Vec::new() };
        let steps = plan.steps.iter().filter(|step| tries_again_after_time_out(step));
        let all = |step: &Step| {
            let id = done(step).remove(0);
            let of = |nth| Planned::Call { fault, purpose: Purpose::Run, step: id.clone(), nth };
            (1..=step.retry.attempts).map(of).collect()
        };
        steps.map(all).collect()
    }

    /// The engine dies right after it wrote that the run is paused: also while a question stands, where nothing else is written.
    fn deaths_in_a_pause(&self) -> Vec<Vec<Planned>> {
        let both = [AppendFault::Pauses, AppendFault::CrashAfter];
        if !both.iter().all(|fault| self.append_faults.contains(fault)) {
            return Vec::new();
        }
        let at = |nth: u32| {
            let death = Planned::Append { fault: AppendFault::CrashAfter, nth: nth + 1 };
            vec![Planned::Append { fault: AppendFault::Pauses, nth }, death]
        };
        (1..=u32::try_from(self.appends).unwrap_or(u32::MAX)).map(at).collect()
    }

    /// Faults of an undo need a step behind it that fails for good.
    fn undo_singles(&self, plan: &Plan) -> Vec<Vec<Planned>> {
        let breaks = plan.steps.iter().rev().find(|step| step.on_failure == OnFailure::Undo);
        self.singles_behind(breaks, |purpose, _| purpose == Purpose::Undo)
    }

    /// Faults of what is done on a failure only need one.
    fn handler_singles(&self, plan: &Plan) -> Vec<Vec<Planned>> {
        let breaks = plan.steps.iter().find(|step| step.action().is_some() && step.on_failure != OnFailure::Continue);
        self.singles_behind(breaks, |purpose, step| {
            purpose == Purpose::Run && planned(plan, step).is_some_and(|step| step.section == Section::OnFailure)
        })
    }

    /// Each fault of these calls, together with the loss of the step that leads to them.
    fn singles_behind(&self, breaks: Option<&Step>, wanted: impl Fn(Purpose, &StepId) -> bool) -> Vec<Vec<Planned>> {
        let Some(breaks) = breaks.filter(|step| step.action().is_some()) else { return Vec::new() };
        let step = done(breaks).remove(0);
        let broken = Planned::Call { fault: CallFault::Permanent, purpose: Purpose::Run, step, nth: 1 };
        let calls = self.calls.iter().filter(|(purpose, step)| wanted(*purpose, step));
        calls
            .flat_map(|(purpose, step)| {
                let single = |fault| Planned::Call { fault, purpose: *purpose, step: step.clone(), nth: 1 };
                self.faults_of(*purpose).map(single).collect::<Vec<_>>()
            })
            .map(|fault| vec![broken.clone(), fault])
            .collect()
    }

    fn faults_of(&self, purpose: Purpose) -> impl Iterator<Item = CallFault> + '_ {
        let possible = move |fault: &CallFault| match fault {
            CallFault::CannotTell => purpose == Purpose::Observe,
            CallFault::AnswerOld | CallFault::WrongTarget => purpose != Purpose::Observe,
            _ => true,
        };
        self.call_faults.iter().copied().filter(possible)
    }

    /// The case of that number: 0 is calm, even ones are single faults until all of them were played, the rest are mixtures.
    pub(super) fn case(&self, number: u64) -> Case {
        let seed = self.seed.wrapping_add(number);
        if number == 0 {
            return Case::calm(seed);
        }
        let single = usize::try_from(number / 2).ok().filter(|_| number.is_multiple_of(2));
        if let Some(faults) = single.and_then(|place| self.single.get(place - 1)) {
            return Case { seed, faults: faults.clone() };
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
        let operators: Vec<_> = self.append_faults.iter().copied().filter(|fault| fault.is_of_an_operator()).collect();
        let runs: Vec<_> = self.calls.iter().filter(|(purpose, _)| *purpose == Purpose::Run).collect();
        let breaks = |chance: &mut Chance| {
            let (purpose, step) = *runs.get(chance.place(runs.len()))?;
            let broken = [CallFault::Permanent, CallFault::Transient, CallFault::WrongTarget, CallFault::AnswerLost];
            let fault = *chance.pick(&broken);
            let planned =
                Planned::Call { fault, purpose: *purpose, step: step.clone(), nth: number(1 + chance.below(2)) };
            self.call_faults.contains(&fault).then_some(planned)
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
                let faults: Vec<_> = self.faults_of(purpose).collect();
                let fault = *faults.get(chance.place(faults.len()))?;
                Some(Planned::Call { fault, purpose, step, nth: number(1 + chance.below(CALLS_MAX)) })
            }
            4 if !self.questions.is_empty() => {
                let fault = *self.question_faults.get(chance.place(self.question_faults.len()))?;
                let step = chance.pick(&self.questions).clone();
                Some(Planned::Question { fault, step, nth: number(1 + chance.below(2)) })
            }
            _ => self.append(chance, &self.append_faults),
        }
    }

    /// What must not matter, or is the same with it and without it.
    fn disturbance(&self, chance: &mut Chance) -> Option<Planned> {
        if chance.below(3) == 0 {
            let (purpose, step) = self.calls.get(chance.place(self.calls.len()))?.clone();
            let faults: Vec<_> = self
                .faults_of(purpose)
                .filter(|fault| fault.ends_engine() || matches!(fault, CallFault::Permanent | CallFault::AnswerTwice))
                .collect();
            let fault = *faults.get(chance.place(faults.len()))?;
            let nth = if fault == CallFault::Permanent { 1 } else { number(1 + chance.below(CALLS_MAX)) };
            return Some(Planned::Call { fault, purpose, step, nth });
        }
        let faults: Vec<_> = self.append_faults.iter().copied().filter(|fault| fault.is_of_the_engine()).collect();
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
        StepKind::Drill { .. } => false,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use lifeboat_core::plan::Variant;

    use super::*;
    use crate::virtual_world::fixture::{nested, played};

    #[test]
    fn faults_meet_calls_of_items_of_called_runbooks_and_of_handlers() {
        let subject = played(nested(Variant::Disaster));
        let mix = Mix::new(&subject, 1, &Selection::all());
        let mut met = BTreeSet::new();
        for case in (0..1_500).map(|number| mix.case(number)) {
            let truth = play(&subject, &case).truth;
            for fault in &case.faults {
                if let Planned::Call { purpose, step, nth, .. } = fault
                    && truth.calls.iter().any(|call| (call.purpose, &call.step, call.nth) == (*purpose, step, *nth))
                {
                    met.insert(format!("{purpose:?} {step}"));
                }
            }
        }
        for wanted in ["copy[0]", "copy[1]", "rebuild/fill"] {
            for purpose in ["Run", "Observe", "Undo"] {
                assert!(met.contains(&format!("{purpose} {wanted}")), "{purpose} {wanted} of {met:?}");
            }
        }
        assert!(met.contains("Run page") && met.contains("Run farewell"), "{met:?}");
    }
}
