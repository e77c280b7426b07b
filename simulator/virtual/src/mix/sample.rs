//! Runs that are looked at before anything is played: where a fault can come follows from them.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_core::{event::Event, input::Purpose, name::StepId};

use crate::{
    case::Case,
    faults::{AppendFault, CallFault, Planned, QuestionFault},
    lives::{Played, play},
    subject::Subject,
};

/// As many are enough where all of them come to the same places.
const SAMPLES_MIN: usize = 4;

/// Where a fault can come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The how manieth call of the step for that purpose.
    Call(Purpose, StepId, u32),
    /// The how manieth asking of the step.
    Question(StepId, u32),
    /// The how manieth decision.
    Append(u32),
}

impl Place {
    fn of(fault: &Planned) -> Self {
        match fault {
            Planned::Call { purpose, step, nth, .. } => Self::Call(*purpose, step.clone(), *nth),
            Planned::Question { step, nth, .. } => Self::Question(step.clone(), *nth),
            Planned::Append { nth, .. } => Self::Append(*nth),
        }
    }

    pub(super) fn call(&self, fault: CallFault) -> Option<Planned> {
        let Self::Call(purpose, step, nth) = self else { return None };
        Some(Planned::Call { fault, purpose: *purpose, step: step.clone(), nth: *nth })
    }

    pub(super) fn question(&self, fault: QuestionFault) -> Option<Planned> {
        let Self::Question(step, nth) = self else { return None };
        Some(Planned::Question { fault, step: step.clone(), nth: *nth })
    }

    pub(super) fn append(&self, fault: AppendFault) -> Option<Planned> {
        let Self::Append(nth) = self else { return None };
        Some(Planned::Append { fault, nth: *nth })
    }
}

/// A fault, or a few, that are played alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Single {
    pub(super) faults: Vec<Planned>,
    /// The seed with which their place exists, where it does not with every one.
    pub(super) seed: Option<u64>,
}

/// Runs of several seeds in which nothing goes wrong.
pub(super) struct Samples<'a> {
    subject: &'a Subject,
    calm: Vec<(u64, Played)>,
}

/// The same runs with faults that lead somewhere else, and the places to which they come.
pub(super) struct Scene {
    /// The faults of each, and its seed; nothing where they cannot be planned.
    led: Vec<Option<(u64, Vec<Planned>)>>,
    /// In which of them each place is.
    places: BTreeMap<Place, Vec<usize>>,
}

impl<'a> Samples<'a> {
    /// Plays them with those seeds: all, unless the first few come to the same places.
    pub(super) fn new(subject: &'a Subject, seeds: &[u64]) -> Self {
        let played = |seed: &u64| (*seed, play(subject, &Case::calm(*seed)));
        let (first, rest) = seeds.split_at(SAMPLES_MIN.min(seeds.len()));
        let mut calm: Vec<_> = first.iter().map(played).collect();
        let differs = |pair: &[(u64, Played)]| places(&pair[0].1) != places(&pair[1].1);
        if calm.windows(2).any(differs) {
            calm.extend(rest.iter().map(played));
        }
        Self { subject, calm }
    }

    /// Runs in which nothing goes wrong.
    pub(super) fn calm(&self) -> Scene {
        let mut scene = Scene { led: Vec::new(), places: BTreeMap::new() };
        for (seed, played) in &self.calm {
            scene.add(Some((*seed, Vec::new())), Some(played));
        }
        scene
    }

    /// Runs with these faults, which may depend on how the run goes without them.
    pub(super) fn with(&self, lead: impl Fn(&Played) -> Option<Vec<Planned>>) -> Scene {
        let mut scene = Scene { led: Vec::new(), places: BTreeMap::new() };
        for (seed, calm) in &self.calm {
            let led = lead(calm).map(|faults| (*seed, faults));
            let played = led.as_ref().map(|(seed, faults)| self.play(*seed, faults));
            scene.add(led, played.as_ref());
        }
        scene
    }

    fn play(&self, seed: u64, faults: &[Planned]) -> Played {
        play(self.subject, &Case { seed, faults: faults.to_vec() })
    }

    /// Cases of some of the seeds, made of how the run goes with these faults; as many as are wanted at most.
    pub(super) fn following(
        &self,
        most: usize,
        lead: &[Planned],
        then: impl Fn(&Played) -> Option<Vec<Planned>>,
    ) -> Vec<Single> {
        let single = |(seed, _): &(u64, Played)| {
            let mut faults = lead.to_vec();
            faults.extend(then(&self.play(*seed, lead))?);
            let places = places(&self.play(*seed, &faults));
            let comes = faults.iter().all(|fault| places.contains(&Place::of(fault)));
            comes.then_some(Single { faults, seed: Some(*seed) })
        };
        self.calm.iter().filter_map(single).take(most).collect()
    }
}

impl Scene {
    fn add(&mut self, led: Option<(u64, Vec<Planned>)>, played: Option<&Played>) {
        for place in played.into_iter().flat_map(places) {
            self.places.entry(place).or_default().push(self.led.len());
        }
        self.led.push(led);
    }

    /// Every place to which any of them comes.
    pub(super) fn places(&self) -> impl Iterator<Item = &Place> {
        self.places.keys()
    }

    /// The fault at its place; `turn` lets several at one place have different seeds where it takes certain ones.
    pub(super) fn single(
        &self,
        place: &Place,
        turn: usize,
        fault: impl IntoIterator<Item = Planned>,
    ) -> Option<Single> {
        let found = self.places.get(place)?;
        let (seed, lead) = self.led[found[turn % found.len()]].as_ref()?;
        let faults = lead.iter().cloned().chain(fault).collect();
        let same = |led: &Option<(u64, Vec<Planned>)>| led.as_ref().is_some_and(|(_, other)| other == lead);
        let anywhere = found.len() == self.led.len() && self.led.iter().all(same);
        Some(Single { faults, seed: (!anywhere).then_some(*seed) })
    }
}

/// Every place to which a run comes.
fn places(played: &Played) -> BTreeSet<Place> {
    let calls = played.truth.calls.iter().map(|call| Place::Call(call.purpose, call.step.clone(), call.nth));
    let asked = played.truth.askings.iter();
    let questions = asked.flat_map(|(step, count)| (1..=*count).map(|nth| Place::Question(step.clone(), nth)));
    let appends = (1..).take(played.truth.durable.len()).map(Place::Append);
    calls.chain(questions).chain(appends).collect()
}

/// The decision in which the event was written: the how manieth of these.
pub(super) fn decision(played: &Played, nth: u32, which: impl Fn(&Event) -> bool) -> Option<u32> {
    let place = usize::try_from(nth).ok()?.checked_sub(1)?;
    let seq = played.records.iter().filter(|record| which(&record.event)).nth(place)?.seq;
    let before = played.truth.durable.iter().take_while(|(last, _)| *last < seq).count();
    u32::try_from(before + 1).ok()
}
