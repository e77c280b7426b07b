//! Plays many cases on every core, and keeps what broke. The result is the same however many threads there are.

use std::{
    collections::BTreeMap,
    num::NonZero,
    panic::resume_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use lifeboat_core::{
    name::StepId,
    plan::{Step, StepKind},
};

use super::{
    case::Case,
    coverage::Coverage,
    faults::Selection,
    invariants::{self, Broken, Ending, Evidence},
    lints::{self, Begun, Finding, Watch},
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
    let shrunk = |(code, number): (&&'static str, &u64)| counterexample(subject, &mix.case(*number), code);
    Explored {
        counterexamples: all.broken.iter().filter_map(shrunk).collect(),
        flaws: all.flaws(subject, &watch, &mix),
        cases: all.cases,
        coverage: all.coverage,
    }
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

    /// The flaws in the order of the documentation and of the plan, each with a small case that shows it.
    fn flaws(&self, subject: &Subject, watch: &Watch<'_>, mix: &Mix) -> Vec<Flaw> {
        let shown = |((code, step), number): (&(&'static str, StepId), &u64)| {
            let shows = |case: &Case| {
                watch.findings(&play(subject, case)).into_iter().find(|f| f.code == *code && f.step == *step)
            };
            let case = shrink(&mix.case(*number), |case| shows(case).is_some());
            shows(&case).map(|finding| flaw(subject, case, finding))
        };
        let mut flaws: Vec<Flaw> = self.flawed.iter().filter_map(shown).collect();
        // What the host refuses for its bindings leads to nothing, and the runbook can not help that.
        if !subject.has_unproved() {
            let never = self.begun.findings(&subject.plan, &self.coverage, self.cases);
            flaws.extend(never.into_iter().map(|finding| flaw(subject, mix.case(0), finding)));
        }
        let lint = |flaw: &Flaw| lints::ALL.iter().position(|lint| lint.code == flaw.finding.code);
        let place = |flaw: &Flaw| subject.plan.position(&flaw.finding.step);
        flaws.sort_by_key(|flaw| (lint(flaw), place(flaw)));
        flaws
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

/// Plays a case and says which invariants it breaks.
pub fn judge(subject: &Subject, case: &Case) -> (Played, Vec<Broken>) {
    let played = play(subject, case);
    // A limit on the time of a whole step, or on a question, goes on while no engine is there: an interruption may cost the step.
    let expires = |step: &Step| matches!(step.kind, StepKind::Approve { expires: Some(_), .. });
    let comparable = subject.plan.steps.iter().all(|step| step.time_limit.is_none() && !expires(step));
    let calm = case.without_what_must_not_matter().filter(|_| comparable);
    let undisturbed = calm.map(|calm| Ending::of(&play(subject, &calm)));
    let broken = broken(subject, &played, undisturbed.as_ref());
    (played, broken)
}

fn broken(subject: &Subject, played: &Played, undisturbed: Option<&Ending>) -> Vec<Broken> {
    invariants::broken(&Evidence::of(&subject.plan, played, &Ending::of(played), undisturbed))
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
    let case = shrink(case, |case| judge(subject, case).1.iter().any(|broken| broken.code == code));
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
