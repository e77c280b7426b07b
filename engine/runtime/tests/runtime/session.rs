//! Runs in the real world: started, stopped, resumed, refused.

use std::{fs, io::Write, sync::Arc};

use crate::scripted::{Act, Agreeable, Listener, Silence, Stage, Unreachable};
use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    decide::ITEMS_MAX,
    diagnostic::SourceFile,
    event::{Event, Mode, Outcome},
    expression::Expression,
    input::Purpose,
    name::RunId,
    plan::{Each, Plan, Step},
    run::StepState,
    sketch::{Repeat, approve, chain, id, plan, uses},
    types::Type,
};
use lifeboat_runtime::{
    home::Standing,
    invoke::Note,
    journal,
    people::{Nobody, People},
    session::{Ended, How, NewRun, Surroundings, resume, start},
};
use serde_json::json;

fn failure_code(ended: &Ended, step: usize) -> String {
    match &ended.state.steps[step].state {
        StepState::Failed { failure } => failure.reason().code.clone(),
        other => panic!("the step is {other:?}"),
    }
}

#[tokio::test]
async fn a_run_goes_through_and_leaves_its_traces() {
    let stage = Stage::new();
    let listener = Arc::new(Listener::default());
    let mut surroundings = stage.surroundings();
    surroundings.reporter = listener.clone();
    let ended = start(&stage.home, stage.new_run(&chain(3)), surroundings).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));

    let folder = stage.home.run_folder(&ended.run);
    let summary = journal::verify(&folder.join("journal.jsonl")).unwrap();
    assert_eq!((summary.run.as_ref(), summary.torn_bytes), (Some(&ended.run), 0));
    assert_eq!(stage.home.load(&ended.run).unwrap().run, ended.state);
    assert_eq!(fs::read(folder.join("runbook.yaml")).unwrap(), b"lifeboat: 1\n");
    let log = fs::read_to_string(folder.join("logs/step-1.log")).unwrap();
    assert!(log.ends_with("INFO  working\\nhard rows=7\n"), "{log}");
    assert!(matches!(listener.notes.lock().unwrap()[0], Note::Log { .. }));
    assert_eq!(stage.home.runs().unwrap()[0].standing, Standing::Finished(Outcome::Succeeded));
}

#[tokio::test]
async fn a_failed_step_fails_the_run() {
    let stage = Stage::new();
    stage.plugin.act("step-1", Act::Fail);
    let ended = start(&stage.home, stage.new_run(&chain(3)), stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Failed));
    assert_eq!(failure_code(&ended, 1), "test-failed");
    assert_eq!(stage.plugin.calls("step-2", Purpose::Run), 0);
}

#[tokio::test]
async fn a_run_waits_for_people_and_goes_on_where_there_are_some() {
    let stage = Stage::new();
    let plan = plan(vec![approve("sign-off", &[]), uses("merge", &[0], Repeat::Observable)]);
    let ended = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Waiting(vec![id("sign-off")]));
    assert_eq!(stage.home.runs().unwrap()[0].standing, Standing::Waiting);

    let mut surroundings = stage.surroundings();
    surroundings.people = Arc::new(Agreeable);
    let ended = resume(&stage.home, &ended.run, surroundings).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
    let again = resume(&stage.home, &ended.run, stage.surroundings()).await.unwrap();
    assert_eq!(again.how, ended.how, "a run that is over stays as it is");
    assert_eq!(stage.plugin.calls("merge", Purpose::Run), 1);
}

/// Stops the engine while `merge` hangs, then resumes; returns how often it was run and observed.
async fn stop_and_resume(repeat: Repeat, act: Act) -> (Ended, usize, usize) {
    let stage = Stage::new();
    let plan = plan(vec![uses("merge", &[], repeat)]);
    stage.plugin.act("merge", act);
    let run = stage.new_run(&plan);
    let stopped = start(&stage.home, run, stage.surroundings_until_it_hangs()).await.unwrap();
    assert_eq!(stopped.how, How::Stopped);
    assert_eq!(stage.home.runs().unwrap()[0].standing, Standing::Resumable);

    stage.plugin.act("merge", Act::Succeed);
    let ended = resume(&stage.home, &stopped.run, stage.surroundings()).await.unwrap();
    (ended, stage.plugin.calls("merge", Purpose::Run), stage.plugin.calls("merge", Purpose::Observe))
}

#[tokio::test]
async fn a_stopped_run_goes_on_without_silently_repeating_anything() {
    for (repeat, act, runs, observations) in [
        (Repeat::Observable, Act::HangAfterEffect, 1, 1),
        (Repeat::Observable, Act::Hang, 2, 1),
        (Repeat::Idempotent, Act::HangAfterEffect, 2, 0),
    ] {
        let (ended, ran, observed) = stop_and_resume(repeat, act).await;
        assert_eq!(ended.how, How::Finished(Outcome::Succeeded), "{repeat:?} {act:?}");
        assert_eq!((ran, observed), (runs, observations), "{repeat:?} {act:?}");
    }
    let (ended, ran, _) = stop_and_resume(Repeat::Opaque, Act::HangAfterEffect).await;
    assert_eq!(ended.how, How::Waiting(vec![id("merge")]), "somebody must say what became of it");
    assert_eq!(ran, 1);
}

/// The steps that the journal says were started, in order.
fn started_steps(stage: &Stage, run: &RunId) -> Vec<String> {
    let records = journal::read(&fs::read(stage.home.journal(run)).unwrap()).unwrap().records;
    let started = records.into_iter().filter(|record| matches!(record.event, Event::StepStarted { .. }));
    started.map(|record| record.event.step().unwrap().to_string()).collect()
}

#[tokio::test]
async fn what_was_done_while_the_engine_stopped_is_not_forgotten_and_nothing_more_begins() {
    for act in [Act::SucceedAtTheLast, Act::SucceedAsItStops] {
        let stage = Stage::new();
        let plan = plan(vec![uses("merge", &[], Repeat::Opaque), uses("tidy", &[0], Repeat::Opaque)]);
        stage.plugin.act("merge", act);
        let new = stage.new_run(&plan);
        let stopped = start(&stage.home, new, stage.surroundings_until_it_hangs()).await.unwrap();
        assert_eq!(stopped.how, How::Stopped, "{act:?}");
        assert!(matches!(stopped.state.steps[0].state, StepState::Succeeded { .. }), "{act:?}: {:?}", stopped.state);
        assert_eq!(started_steps(&stage, &stopped.run), ["merge"], "{act:?}");

        // Nobody could be asked what became of either: both are known.
        let ended = resume(&stage.home, &stopped.run, stage.surroundings()).await.unwrap();
        assert_eq!(ended.how, How::Finished(Outcome::Succeeded), "{act:?}");
        let runs = ["merge", "tidy"].map(|step| stage.plugin.calls(step, Purpose::Run));
        assert_eq!(runs, [1, 1], "{act:?}");
    }
}

#[tokio::test]
async fn a_run_whose_last_step_ends_while_the_engine_stops_is_over() {
    let stage = Stage::new();
    stage.plugin.act("step-0", Act::SucceedAtTheLast);
    let new = stage.new_run(&chain(1));
    let ended = start(&stage.home, new, stage.surroundings_until_it_hangs()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
}

#[tokio::test]
async fn an_engine_that_was_told_to_stop_before_it_began_starts_nothing() {
    let stage = Stage::new();
    let surroundings = stage.surroundings();
    surroundings.stop.cancel();
    let plan = plan(vec![uses("merge", &[], Repeat::Opaque)]);
    let stopped = start(&stage.home, stage.new_run(&plan), surroundings).await.unwrap();
    assert_eq!(stopped.how, How::Stopped);
    assert!(started_steps(&stage, &stopped.run).is_empty());
    let ended = resume(&stage.home, &stopped.run, stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
}

/// A plan that asks for a yes within that time.
fn asks_within(time: SignedDuration) -> Plan {
    let mut plan = plan(vec![approve("sign-off", &[])]);
    plan.steps[0].timeout = Some(time);
    plan
}

#[tokio::test]
async fn a_question_nobody_can_be_asked_does_not_wait_for_the_clock() {
    for people in [Arc::new(Nobody) as Arc<dyn People>, Arc::new(Unreachable)] {
        let stage = Stage::new();
        let surroundings = Surroundings { people, ..stage.surroundings() };
        let new = stage.new_run(&asks_within(SignedDuration::from_hours(1)));
        let ended = start(&stage.home, new, surroundings).await.unwrap();
        assert_eq!(ended.how, How::Waiting(vec![id("sign-off")]));
    }
}

#[tokio::test]
async fn the_time_for_an_answer_counts_while_somebody_is_asked() {
    let stage = Stage::new();
    let plan = asks_within(SignedDuration::from_millis(20));
    let silent = || Surroundings { people: Arc::new(Silence), ..stage.surroundings() };
    let ended = start(&stage.home, stage.new_run(&plan), silent()).await.unwrap();
    assert_eq!(failure_code(&ended, 0), "run-timed-out");

    let mut waiting = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    assert_eq!(waiting.how, How::Waiting(vec![id("sign-off")]));
    // However late it is, who resumes the run is asked first.
    until_over(SignedDuration::from_millis(20), waiting.at).await;
    let agreeable = Surroundings { people: Arc::new(Agreeable), ..stage.surroundings() };
    waiting = resume(&stage.home, &waiting.run, agreeable).await.unwrap();
    assert_eq!(waiting.how, How::Finished(Outcome::Succeeded));
}

/// Returns when so much time has passed since that instant.
async fn until_over(time: SignedDuration, since: Timestamp) {
    while Timestamp::now() <= since + time {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_call_ends_with_its_time() {
    let stage = Stage::new();
    let mut plan = plan(vec![uses("merge", &[], Repeat::Idempotent)]);
    plan.steps[0].timeout = Some(SignedDuration::from_millis(20));
    plan.steps[0].retry.attempts = 1;
    stage.plugin.act("merge", Act::Hang);
    let ended = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    assert_eq!(failure_code(&ended, 0), "run-timed-out");
}

#[tokio::test]
async fn a_call_that_panics_is_an_interrupted_one() {
    let stage = Stage::new();
    let plan = plan(vec![uses("merge", &[], Repeat::Opaque)]);
    stage.plugin.act("merge", Act::Panic);
    let ended = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Waiting(vec![id("merge")]));
    assert_eq!(stage.plugin.calls("merge", Purpose::Run), 1);
}

#[tokio::test]
async fn one_engine_a_run_and_one_run_a_target() {
    let stage = Stage::new();
    let plan = chain(1);
    stage.plugin.act("step-0", Act::Hang);
    let (first, second) = (stage.new_run(&plan), stage.new_run(&plan));
    let (run, refused) = (first.run.clone(), second.run.clone());
    let surroundings = stage.surroundings();
    let stop = surroundings.stop.clone();
    let others = async {
        stage.plugin.hangs.cancelled().await;
        let locked = resume(&stage.home, &run, stage.surroundings()).await.unwrap_err();
        assert_eq!(locked.code(), "run-locked");
        let held = start(&stage.home, second, stage.surroundings()).await.unwrap_err();
        assert_eq!(held.code(), "run-lease-held");
        assert!(held.to_string().contains(run.as_str()), "{held}");
        assert!(!stage.home.run_folder(&refused).exists(), "a refused run leaves nothing behind");
        let listed = stage.home.runs().unwrap().remove(0);
        assert!(listed.standing == Standing::Live && listed.engine.is_some(), "{listed:?}");
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(start(&stage.home, first, surroundings), others);
    assert_eq!(ended.unwrap().how, How::Stopped);

    stage.plugin.act("step-0", Act::Succeed);
    let unfinished = start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap_err();
    assert_eq!(unfinished.code(), "run-lease-unfinished");
    let mut dry = stage.new_run(&plan);
    dry.mode = Mode::DryRun;
    start(&stage.home, dry, stage.surroundings()).await.unwrap();
    resume(&stage.home, &run, stage.surroundings()).await.unwrap();
    start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap();
}

/// A run that waits for a person, and the folder of its state.
async fn waiting(stage: &Stage) -> Ended {
    let plan: Plan = plan(vec![uses("find", &[], Repeat::Idempotent), approve("sign-off", &[0])]);
    start(&stage.home, stage.new_run(&plan), stage.surroundings()).await.unwrap()
}

#[tokio::test]
async fn a_torn_end_is_cut_off() {
    let stage = Stage::new();
    let run = waiting(&stage).await.run;
    let path = stage.home.journal(&run);
    let whole = fs::read(&path).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":99,\"at\":").unwrap();
    let mut surroundings = stage.surroundings();
    surroundings.people = Arc::new(Agreeable);
    let ended = resume(&stage.home, &run, surroundings).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
    assert!(fs::read(&path).unwrap().starts_with(&whole));
    assert_eq!(journal::verify(&path).unwrap().torn_bytes, 0);
}

async fn check_damage(damage: impl FnOnce(String) -> String, file: &str, code: &str, says: &str) {
    let stage = Stage::new();
    let older = start(&stage.home, stage.new_run(&chain(1)), stage.surroundings()).await.unwrap().run;
    let run = waiting(&stage).await.run;
    let path = stage.home.run_folder(&run).join(file);
    let text = fs::read_to_string(&path).unwrap();
    let damaged = damage(text.clone());
    assert_ne!(text, damaged);
    fs::write(&path, &damaged).unwrap();
    let error = resume(&stage.home, &run, stage.surroundings()).await.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "a damaged file is left as it is");
    let listed = stage.home.runs().unwrap();
    assert_eq!(listed[0].standing, Standing::Damaged(error.code()));
    assert_eq!((&listed[0].run, &listed[1].run), (&run, &older), "the newest comes first");
    assert_eq!(stage.home.find("last").unwrap(), run, "`last` is not silently an older run");
    let next = start(&stage.home, stage.new_run(&chain(1)), stage.surroundings()).await.unwrap_err();
    assert_eq!(next.code(), "run-lease-unfinished", "nobody knows what it left half done");
}

fn without_line(text: &str, line: usize) -> String {
    text.split_inclusive('\n').enumerate().filter(|(index, _)| *index != line).map(|(_, text)| text).collect()
}

#[tokio::test]
async fn damage_is_refused_with_its_line() {
    let journal = "journal.jsonl";
    let damaged = "run-journal-damaged";
    check_damage(|text| text.replacen("\"attempt\":1", "\"attempt\":2", 1), journal, damaged, "line 3").await;
    check_damage(|text| without_line(&text, 1), journal, damaged, "line 2").await;
    check_damage(|text| without_line(&text, 0), journal, damaged, "line 1").await;
    check_damage(|text| text.replacen("{\"seq\":2", "\u{0}\"seq\":2", 1), journal, damaged, "line 2").await;
    check_damage(|text| format!("{text}rubbish\n"), journal, damaged, "not a record").await;
    check_damage(|text| text.replacen("\"format\":1", "\"format\":2", 1), journal, "run-journal-format", "format 2")
        .await;
    check_damage(|text| text.replacen("sign-off", "sign-on", 1), "plan.json", "run-plan-changed", "digest").await;
    check_damage(|text| text[1..].to_owned(), "plan.json", "run-plan-changed", "plan.json").await;
}

#[tokio::test]
async fn a_run_is_found_by_what_people_type() {
    let stage = Stage::new();
    let code = |text: &str| stage.home.find(text).unwrap_err().code();
    assert_eq!(code("last"), "run-unknown");
    let first = waiting(&stage).await.run;
    assert_eq!(stage.home.find("last").unwrap(), first);
    assert_eq!(stage.home.find("dr-003-2026").unwrap(), first);
    assert_eq!(stage.home.find(first.as_str()).unwrap(), first);
    let reserved = stage.new_run(&chain(1)).run;
    assert_eq!(stage.home.find("dr-003").unwrap(), first, "a name without a journal is no run");
    assert_eq!(stage.home.load(&reserved).unwrap_err().code(), "run-never-started");
    assert_eq!(code("dr-004"), "run-unknown");
    let mut second = stage.new_run(&chain(1));
    second.leases.clear();
    let second = start(&stage.home, second, stage.surroundings()).await.unwrap().run;
    assert_eq!(stage.home.find("last").unwrap(), second);
    assert_eq!(code("dr-003"), "run-ambiguous");
}

/// A drill in which no engine runs has no journal, but its report is read like every other one.
#[tokio::test]
async fn a_drill_without_a_run_is_found_by_those_who_read() {
    let stage = Stage::new();
    assert_eq!(stage.home.find_to_read("last").unwrap_err().code(), "run-unknown");
    let run = waiting(&stage).await.run;
    assert_eq!(stage.home.find_to_read("last").unwrap(), run);
    let held = stage.home.new_name("standby-lag", Timestamp::now()).unwrap();
    assert_eq!(stage.home.find_to_read("standby").unwrap_err().code(), "run-unknown", "it has left nothing to read");
    fs::write(stage.home.report(&held), "{}").unwrap();
    assert_eq!(stage.home.find_to_read("standby").unwrap(), held);
    // The clock of files may be some milliseconds behind the one of journals.
    let later = Timestamp::now() + SignedDuration::from_secs(1);
    fs::File::open(stage.home.run_folder(&held)).unwrap().set_modified(later.into()).unwrap();
    assert_eq!(stage.home.find_to_read("last").unwrap(), held);
    assert_eq!(stage.home.find("last").unwrap(), run, "it is no run of an engine");
    let series = stage.home.path().join("runs").join(format!("{run}-series"));
    fs::create_dir(&series).unwrap();
    fs::write(series.join("report.json"), "{}").unwrap();
    assert_eq!(stage.home.find_to_read("dr-003").unwrap(), run, "the report over several drills is no drill");
}

#[tokio::test]
async fn a_run_keeps_to_its_plan_and_knows_which_files_were_changed() {
    let stage = Stage::new();
    let file = |name: &str| stage.home.path().join(name);
    let source = |name: &str, text: &str| {
        fs::write(file(name), text).unwrap();
        SourceFile { name: file(name).display().to_string(), text: text.to_owned() }
    };
    fs::write(file("dr-003.yaml"), "lifeboat: 1\n").unwrap();
    let called = vec![source("b.yaml", "id: b\n"), source("c.yaml", "id: c\n")];
    let new = NewRun { runbook_path: Some(file("dr-003.yaml")), called_sources: called, ..stage.new_run(&chain(1)) };
    stage.plugin.act("step-0", Act::Hang);
    let run = start(&stage.home, new, stage.surroundings_until_it_hangs()).await.unwrap().run;
    let check = |wanted: &[(&str, bool)]| {
        let found: Vec<_> = stage.home.changed_files(&run).into_iter().map(|file| (file.path, file.is_gone)).collect();
        assert_eq!(found, wanted.iter().map(|(name, gone)| (file(name), *gone)).collect::<Vec<_>>());
    };
    check(&[]);
    fs::write(file("dr-003.yaml"), "lifeboat: 1\nid: other\n").unwrap();
    check(&[("dr-003.yaml", false)]);
    fs::write(file("c.yaml"), "id: other\n").unwrap();
    fs::remove_file(file("b.yaml")).unwrap();
    check(&[("dr-003.yaml", false), ("b.yaml", true), ("c.yaml", false)]);
    let kept = |name: &str| fs::read_to_string(stage.home.run_folder(&run).join("called").join(name)).unwrap();
    assert_eq!([kept("1-b.yaml"), kept("2-c.yaml")], ["id: b\n", "id: c\n"]);
    stage.plugin.act("step-0", Act::Succeed);
    let plan = stage.home.load(&run).unwrap().plan;
    let ended = resume(&stage.home, &run, stage.surroundings()).await.unwrap();
    assert_eq!((ended.how, plan), (How::Finished(Outcome::Succeeded), chain(1)));
}

#[tokio::test]
async fn a_list_that_can_not_be_had_fails_its_step_and_leaves_the_journal_sound() {
    let too_many = vec![0; ITEMS_MAX + 1];
    for (list, over, says) in [
        (json!(too_many), "inputs.list", "at most 100000 are allowed"),
        (json!([]), "inputs.list[7]", "its `for_each` has no value"),
        (json!("text"), "inputs.list", "the value is not a list"),
    ] {
        let stage = Stage::new();
        let each = Each { over: Expression::new(over), item: Type::Json, max_parallel: 8, allow_empty: false };
        let copy = Step { each: Some(each), ..uses("copy", &[], Repeat::Idempotent) };
        let new = NewRun { inputs: json!({ "list": list }), ..stage.new_run(&plan(vec![copy])) };
        let ended = start(&stage.home, new, stage.surroundings()).await.unwrap();
        assert_eq!(
            (ended.how.clone(), failure_code(&ended, 0).as_str()),
            (How::Finished(Outcome::Failed), "run-render")
        );
        let loaded = stage.home.load(&ended.run).unwrap();
        assert_eq!((loaded.run, loaded.torn_bytes), (ended.state.clone(), 0));
        let failure = ended.state.steps[0].state.failure().unwrap();
        assert!(failure.reason().message.contains(says), "{failure:?}");
    }
}
