//! What is played alone: each fault at each place that it can have, with what is needed to get there.

use lifeboat_core::{
    input::Purpose,
    name::StepId,
    plan::{Plan, Section, Step, StepKind},
};

use super::{
    Faults, done,
    sample::{Place, Samples, Scene, Single},
};
use crate::{
    faults::{AppendFault, CallFault, Planned, QuestionFault},
    lints::tries_again_after_time_out,
    subject::planned,
};

/// Everything that is played alone, one of each kind after another: where there is no room for all, some of each kind are played.
pub(super) fn singles(plan: &Plan, samples: &Samples<'_>, faults: &Faults) -> Vec<Single> {
    let singles = Singles { plan, samples, faults, calm: samples.calm() };
    let groups = [
        singles.exhausting(),
        singles.calls(&singles.calm, |purpose, _| purpose != Purpose::Undo),
        singles.observations(&singles.calm, |_| true),
        singles.questions(),
        singles.answers(),
        singles.undone(),
        singles.handlers(),
        singles.undecided(&singles.calm, &[], |_| true),
        singles.deaths_in_a_pause(),
        singles.taken_over(&[], |id| planned(plan, id).is_some_and(|step| step.section != Section::OnFailure)),
        singles.appends(),
    ];
    in_turn(groups)
}

/// The first of each, then the second of each, and so on.
pub(super) fn in_turn(groups: impl IntoIterator<Item = Vec<Single>>) -> Vec<Single> {
    let mut groups: Vec<_> = groups.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(groups.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

/// What follows for the faults that are played alone.
pub(super) struct Singles<'a> {
    pub(super) plan: &'a Plan,
    pub(super) samples: &'a Samples<'a>,
    pub(super) faults: &'a Faults,
    /// Runs in which nothing goes wrong.
    pub(super) calm: Scene,
}

impl Singles<'_> {
    /// Every attempt of a step takes all the time that it may take: those that have a time in all, which can be too short for that.
    fn exhausting(&self) -> Vec<Single> {
        let fault =
            [CallFault::NeverAnswers, CallFault::Slow].into_iter().find(|fault| self.faults.calls.contains(fault));
        let Some(fault) = fault else { return Vec::new() };
        let steps = self.plan.steps.iter().filter(|step| tries_again_after_time_out(step));
        let all = |step: &Step| {
            let id = done(step).remove(0);
            let of = |nth| Planned::Call { fault, purpose: Purpose::Run, step: id.clone(), nth };
            Single { faults: (1..=step.retry.attempts).map(of).collect(), seed: None }
        };
        steps.map(all).collect()
    }

    /// Each fault of the calls of the scene that are wanted.
    pub(super) fn calls(&self, scene: &Scene, wanted: impl Fn(Purpose, &StepId) -> bool) -> Vec<Single> {
        in_turn(scene.places().filter_map(|place| {
            let Place::Call(purpose, step, _) = place else { return None };
            let faults = self.faults.of(*purpose).filter(|_| wanted(*purpose, step)).enumerate();
            Some(faults.filter_map(|(turn, fault)| scene.single(place, turn, place.call(fault))).collect())
        }))
    }

    /// Each fault of asking what became of an attempt. Its engine died, so that it has to be asked.
    pub(super) fn observations(&self, scene: &Scene, wanted: impl Fn(&StepId) -> bool) -> Vec<Single> {
        in_turn(scene.places().filter_map(|place| {
            let Place::Call(Purpose::Run, step, nth) = place else { return None };
            let action = planned(self.plan, step).and_then(Step::action);
            action.filter(|action| action.observable && !action.idempotent && wanted(step))?;
            let observed = Place::Call(Purpose::Observe, step.clone(), *nth);
            let both = |fault| [place.call(CallFault::CrashUnheard), observed.call(fault)].into_iter().flatten();
            let faults = self.faults.of(Purpose::Observe).enumerate();
            Some(faults.filter_map(|(turn, fault)| scene.single(place, turn, both(fault))).collect())
        }))
    }

    /// Each fault of each question that is asked where nothing goes wrong.
    fn questions(&self) -> Vec<Single> {
        in_turn(self.calm.places().filter_map(|place| {
            let Place::Question(step, _) = place else { return None };
            let approves = planned(self.plan, step).is_some_and(|step| matches!(step.kind, StepKind::Approve { .. }));
            let faults = self.faults.questions.iter().filter(|fault| approves || **fault != QuestionFault::Repeats);
            let single = |(turn, fault): (usize, &QuestionFault)| self.calm.single(place, turn, place.question(*fault));
            Some(faults.enumerate().filter_map(single).collect())
        }))
    }

    /// The engine dies right after it wrote that the run is paused: also while a question stands, where nothing else is written.
    fn deaths_in_a_pause(&self) -> Vec<Single> {
        if !self.faults.have(&[AppendFault::Pauses, AppendFault::CrashAfter]) {
            return Vec::new();
        }
        let pause = |place: &Place| {
            let Place::Append(nth) = place else { return None };
            let death = Planned::Append { fault: AppendFault::CrashAfter, nth: nth + 1 };
            self.calm.single(place, 0, place.append(AppendFault::Pauses).into_iter().chain([death]))
        };
        self.calm.places().filter_map(pause).collect()
    }

    /// Everything that can happen around the engine, at each decision. Those that come one after another are far apart.
    fn appends(&self) -> Vec<Single> {
        let appends: Vec<_> = self.calm.places().filter(|place| matches!(place, Place::Append(_))).collect();
        let kinds = self.faults.appends.len();
        let at = |turn: usize, fault: usize| {
            let place = appends[(turn + fault * appends.len() / kinds.max(1)) % appends.len()];
            self.calm.single(place, turn, place.append(self.faults.appends[fault]))
        };
        (0..appends.len()).flat_map(|turn| (0..kinds).filter_map(move |fault| at(turn, fault))).collect()
    }
}
