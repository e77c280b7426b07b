//! Real sessions over stores whose calls go wrong: a run is started, interrupted, resumed, fails, is reopened and finished, wherever the
//! store is slow, refuses, loses an answer, leaves half of a decision, or has another owner. The invariants of the virtual world judge it.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    pin::pin,
    sync::{Arc, LazyLock},
    task::Poll,
    time::Duration,
};

use lifeboat_core::{
    event::{Event, Outcome, Person},
    name::RunId,
    operator::{Command, Request},
    plan::Plan,
    run::{Phase, Run},
    sketch::{Repeat, approve, chain, id, plan, uses},
};
use lifeboat_runtime::{
    Error,
    home::Home,
    lease::LeaseState,
    session::{Ended, How, reopen, resume, start},
    store::{Loaded, Store},
};
use lifeboat_virtual::{
    LifeEnd, MemoryStore, StoreCall, StoreTrouble, Strike, Troubled,
    invariants::{Broken, Ending, Evidence, broken},
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::{scripted::new_run, witness::Witness};

/// How an engine is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    /// It is told to stop.
    Stop,
    /// It is gone.
    Crash,
}

/// What goes wrong in one story.
#[derive(Debug, Clone, Default)]
struct Troublesome {
    strikes: Vec<Strike>,
    /// At the how manieth turn of the sessions, counted over all of them.
    interruptions: Vec<(u32, Interruption)>,
}

/// A form of a store, as these stories need it.
trait Kept: Store + Clone {
    fn lapse(&self, run: &RunId);
    fn bytes(&self, run: &RunId) -> Vec<u8>;
}

impl Kept for MemoryStore {
    fn lapse(&self, run: &RunId) {
        MemoryStore::lapse(self, run);
    }

    fn bytes(&self, run: &RunId) -> Vec<u8> {
        self.journal(run)
    }
}

impl Kept for Home {
    fn lapse(&self, run: &RunId) {
        // A run that is not there has none.
        let _ = std::fs::remove_file(self.run_folder(run).join("lock"));
    }

    fn bytes(&self, run: &RunId) -> Vec<u8> {
        std::fs::read(self.journal(run)).unwrap()
    }
}

/// Each kind of step, and at its end one that fails for good until somebody mends what it fails for.
fn every_kind() -> Plan {
    plan(vec![
        uses("announce", &[], Repeat::Idempotent),
        uses("restore", &[0], Repeat::Observable),
        approve("sign-off", &[1]),
        uses("merge", &[2], Repeat::Opaque),
        uses("tidy", &[2], Repeat::Observable),
        uses("check", &[3, 4], Repeat::Idempotent),
    ])
}

fn run_id(number: usize) -> RunId {
    RunId::new(format!("dr-003-20261121-{number:04}")).unwrap()
}

/// What is to be done next with the run, by what lies in the store.
enum Next {
    Start,
    Resume,
    Reopen,
    Nothing,
}

/// A run in a troubled store, through all its sessions.
struct Story<S: Kept> {
    inner: S,
    store: Troubled<S>,
    witness: Arc<Witness>,
    plan: Plan,
    run: RunId,
    lives: Vec<LifeEnd>,
    turns: u32,
    interruptions: Vec<(u32, Interruption)>,
    /// More sessions than that show that the run does not come to its end.
    most: usize,
}

/// How a story ended.
struct Told {
    ending: Ending,
    lives: Vec<LifeEnd>,
    turns: u32,
    /// How many calls of each kind there were.
    calls: Vec<(StoreCall, u32)>,
    struck: Vec<Strike>,
    broken: Vec<Broken>,
}

impl<S: Kept> Story<S> {
    fn new(inner: S, troublesome: &Troublesome) -> Self {
        let store = Troubled::new(inner.clone(), S::lapse, troublesome.strikes.clone());
        let witness = Witness::of_a_failure(id("check"));
        let interruptions = troublesome.interruptions.clone();
        let (run, plan) = (run_id(0), every_kind());
        let most = 4 + troublesome.strikes.len() + interruptions.len();
        Self { inner, store, witness, plan, run, lives: Vec::new(), turns: 0, interruptions, most }
    }

    /// What lies in the store.
    async fn found(&self) -> Option<Loaded> {
        match self.inner.load(&self.run).await {
            Ok(loaded) => Some(loaded),
            Err(Error::Unknown { .. } | Error::NeverStarted { .. }) => None,
            Err(error) => panic!("the journal cannot be used: {error}"),
        }
    }

    async fn next(&self) -> Next {
        match self.found().await.map(|loaded| loaded.run.phase) {
            None => Next::Start,
            Some(Phase::Finished { outcome: Outcome::Failed, .. }) => Next::Reopen,
            Some(Phase::Finished { .. }) if self.lives.last() == Some(&LifeEnd::Finished(Outcome::Succeeded)) => {
                Next::Nothing
            }
            Some(_) => Next::Resume,
        }
    }

    /// One session, from its beginning to its end, or to where it is interrupted.
    async fn live(&mut self, next: &Next) -> LifeEnd {
        let (store, run, stop) = (self.store.clone(), self.run.clone(), CancellationToken::new());
        let surroundings = self.witness.surroundings(stop.clone());
        let session = async {
            match next {
                Next::Start => start(&store, new_run(run, &self.plan), surroundings).await,
                Next::Reopen => reopen(&store, &run, tried_again(), surroundings).await,
                Next::Resume | Next::Nothing => resume(&store, &run, surroundings).await,
            }
        };
        let (turns, interruptions) = (&mut self.turns, &self.interruptions);
        let ends = |turn| {
            let now = interruptions.iter().find(|(at, _)| *at == turn).map(|(_, how)| *how);
            if now == Some(Interruption::Stop) {
                stop.cancel();
            }
            now == Some(Interruption::Crash)
        };
        match with_turns(session, turns, ends).await {
            None => LifeEnd::Died,
            Some(Ok(ended)) => life_end(ended),
            Some(Err(Error::OwnerLost { .. })) => LifeEnd::Disowned,
            Some(Err(Error::Disk { .. })) => LifeEnd::Unwritten,
            Some(Err(error)) => LifeEnd::Defect(format!("{} ({error})", error.code())),
        }
    }

    /// Sessions, one after another, until nothing is left to do.
    async fn tell(mut self, undisturbed: Option<&Ending>) -> Told {
        let records = async |story: &Self| story.found().await.map_or(0, |loaded| loaded.end.seq);
        for number in 0.. {
            let next = self.next().await;
            if matches!(next, Next::Nothing) || number > self.most {
                break;
            }
            if matches!(next, Next::Start) {
                // Whatever an engine did not begin has left nothing behind that keeps the next one out.
                assert_eq!(self.witness.truth().calls.len(), 0, "a run without an event has called something");
                self.run = run_id(number);
            }
            if matches!(next, Next::Reopen) {
                self.witness.mend();
            }
            self.witness.begin_life(records(&self).await);
            let end = self.live(&next).await;
            self.lives.push(end);
            self.witness.end_life(records(&self).await).await;
        }
        self.judged(undisturbed).await
    }

    async fn judged(self, undisturbed: Option<&Ending>) -> Told {
        let loaded = self.found().await.unwrap();
        let (truth, journal) = (self.witness.truth(), self.inner.bytes(&self.run));
        let ending = ending(&loaded.run);
        let evidence = Evidence {
            plan: &self.plan,
            records: &loaded.events,
            journal: &journal,
            truth: &truth,
            lives: &self.lives,
            ending: &ending,
            undisturbed,
        };
        let broken = broken(&evidence);
        let lost = self.witness.told().into_iter().find(|told| !loaded.events.contains(told));
        assert_eq!(lost, None, "a session was told that it is recorded");
        assert_eq!(self.store.appends_after_an_error(), 0, "a session appended behind an append that had failed");
        self.leaves_nothing_behind(&loaded).await;
        let calls = StoreCall::ALL.map(|call| (call, self.store.calls(call))).to_vec();
        Told { ending, lives: self.lives, turns: self.turns, calls, struck: self.store.struck(), broken }
    }

    /// The run is over for every engine: its leases are free, resuming it changes nothing, and the next run has its target.
    async fn leaves_nothing_behind(&self, loaded: &Loaded) {
        let leases = self.inner.leases().await.unwrap();
        assert!(leases.iter().all(|lease| lease.state == LeaseState::Free), "{leases:?}");
        let surroundings = || self.witness.surroundings(CancellationToken::new());
        let again = resume(&self.inner, &self.run, surroundings()).await.unwrap();
        assert_eq!(again.state, loaded.run);
        let others = Arc::new(Witness::default()).surroundings(CancellationToken::new());
        let next = start(&self.inner, new_run(run_id(9_999), &chain(1)), others).await.unwrap();
        assert_eq!(next.how, How::Finished(Outcome::Succeeded));
        assert_eq!(self.found().await.as_ref(), Some(loaded));
    }
}

/// Polls a session, and counts that; where `ends` says so, it is dropped.
async fn with_turns<T>(session: impl Future<Output = T>, turns: &mut u32, ends: impl Fn(u32) -> bool) -> Option<T> {
    let mut session = pin!(session);
    poll_fn(|context| {
        *turns += 1;
        if ends(*turns) { Poll::Ready(None) } else { session.as_mut().poll(context).map(Some) }
    })
    .await
}

fn life_end(ended: Ended) -> LifeEnd {
    match ended.how {
        How::Finished(outcome) => LifeEnd::Finished(outcome),
        How::Waiting(steps) => LifeEnd::Waiting(steps),
        How::Stopped => LifeEnd::Stopped,
    }
}

fn ending(run: &Run) -> Ending {
    let mut steps: Vec<_> = run.steps.iter().map(|step| (step.id.clone(), step.state.word())).collect();
    steps.sort_unstable();
    Ending { outcome: run.outcome(), steps }
}

/// What reopens the run that failed.
fn tried_again() -> Request {
    let command = Command::Retry { steps: vec![id("check")], from: false, confirmed: true, reason: None };
    Request { who: Person::User { name: "dba".to_owned() }, groups: BTreeSet::new(), command }
}

/// Tells a story on one thread, with time that passes as soon as everybody waits.
fn told<S: Kept>(store: S, troublesome: &Troublesome, undisturbed: Option<&Ending>) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(Story::new(store, troublesome).tell(undisturbed))
}

fn in_memory() -> MemoryStore {
    MemoryStore::default()
}

fn with_terms() -> MemoryStore {
    MemoryStore::with_terms(Duration::from_hours(24))
}

/// The story in which nothing goes wrong: what every other one is compared with.
static CALM: LazyLock<Told> = LazyLock::new(|| told(in_memory(), &Troublesome::default(), None));

#[track_caller]
fn check(told: &Told, troublesome: &Troublesome) {
    assert_eq!(told.broken, [], "{troublesome:?} {:?}", told.lives);
    assert_eq!(told.ending.outcome, Some(Outcome::Succeeded), "{troublesome:?} {:?}", told.lives);
}

#[test]
fn a_run_fails_is_reopened_and_finished_in_each_form_of_a_store() {
    let told_in_memory = &*CALM;
    let both = [LifeEnd::Finished(Outcome::Failed), LifeEnd::Finished(Outcome::Succeeded)];
    check(told_in_memory, &Troublesome::default());
    assert_eq!(told_in_memory.lives, both);
    let folder = tempfile::tempdir().unwrap();
    let told_on_disk = told(Home::open(folder.path()).unwrap(), &Troublesome::default(), Some(&told_in_memory.ending));
    check(&told_on_disk, &Troublesome::default());
    assert_eq!((&told_on_disk.lives, &told_on_disk.calls), (&told_in_memory.lives, &told_in_memory.calls));
}

#[test]
fn each_trouble_at_each_call_of_a_store_is_survived() {
    let calm = &*CALM;
    let mut ends = BTreeSet::new();
    for (call, count) in calm.calls.clone() {
        for nth in 1..=count {
            for trouble in StoreTrouble::ALL {
                let strike = Strike { call, nth, trouble };
                let troublesome = Troublesome { strikes: vec![strike], ..Troublesome::default() };
                for store in [in_memory(), with_terms()] {
                    let told = told(store, &troublesome, Some(&calm.ending));
                    check(&told, &troublesome);
                    assert_eq!(told.struck, [strike]);
                    let engines = told.lives.iter().map(|end| format!("{end:?}"));
                    ends.extend(engines.map(|end| (format!("{trouble:?}"), end)));
                }
            }
        }
    }
    for (trouble, end) in [
        ("Refused", LifeEnd::Unwritten),
        ("Unanswered", LifeEnd::Unwritten),
        ("CutShort", LifeEnd::Unwritten),
        ("SecondOwner", LifeEnd::Disowned),
    ] {
        assert!(ends.contains(&(trouble.to_owned(), format!("{end:?}"))), "{trouble}: {ends:?}");
    }
}

#[test]
fn an_engine_that_is_interrupted_at_any_turn_leaves_a_run_that_goes_on() {
    let calm = &*CALM;
    for turn in 1..=calm.turns {
        for how in [Interruption::Stop, Interruption::Crash] {
            let troublesome = Troublesome { interruptions: vec![(turn, how)], ..Troublesome::default() };
            check(&told(in_memory(), &troublesome, Some(&calm.ending)), &troublesome);
        }
    }
}

/// A start that is refused is removed, also where the store does that badly: the leases are free for the next run.
#[test]
fn a_run_that_could_not_be_started_is_in_nobodys_way() {
    let refused = Strike { call: StoreCall::Take, nth: 1, trouble: StoreTrouble::Unanswered };
    for call in [StoreCall::Release, StoreCall::Discard] {
        for trouble in StoreTrouble::ALL {
            let strikes = vec![refused, Strike { call, nth: 1, trouble }];
            let troublesome = Troublesome { strikes: strikes.clone(), ..Troublesome::default() };
            let told = told(with_terms(), &troublesome, Some(&CALM.ending));
            check(&told, &troublesome);
            assert_eq!((told.struck, &told.lives[0]), (strikes, &LifeEnd::Unwritten));
        }
    }
}

fn strike() -> impl Strategy<Value = Strike> {
    let call = prop_oneof![
        6 => Just((StoreCall::Append, 24_u32)),
        1 => proptest::sample::select(StoreCall::ALL.to_vec()).prop_map(|call| (call, 4)),
    ];
    let trouble = proptest::sample::select(StoreTrouble::ALL.to_vec());
    (call, 0_u32..1_000, trouble).prop_map(|((call, most), nth, trouble)| Strike { call, nth: 1 + nth % most, trouble })
}

fn troublesome() -> impl Strategy<Value = Troublesome> {
    let how = prop_oneof![Just(Interruption::Stop), Just(Interruption::Crash)];
    let interruptions = prop::collection::vec((1_u32..120, how), 0..3);
    let strikes = prop::collection::vec(strike(), 0..4);
    (strikes, interruptions).prop_map(|(strikes, interruptions)| Troublesome { strikes, interruptions })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_run_comes_to_its_end_whatever_the_store_does(troublesome in troublesome(), expires in any::<bool>()) {
        let store = if expires { with_terms() } else { in_memory() };
        check(&told(store, &troublesome, Some(&CALM.ending)), &troublesome);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn so_it_does_with_the_state_folder(troublesome in troublesome()) {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(folder.path()).unwrap();
        check(&told(home, &troublesome, Some(&CALM.ending)), &troublesome);
    }
}

/// Two engines at once: the one that was cut off has a call in flight, and does not know.
#[tokio::test]
async fn an_engine_that_lost_its_run_changes_nothing_beside_the_one_that_has_it() {
    for store in [in_memory(), with_terms()] {
        let step = id("restore");
        let witness = Witness::of_a_held_call(step.clone());
        let (plan, run) = (every_kind(), run_id(1));
        let surroundings = || witness.surroundings(CancellationToken::new());
        let second = async {
            witness.waits.cancelled().await;
            assert_eq!(resume(&store, &run, surroundings()).await.unwrap_err().code(), "run-locked");
            store.lapse(&run);
            let ended = resume(&store, &run, surroundings()).await;
            witness.goes.cancel();
            ended
        };
        let (first, second) = tokio::join!(start(&store, new_run(run.clone(), &plan), surroundings()), second);
        assert_eq!(first.unwrap_err().code(), "run-owner-lost");
        assert_eq!(second.unwrap().how, How::Finished(Outcome::Succeeded));
        assert_eq!(witness.effects(&step), 1, "what the first engine would still have done was refused");
        let loaded = Store::load(&store, &run).await.unwrap();
        let ends = loaded.events.iter().filter(|record| matches!(record.event, Event::RunFinished { .. }));
        assert_eq!(ends.count(), 1);
    }
}
