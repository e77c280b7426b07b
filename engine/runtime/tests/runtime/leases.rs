//! Leases that are lost: taken over from a dead run, and from one that only seemed to be.

use std::{fs, sync::Arc};

use crate::scripted::{Act, Stage};
use futures::FutureExt;
use lifeboat_core::{
    event::Outcome,
    failure::Failure,
    input::Done,
    name::RunId,
    run::StepState,
    sketch::{Repeat, chain, plan, uses},
};
use lifeboat_runtime::{
    Error,
    home::{Home, Standing},
    invoke::{Answer, Invoke, Pending, Request},
    lease::{Claim, LeaseState},
    session::{How, Surroundings, resume, start},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const TARGET: &str = "postgres:7423";

fn claim(holder_is_dead: bool) -> Claim {
    Claim { user: "alice".to_owned(), reason: "its machine burnt down".to_owned(), holder_is_dead }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().code()
}

/// Makes a live run look as if its engine were on another machine.
fn move_away(home: &Home, run: &RunId) {
    for path in [home.run_folder(run).join("lock")].into_iter().chain(lease_files(home)) {
        let text = fs::read_to_string(&path).unwrap();
        let here = lifeboat_runtime::holder::Holder::this_process(run).host;
        fs::write(&path, text.replace(&format!("\"host\":\"{here}\""), "\"host\":\"far-away\"")).unwrap();
    }
}

fn lease_files(home: &Home) -> Vec<std::path::PathBuf> {
    fs::read_dir(home.path().join("leases")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A plugin that asks before it changes something, and does so when it is let go.
#[derive(Default)]
struct Guarded {
    began: CancellationToken,
    go: CancellationToken,
}

impl Invoke for Guarded {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, request: Request) -> Pending<Answer> {
        let (began, go) = (self.began.clone(), self.go.clone());
        async move {
            assert_eq!(request.fence.check(), Ok(()));
            began.cancel();
            go.cancelled().await;
            Answer::Ran(match request.fence.check() {
                Ok(()) => Ok(Done { outputs: json!({}), summary: "changed".to_owned() }),
                Err(lost) => Err(Failure::Denied(lost)),
            })
        }
        .boxed()
    }
}

#[tokio::test]
async fn an_engine_that_was_only_held_to_be_dead_changes_nothing_more() {
    let stage = Stage::new();
    let guarded = Arc::new(Guarded::default());
    let first = stage.new_run(&plan(vec![uses("merge", &[], Repeat::Idempotent)]));
    let run = first.run.clone();
    let surroundings = Surroundings { invoke: guarded.clone(), ..stage.surroundings() };
    let others = async {
        guarded.began.cancelled().await;
        for dead in [false, true] {
            assert_eq!(code(stage.home.take_over(TARGET, &claim(dead))), "run-lease-held", "it is alive here");
        }
        move_away(&stage.home, &run);
        assert_eq!(code(stage.home.take_over(run.as_str(), &claim(false))), "run-lease-elsewhere");
        let losses = stage.home.take_over(run.as_str(), &claim(true)).unwrap();
        assert!(losses[0].take_over.holder_declared_dead && losses[0].take_over.from.run == run);
        let second = start(&stage.home, stage.new_run(&chain(1)), stage.surroundings()).await.unwrap();
        assert_eq!(second.how, How::Finished(Outcome::Succeeded));
        guarded.go.cancel();
    };
    let (ended, ()) = tokio::join!(start(&stage.home, first, surroundings), others);
    let ended = ended.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Failed));
    let StepState::Failed { failure } = &ended.state.steps[0].state else { panic!("{:?}", ended.state) };
    assert_eq!(failure.reason().code, "run-lease-lost");
    assert!(failure.reason().message.contains("by alice"), "{failure:?}");
    assert_eq!(stage.home.leases().unwrap()[0].state, LeaseState::Free);
}

#[tokio::test]
async fn a_run_whose_lease_was_taken_over_is_told_so_and_never_goes_on() {
    let stage = Stage::new();
    stage.plugin.act("step-0", Act::Hang);
    let run = start(&stage.home, stage.new_run(&chain(1)), stage.surroundings_until_it_hangs()).await.unwrap().run;
    assert!(matches!(stage.home.leases().unwrap()[0].state, LeaseState::Unfinished(_)));
    let losses = stage.home.take_over("last", &claim(false)).unwrap();
    assert!(!losses[0].take_over.holder_declared_dead, "its lock shows that it is dead");
    assert_eq!(code(stage.home.take_over(run.as_str(), &claim(true))), "run-lease-free");
    assert_eq!(code(stage.home.take_over("postgres:1", &claim(true))), "run-lease-free");

    stage.plugin.act("step-0", Act::Succeed);
    for turn in 0..2 {
        let refusal = resume(&stage.home, &run, stage.surroundings()).await.unwrap_err();
        assert_eq!(refusal.code(), "run-lease-lost", "{turn}");
        for part in [run.as_str(), TARGET, "by alice", "its machine burnt down"] {
            assert!(refusal.to_string().contains(part), "{refusal}");
        }
        let standing = stage.home.runs().unwrap().into_iter().find(|listed| listed.run == run).unwrap().standing;
        assert!(matches!(standing, Standing::Fenced(_)), "{standing:?}");
        start(&stage.home, stage.new_run(&chain(1)), stage.surroundings()).await.unwrap();
    }
    let lease = stage.home.leases().unwrap().remove(0);
    assert_eq!((lease.state, lease.token.0, lease.taken_over), (LeaseState::Free, 4, losses));
}

#[tokio::test]
async fn the_leases_of_a_run_are_taken_over_together_or_not_at_all() {
    let stage = Stage::new();
    stage.plugin.act("step-0", Act::Hang);
    let mut new = stage.new_run(&chain(1));
    new.leases.push("machine:local:/srv".to_owned());
    let run = start(&stage.home, new, stage.surroundings_until_it_hangs()).await.unwrap().run;
    let path =
        lease_files(&stage.home).into_iter().find(|path| path.display().to_string().contains("machine")).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let here = lifeboat_runtime::holder::Holder::this_process(&run).host;
    fs::write(&path, text.replace(&here, "far-away")).unwrap();
    assert_eq!(code(stage.home.take_over(run.as_str(), &claim(false))), "run-lease-elsewhere");
    assert!(stage.home.lost_lease(&run).unwrap().is_none());
    assert_eq!(stage.home.take_over(run.as_str(), &claim(true)).unwrap().len(), 2);
}
