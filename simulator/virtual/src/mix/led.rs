//! What is played alone and needs something else first: a step that fails for good, a question that nobody can answer but a person.

use lifeboat_core::{
    event::Event,
    input::Purpose,
    name::StepId,
    plan::{OnFailure, Plan, Section, Step, StepKind},
};

use super::{
    done,
    sample::{Place, Scene, Single, decision},
    singles::{Singles, in_turn},
};
use crate::{
    coverage::is_under_way_with,
    faults::{AppendFault, CallFault, Planned, QuestionFault},
    subject::planned,
};

impl Singles<'_> {
    /// The engine dies before a question reaches anybody, and somebody answers where no engine works on the run.
    pub(super) fn answers(&self) -> Vec<Single> {
        if !self.faults.have(&[AppendFault::Answers, AppendFault::CrashAfter]) {
            return Vec::new();
        }
        let questions = self.calm.places().filter_map(|place| match place {
            Place::Question(step, nth) => Some((step, *nth)),
            _ => None,
        });
        let asks = |event: &Event, step: &StepId| {
            event.step() == Some(step)
                && matches!(
                    event,
                    Event::ApprovalRequested { .. } | Event::ApprovalAnswered { .. } | Event::HandsRequested { .. }
                )
        };
        let single = |(step, nth): (&StepId, u32)| {
            self.samples.following(ANSWERS, &[], |calm| {
                let nth = decision(calm, nth, |event| asks(event, step))?;
                Some(answered_unattended(nth))
            })
        };
        questions.flat_map(single).collect()
    }

    /// Faults of what takes a step back. A step that fails for good has it taken back, or somebody who aborts the run.
    pub(super) fn undone(&self) -> Vec<Single> {
        let mut scenes: Vec<Scene> =
            breaks(self.plan).map(|lost| self.samples.with(|_| Some(vec![lost.clone()]))).into_iter().collect();
        for step in self.plan.steps.iter().filter(|step| step.undo.is_some() && step.section == Section::Steps) {
            let ends = |event: &Event| matches!(event, Event::StepSucceeded { .. });
            let begins = |event: &Event| matches!(event, Event::StepStarted { .. });
            for which in [ends as fn(&Event) -> bool, begins] {
                let of_step = |event: &Event| which(event) && event.step().is_some_and(|id| done(step).contains(id));
                if !scenes.iter().any(|scene| is_taken_back(scene, self.plan, step)) {
                    scenes.push(self.samples.with(|calm| {
                        let nth = decision(calm, 1, of_step)?;
                        Some(vec![Planned::Append { fault: AppendFault::Undoes, nth }])
                    }));
                }
            }
        }
        scenes.iter().flat_map(|scene| self.calls(scene, |purpose, _| purpose == Purpose::Undo)).collect()
    }

    /// Faults of what is done on a failure only.
    pub(super) fn handlers(&self) -> Vec<Single> {
        let mut steps = self.plan.steps.iter();
        let lost = steps.find(|step| step.action().is_some() && step.on_failure != OnFailure::Continue).and_then(loss);
        let Some(lost) = lost else { return Vec::new() };
        let scene = self.samples.with(|_| Some(vec![lost.clone()]));
        let handles = |step: &StepId| planned(self.plan, step).is_some_and(|step| step.section == Section::OnFailure);
        let mut singles = self.calls(&scene, |_, step| handles(step));
        singles.extend(self.observations(&scene, handles));
        singles.extend(self.undecided(&scene, std::slice::from_ref(&lost), handles));
        singles.extend(self.taken_over(std::slice::from_ref(&lost), handles));
        singles
    }

    /// Another engine owns the run by the time that something is to be written while the step is under way.
    pub(super) fn taken_over(&self, lead: &[Planned], wanted: impl Fn(&StepId) -> bool) -> Vec<Single> {
        if !self.faults.have(&[AppendFault::SecondOwner]) {
            return Vec::new();
        }
        let single = |id: StepId| {
            self.samples.following(1, lead, |played| {
                let nth = decision(played, 1, |event| event.step() == Some(&id) && is_under_way_with(event))? + 1;
                Some(vec![Planned::Append { fault: AppendFault::SecondOwner, nth }])
            })
        };
        let mut singles: Vec<Single> = Vec::new();
        for single in self.plan.steps.iter().flat_map(done).filter(|id| wanted(id)).flat_map(single) {
            // Steps that begin in one decision are met by the same one.
            if !singles.contains(&single) {
                singles.push(single);
            }
        }
        singles
    }

    /// Nobody can tell what became of an attempt but a person who looks: what that person does wrong, and what operators do meanwhile.
    /// `before` are the faults of the scene.
    pub(super) fn undecided(&self, scene: &Scene, before: &[Planned], wanted: impl Fn(&StepId) -> bool) -> Vec<Single> {
        in_turn(scene.places().filter_map(|place| {
            let Place::Call(Purpose::Run, step, nth) = place else { return None };
            let action = planned(self.plan, step).and_then(Step::action);
            let action = action.filter(|action| !action.idempotent && wanted(step))?;
            let observed = Place::Call(Purpose::Observe, step.clone(), *nth);
            let can_not_tell = observed.call(CallFault::CannotTell).filter(|_| action.observable);
            let crash = place.call(CallFault::CrashUnheard);
            let lead: Vec<_> = before.iter().cloned().chain(crash).chain(can_not_tell).collect();
            let asked = |event: &Event| matches!(event, Event::OperatorAsked { step: of, .. } if of == step);
            let single = |then: Vec<Then>| {
                self.samples.following(1, &lead, |played| {
                    let nth = decision(played, 1, asked)?;
                    Some(then.iter().map(|fault| fault.at(nth)).collect())
                })
            };
            Some(self.about_an_undecided(step).into_iter().flat_map(single).collect())
        }))
    }

    /// What happens when somebody is asked about the step.
    fn about_an_undecided(&self, step: &StepId) -> Vec<Vec<Then>> {
        let question = |fault: &QuestionFault| Planned::Question { fault: *fault, step: step.clone(), nth: 1 };
        let asked = self.faults.questions.iter().filter(|fault| **fault != QuestionFault::Repeats);
        let mut all: Vec<_> = asked.map(|fault| vec![Then::Planned(question(fault))]).collect();
        for fault in self.faults.appends.iter().copied().filter(|fault| fault.is_of_an_operator()) {
            let mut then = vec![Then::Now(fault)];
            then.extend((fault == AppendFault::Answers).then_some(Then::Now(AppendFault::CrashAfter)));
            all.push(then);
        }
        // What was left out without anybody knowing is taken back with everything else.
        if self.faults.have(&[AppendFault::Skips]) {
            let lost = breaks(self.plan).filter(|lost| lost.step() != Some(step));
            all.extend(lost.map(|lost| vec![Then::Now(AppendFault::Skips), Then::Planned(lost)]));
        }
        all
    }
}

/// How many seeds are tried for an answer without an engine: some people wait until one works again.
const ANSWERS: usize = 2;

/// What happens beside or after the decision that asks somebody.
enum Then {
    Now(AppendFault),
    Planned(Planned),
}

impl Then {
    fn at(&self, nth: u32) -> Planned {
        match self {
            Self::Now(fault) => Planned::Append { fault: *fault, nth },
            Self::Planned(planned) => planned.clone(),
        }
    }
}

fn answered_unattended(nth: u32) -> Vec<Planned> {
    [AppendFault::CrashAfter, AppendFault::Answers].map(|fault| Planned::Append { fault, nth }).to_vec()
}

/// What has everything taken back: the loss of the last step that says so.
fn breaks(plan: &Plan) -> Option<Planned> {
    plan.steps.iter().rev().filter(|step| step.on_failure == OnFailure::Undo).find_map(loss)
}

/// What makes the step fail for good; of work that is done by hand there is nothing.
fn loss(step: &Step) -> Option<Planned> {
    let id = done(step).remove(0);
    match &step.kind {
        StepKind::Uses(_) => {
            Some(Planned::Call { fault: CallFault::Permanent, purpose: Purpose::Run, step: id, nth: 1 })
        }
        StepKind::Approve { .. } => Some(Planned::Question { fault: QuestionFault::Refuses, step: id, nth: 1 }),
        StepKind::Manual { .. } => None,
    }
}

/// Whether the step is taken back in the scene.
fn is_taken_back(scene: &Scene, plan: &Plan, step: &Step) -> bool {
    scene.places().any(|place| {
        matches!(place, Place::Call(Purpose::Undo, id, _) if planned(plan, id).is_some_and(|planned| planned.id == step.id))
    })
}
