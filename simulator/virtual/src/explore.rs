//! Plays many cases on every core, and keeps what broke. The result is the same however many threads there are.

use std::{
    collections::BTreeMap,
    num::NonZero,
    panic::resume_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use lifeboat_core::name::StepId;

use super::{
    case::Case,
    coverage::Coverage,
    faults::Selection,
    invariants::{self, Broken},
    judge::judge,
    lints::{self, Begun, Finding, Watch},
    lives::{play, play_and_tell},
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
    /// How many single faults there are, each at one of its places.
    pub singles: u64,
    /// How many of them there was no room for among the cases.
    pub singles_left_out: u64,
    /// Which paths they took.
    pub coverage: Coverage,
    /// The first case that broke each invariant, made small.
    pub counterexamples: Vec<Counterexample>,
    /// The first case that shows each flaw of the runbook, made small.
    pub flaws: Vec<Flaw>,
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

/// A flaw of the runbook, with a case that shows it.
#[derive(Debug, Clone)]
pub struct Flaw {
    /// Which, of which step, and why.
    pub finding: Finding,
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
    /// The first case that shows each flaw.
    flawed: BTreeMap<(&'static str, StepId), u64>,
    begun: Begun,
}

/// Cases that a thread takes at a time.
const BATCH: u64 = 64;

/// Plays the cases.
pub fn explore(subject: &Subject, settings: &Settings) -> Explored {
    let (mix, watch) = (Mix::new(subject, settings.seed, &settings.faults), Watch::new(subject));
    let next = AtomicU64::new(0);
    let work = || {
        let mut part = Part::new(subject);
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= settings.cases {
                return part;
            }
            (first..settings.cases.min(first + BATCH)).for_each(|number| part.play(subject, &watch, &mix, number));
        }
    };
    // The thread that asks is one of them.
    let parts: Vec<Part> = thread::scope(|scope| {
        let others: Vec<_> = (1..settings.threads.get()).map(|_| scope.spawn(work)).collect();
        let own = work();
        // Cases that a thread took along when it panicked were not played: nothing can be said then.
        let join =
            |worker: thread::ScopedJoinHandle<'_, Part>| worker.join().unwrap_or_else(|panic| resume_unwind(panic));
        others.into_iter().map(join).chain([own]).collect()
    });
    let mut all = Part::new(subject);
    parts.into_iter().for_each(|part| all.join(part));
    let (flaws, not_again) = all.flaws(subject, &watch, &mix);
    let shrunk = |(code, number): (&&'static str, &u64)| counterexample(subject, &mix.case(*number), code);
    let mut counterexamples: Vec<_> = all.broken.iter().map(shrunk).chain(not_again).collect();
    // Of those that do not break anything again the first is enough.
    counterexamples.sort_by_key(|found| found.broken.code);
    counterexamples.dedup_by_key(|found| found.broken.code);
    let (singles, singles_left_out) = mix.singles(settings.cases);
    Explored { cases: all.cases, singles, singles_left_out, coverage: all.coverage, counterexamples, flaws }
}

impl Part {
    fn new(subject: &Subject) -> Self {
        let plan = &subject.plan;
        let (broken, flawed) = (BTreeMap::new(), BTreeMap::new());
        Self { cases: 0, coverage: Coverage::new(plan), broken, flawed, begun: Begun::new(plan) }
    }

    fn play(&mut self, subject: &Subject, watch: &Watch<'_>, mix: &Mix, number: u64) {
        let (played, broken) = judge(subject, &mix.case(number));
        self.cases += 1;
        self.coverage.add(&played);
        self.begun.add(&subject.plan, &played);
        for Finding { code, step, .. } in watch.findings(&played) {
            let first = self.flawed.entry((code, step)).or_insert(number);
            *first = number.min(*first);
        }
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
        for (flawed, number) in other.flawed {
            let first = self.flawed.entry(flawed).or_insert(number);
            *first = number.min(*first);
        }
        self.begun.join(&other.begun);
    }

    /// The flaws in the order of the documentation and of the plan, each with a small case that shows it; and the cases that
    /// showed one and do not again.
    fn flaws(&self, subject: &Subject, watch: &Watch<'_>, mix: &Mix) -> (Vec<Flaw>, Vec<Counterexample>) {
        let (mut flaws, mut not_again) = (Vec::new(), Vec::new());
        for ((code, step), number) in &self.flawed {
            let shows = |case: &Case| {
                watch.findings(&play(subject, case)).into_iter().find(|f| f.code == *code && f.step == *step)
            };
            let case = mix.case(*number);
            let small = shrink(&case, |case| shows(case).is_some());
            match shows(&small) {
                Some(finding) => flaws.push(flaw(subject, small, finding)),
                None => not_again.push(told(subject, case, invariants::not_again(code))),
            }
        }
        // What the host refuses for its bindings leads to nothing, and the runbook cannot help that.
        if !subject.has_unproved() {
            let never = self.begun.findings(&subject.plan, &self.coverage, self.cases);
            let vain = lints::never_succeeds::findings(&subject.plan, &self.coverage, self.cases);
            flaws.extend(never.into_iter().chain(vain).map(|finding| flaw(subject, mix.case(0), finding)));
        }
        let lint = |flaw: &Flaw| lints::ALL.iter().position(|lint| lint.code == flaw.finding.code);
        let place = |flaw: &Flaw| subject.plan.position(&flaw.finding.step);
        flaws.sort_by_key(|flaw| (lint(flaw), place(flaw)));
        (flaws, not_again)
    }
}

fn flaw(subject: &Subject, case: Case, finding: Finding) -> Flaw {
    let story = story::tell(&play_and_tell(subject, &case));
    Flaw { finding, case, story }
}

/// The flaws that a case shows, told as it is.
pub fn flaws(subject: &Subject, case: &Case) -> Vec<Flaw> {
    let findings = Watch::new(subject).findings(&play(subject, case));
    findings.into_iter().map(|finding| flaw(subject, case.clone(), finding)).collect()
}

/// Every case with the bytes of its journal, in order.
pub fn journals<'a>(subject: &'a Subject, settings: &Settings) -> impl Iterator<Item = (Case, Vec<u8>)> + use<'a> {
    let (mix, cases) = (Mix::new(subject, settings.seed, &settings.faults), settings.cases);
    (0..cases).map(move |number| mix.case(number)).map(|case| {
        let journal = play(subject, &case).journal;
        (case, journal)
    })
}

/// The counterexample that a case is, made small and told. One that does not break the invariant again is told as that.
fn counterexample(subject: &Subject, case: &Case, code: &str) -> Counterexample {
    let breaks = |case: &Case| judge(subject, case).1.into_iter().find(|broken| broken.code == code);
    let small = shrink(case, |case| breaks(case).is_some());
    match breaks(&small) {
        Some(broken) => told(subject, small, broken),
        None => told(subject, case.clone(), invariants::not_again(code)),
    }
}

/// Plays a stored case again; what it breaks is told as it is.
pub fn replay(subject: &Subject, case: &Case) -> Vec<Counterexample> {
    judge(subject, case).1.into_iter().map(|broken| told(subject, case.clone(), broken)).collect()
}

fn told(subject: &Subject, case: Case, broken: Broken) -> Counterexample {
    let story = story::tell(&play_and_tell(subject, &case));
    Counterexample { broken, case, story }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{EVERYTHING, subject};

    #[test]
    fn what_breaks_something_once_and_not_again_is_told_as_that() {
        let case = Case::calm(3);
        let found = counterexample(&subject(EVERYTHING), &case, "test-once-only");
        assert_eq!((found.broken.code, found.case), ("test-same-again", case));
        assert!(found.broken.why.contains("`test-once-only`"), "{}", found.broken.why);
    }
}
