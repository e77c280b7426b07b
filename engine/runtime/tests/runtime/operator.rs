//! Telling a run something: over its socket while it is live, in its journal where it is not.

use std::fs;

use lifeboat_core::{
    event::{Event, Outcome},
    input::Purpose,
    name::RunId,
    operator::Command,
    plan::Plan,
    run::{Phase, StepState},
    sketch::{Repeat, approve, chain, id, plan, uses},
};
use lifeboat_runtime::{
    identity::this_person,
    journal::{self, Recorded},
    request::{Told, tell},
    session::{How, reopen, resume, start},
};

use crate::scripted::{Act, Stage};

const PAUSE: Command = Command::Pause { reason: None };
const UNPAUSE: Command = Command::Unpause { reason: None };

fn skip(step: &str) -> Command {
    Command::Skip { step: id(step), reason: "not needed".to_owned() }
}

fn retry(step: &str) -> Command {
    Command::Retry { steps: vec![id(step)], from: false, confirmed: false, reason: None }
}

fn words(records: &[Recorded]) -> Vec<String> {
    let word =
        |record: &Recorded| format!("{:?}", record.event).split([' ', '{', '(']).next().unwrap_or_default().to_owned();
    records.iter().map(word).collect()
}

fn on_disk(stage: &Stage, run: &RunId) -> Vec<Recorded> {
    journal::read(&fs::read(stage.home.journal(run)).unwrap()).unwrap().records
}

fn refused(told: Told) -> String {
    match told {
        Told::Refused(refusal) => refusal.code,
        other => panic!("it was not refused: {other:?}"),
    }
}

/// A copy that never ends by itself, a question beside it, and a step behind both.
fn two_branches() -> Plan {
    plan(vec![
        uses("copy", &[], Repeat::Idempotent),
        approve("sign-off", &[]),
        uses("merge", &[0, 1], Repeat::Idempotent),
    ])
}

#[tokio::test]
async fn a_live_run_is_told_over_its_socket_and_answers_when_it_is_on_disk() {
    let stage = Stage::new();
    stage.plugin.act("copy", Act::Hang);
    let new = stage.new_run(&two_branches());
    let run = new.run.clone();
    let (home, surroundings) = (stage.home.clone(), stage.surroundings());
    let session = tokio::spawn(async move { start(&home, new, surroundings).await });
    stage.plugin.hangs.cancelled().await;

    for (command, expected) in [(PAUSE, "RunPaused"), (skip("sign-off"), "StepSkipped")] {
        let Told::Live(records) = tell(&stage.home, &run, command).await.unwrap() else { panic!("an engine is live") };
        assert_eq!(words(&records), [expected]);
        assert!(on_disk(&stage, &run).ends_with(&records), "the answer says what is on disk");
    }
    let before = on_disk(&stage, &run);
    assert_eq!(refused(tell(&stage.home, &run, skip("copy")).await.unwrap()), "operator-in-flight");
    assert_eq!(refused(tell(&stage.home, &run, PAUSE).await.unwrap()), "operator-paused");
    assert_eq!(on_disk(&stage, &run), before, "nothing is recorded for what is refused");

    tell(&stage.home, &run, UNPAUSE).await.unwrap();
    tell(&stage.home, &run, Command::Abort { reason: None, undo: false }).await.unwrap();
    let ended = session.await.unwrap().unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Aborted));
    assert!(!stage.home.run_folder(&run).join("control.sock").exists());
    let who = on_disk(&stage, &run).into_iter().filter_map(|record| record.event.who().cloned());
    assert!(who.into_iter().all(|who| who == this_person()), "the operating system says who it was");
}

#[tokio::test]
async fn a_run_that_nobody_works_on_is_told_in_its_journal_and_nothing_begins() {
    let stage = Stage::new();
    let plan = plan(vec![approve("sign-off", &[]), uses("merge", &[0], Repeat::Idempotent)]);
    let waiting = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    let yes = Command::Approve { step: id("sign-off"), comment: None };
    let Told::Recorded(records, after) = tell(&stage.home, &waiting.run, yes.clone()).await.unwrap() else {
        panic!("no engine is live")
    };
    assert_eq!(words(&records), ["ApprovalAnswered", "StepSucceeded"]);
    assert!(matches!(after.steps[1].state, StepState::Waiting));
    assert_eq!(refused(tell(&stage.home, &waiting.run, yes).await.unwrap()), "operator-step-over");
    assert_eq!(stage.plugin.calls("merge", Purpose::Run), 0);
    let ended = resume(&stage.home, &waiting.run, stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
}

#[tokio::test]
async fn a_paused_run_goes_on_when_it_is_resumed() {
    let stage = Stage::new();
    let plan = plan(vec![approve("sign-off", &[]), uses("merge", &[0], Repeat::Idempotent)]);
    let waiting = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    for command in [PAUSE, Command::Approve { step: id("sign-off"), comment: None }] {
        assert!(matches!(tell(&stage.home, &waiting.run, command).await.unwrap(), Told::Recorded(..)));
    }
    let ended = resume(&stage.home, &waiting.run, stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
    let unpaused = |record: &Recorded| matches!(&record.event, Event::RunUnpaused { who, .. } if *who == this_person());
    assert!(on_disk(&stage, &waiting.run).iter().any(unpaused));
}

#[tokio::test]
async fn a_run_that_failed_is_reopened_with_its_targets() {
    let stage = Stage::new();
    stage.plugin.act("step-1", Act::Fail);
    let failed = start(&stage.home, stage.new_run(&chain(3)), stage.surroundings()).await.unwrap();
    assert_eq!(failed.how, How::Finished(Outcome::Failed));
    let before = on_disk(&stage, &failed.run).len();
    let told = tell(&stage.home, &failed.run, retry("step-1")).await.unwrap();
    let Told::Reopens(request) = told else { panic!("the run is over: {told:?}") };
    assert_eq!(on_disk(&stage, &failed.run).len(), before, "nothing is recorded before the targets are taken");

    stage.plugin.act("step-1", Act::HangAfterEffect);
    let (home, surroundings, run) = (stage.home.clone(), stage.surroundings(), failed.run.clone());
    let session = tokio::spawn(async move { reopen(&home, &run, request, surroundings).await });
    stage.plugin.hangs.cancelled().await;
    let other = start(&stage.home, stage.new_run(&chain(1)), stage.surroundings()).await.unwrap_err();
    assert_eq!(other.code(), "run-lease-held", "the reopened run has its targets again");
    session.abort();
    let _ = session.await;

    stage.plugin.act("step-1", Act::Succeed);
    let ended = resume(&stage.home, &failed.run, stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
    assert_eq!(stage.plugin.calls("step-0", Purpose::Run), 1, "what was done is not done again");
}

#[tokio::test]
async fn a_failed_step_is_skipped_in_the_journal_while_another_one_keeps_the_run_from_going_on() {
    let stage = Stage::new();
    let plan = plan(vec![uses("a", &[], Repeat::Idempotent), uses("b", &[], Repeat::Idempotent)]);
    stage.plugin.act("a", Act::Fail);
    stage.plugin.act("b", Act::Fail);
    let failed = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    let Told::Recorded(records, after) = tell(&stage.home, &failed.run, skip("a")).await.unwrap() else {
        panic!("the run does not go on yet")
    };
    assert_eq!(words(&records), ["StepSkipped"]);
    assert!(matches!(after.phase, Phase::Finished { outcome: Outcome::Failed, .. }));
    assert!(matches!(tell(&stage.home, &failed.run, skip("b")).await.unwrap(), Told::Reopens(_)));
}

#[tokio::test]
async fn a_run_that_is_not_there_can_not_be_told_anything() {
    let stage = Stage::new();
    let unknown = tell(&stage.home, &RunId::new("dr-003-a").unwrap(), PAUSE).await.unwrap_err();
    assert_eq!(unknown.code(), "run-unknown");
}
