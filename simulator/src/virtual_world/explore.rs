//! Plays many cases on every core, and keeps what broke. The result is the same however many threads there are.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use super::{
    case::Case,
    coverage::Coverage,
    faults::Selection,
    invariants::{self, Broken, Ending, Evidence},
    lives::{Played, play, play_and_tell},
    mix::Mix,
    shrink::shrink,
    story::{self, Story},
    subject::Subject,
};

/// What to play.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many cases.
    pub cases: u64,
    /// What all chance follows from.
    pub seed: u64,
    /// Which faults.
    pub faults: Selection,
    /// On how many threads.
    pub threads: NonZero<usize>,
}

/// What came of it.
#[derive(Debug)]
pub struct Explored {
    /// How many cases were played.
    pub cases: u64,
    /// Which paths they took.
    pub coverage: Coverage,
    /// The first case that broke each invariant, made small.
    pub counterexamples: Vec<Counterexample>,
}

/// A case that breaks an invariant.
#[derive(Debug, Clone)]
pub struct Counterexample {
    /// Which, and why.
    pub broken: Broken,
    /// The smallest such case that was found.
    pub case: Case,
    /// What happens in it.
    pub story: Story,
}

/// A part of the cases.
struct Part {
    cases: u64,
    coverage: Coverage,
    /// The first case that broke each invariant.
    broken: BTreeMap<&'static str, u64>,
}

/// Cases that a thread takes at a time.
const BATCH: u64 = 64;

/// Plays the cases.
pub fn explore(subject: &Subject, settings: &Settings) -> Explored {
    let mix = Mix::new(subject, settings.seed, &settings.faults);
    let next = AtomicU64::new(0);
    let work = || {
        let mut part = Part { cases: 0, coverage: Coverage::new(&subject.plan), broken: BTreeMap::new() };
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= settings.cases {
                return part;
            }
            (first..settings.cases.min(first + BATCH)).for_each(|number| part.play(subject, &mix, number));
        }
    };
    // The thread that asks is one of them.
    let parts: Vec<Part> = thread::scope(|scope| {
        let others: Vec<_> = (1..settings.threads.get()).map(|_| scope.spawn(work)).collect();
        let own = work();
        others.into_iter().filter_map(|worker| worker.join().ok()).chain([own]).collect()
    });
    let mut all = Part { cases: 0, coverage: Coverage::new(&subject.plan), broken: BTreeMap::new() };
    parts.into_iter().for_each(|part| all.join(part));
    let shrunk = |(code, number): (&&'static str, &u64)| counterexample(subject, &mix.case(*number), code);
    Explored {
        cases: all.cases,
        coverage: all.coverage,
        counterexamples: all.broken.iter().filter_map(shrunk).collect(),
    }
}

impl Part {
    fn play(&mut self, subject: &Subject, mix: &Mix, number: u64) {
        let (played, broken) = judge(subject, &mix.case(number));
        self.cases += 1;
        self.coverage.add(&played);
        for Broken { code, .. } in broken {
            let first = self.broken.entry(code).or_insert(number);
            *first = number.min(*first);
        }
    }

    fn join(&mut self, other: Self) {
        self.cases += other.cases;
        self.coverage.join(&other.coverage);
        for (code, number) in other.broken {
            let first = self.broken.entry(code).or_insert(number);
            *first = number.min(*first);
        }
    }
}

/// Plays a case and says which invariants it breaks.
pub fn judge(subject: &Subject, case: &Case) -> (Played, Vec<Broken>) {
    let played = play(subject, case);
    // A limit on the time of a whole step goes on while no engine is there, and so an interruption may cost the step.
    let comparable = subject.plan.steps.iter().all(|step| step.time_limit.is_none());
    let calm = case.without_what_must_not_matter().filter(|_| comparable);
    let undisturbed = calm.map(|calm| Ending::of(&play(subject, &calm)));
    let broken = broken(subject, &played, undisturbed.as_ref());
    (played, broken)
}

fn broken(subject: &Subject, played: &Played, undisturbed: Option<&Ending>) -> Vec<Broken> {
    invariants::broken(&Evidence {
        plan: &subject.plan,
        records: &played.records,
        journal: &played.journal,
        truth: &played.truth,
        lives: &played.lives,
        ending: &Ending::of(played),
        undisturbed,
    })
}

/// Every case with the bytes of its journal, in order.
pub fn journals<'a>(subject: &'a Subject, settings: &Settings) -> impl Iterator<Item = (Case, Vec<u8>)> + use<'a> {
    let (mix, cases) = (Mix::new(subject, settings.seed, &settings.faults), settings.cases);
    (0..cases).map(move |number| mix.case(number)).map(|case| {
        let journal = play(subject, &case).journal;
        (case, journal)
    })
}

/// The counterexample that a case is, made small and told; `None` where it breaks nothing.
fn counterexample(subject: &Subject, case: &Case, code: &str) -> Option<Counterexample> {
    let case = shrink(subject, case, code);
    let broken = judge(subject, &case).1.into_iter().find(|broken| broken.code == code)?;
    Some(told(subject, case, broken))
}

/// Plays a stored case again; what it breaks is told as it is.
pub fn replay(subject: &Subject, case: &Case) -> Vec<Counterexample> {
    judge(subject, case).1.into_iter().map(|broken| told(subject, case.clone(), broken)).collect()
}

fn told(subject: &Subject, case: Case, broken: Broken) -> Counterexample {
    let story = story::tell(&play_and_tell(subject, &case));
    Counterexample { broken, case, story }
}
