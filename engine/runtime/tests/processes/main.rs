//! Engines in processes of their own, which are killed, or whose disk is full. Without a harness: this program is the test, and
//! it starts itself again as the engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![expect(clippy::print_stdout, reason = "the engine tells the test by its output how far it is")]

#[expect(dead_code, reason = "the other tests use more of it")]
#[path = "../runtime/scripted.rs"]
mod scripted;

use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use jiff::SignedDuration;
use lifeboat_core::{
    event::Outcome,
    failure::Failure,
    input::Purpose,
    operator::Command as Operator,
    plan::Plan,
    sketch::{Repeat, plan, uses},
};
use lifeboat_runtime::{
    home::{Home, Standing},
    invoke::{Answer, Invoke, Pending, Request},
    journal,
    lease::Claim,
    request::{Told, tell, tell_within},
    session::{How, Surroundings, resume, start},
};
use scripted::{Act, Stage};

const HOME: &str = "LIFEBOAT_TEST_HOME";
const ROLE: &str = "LIFEBOAT_TEST_ROLE";

#[tokio::main]
async fn main() {
    match env::var(ROLE).as_deref() {
        Ok("hangs") => hang().await,
        Ok("fills-the-disk") => fill_the_disk().await,
        Ok("asks-its-fence") => ask_the_fence().await,
        Ok(other) => panic!("`{other}` is no part in this test"),
        Err(_) => {
            a_killed_engine_lets_go_of_its_run_and_nothing_is_repeated().await;
            a_run_goes_on_after_its_disk_was_full().await;
            the_leases_of_a_killed_engine_are_taken_over_and_those_of_a_live_one_are_not().await;
            a_suspended_engine_is_told_nothing_that_it_does_when_it_wakes_up().await;
            an_engine_in_another_process_notices_that_its_lease_is_lost();
        }
    }
}

/// The stage of an engine that was started by this test.
fn engine_stage() -> Stage {
    Stage::at(Home::open(env::var_os(HOME).unwrap()).unwrap())
}

/// An engine in another process, which does not outlive the test that started it.
struct Engine(Child);

impl Engine {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Both fail where it has ended before, which is all that is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts this program again in that role, after those shell commands, with its state in that folder.
fn engine(before: &str, role: &str, home: &Path) -> Engine {
    let script = format!("{before} exec \"$0\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(env::current_exe().unwrap());
    command.env(HOME, home).env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Engine(command.spawn().unwrap())
}

/// Waits until the engine says so; false where it ends without.
fn wait_for(engine: &mut Engine, word: &str) -> bool {
    let output = BufReader::new(engine.0.stdout.take().unwrap());
    output.lines().any(|line| line.unwrap().contains(word))
}

fn one_step() -> Plan {
    plan(vec![uses("merge", &[], Repeat::Observable)])
}

async fn hang() {
    let stage = engine_stage();
    stage.plugin.act("merge", Act::HangAfterEffect);
    let hanging = async {
        stage.plugin.hangs.cancelled().await;
        println!("HANGS");
    };
    let (ended, ()) = tokio::join!(start(&stage.home, stage.new_run(&one_step()), stage.surroundings()), hanging);
    panic!("it should have been killed: {ended:?}");
}

async fn a_killed_engine_lets_go_of_its_run_and_nothing_is_repeated() {
    let stage = Stage::new();
    let mut started = engine("", "hangs", stage.home.path());
    let hangs = wait_for(&mut started, "HANGS");
    let listed = stage.home.runs().unwrap().remove(0);
    started.kill();
    assert!(hangs);
    assert!(listed.standing == Standing::Live && listed.engine.is_some(), "{listed:?}");
    assert_eq!(stage.home.runs().unwrap()[0].standing, Standing::Resumable);

    stage.plugin.happened("merge");
    let ended = resume(&stage.home, &listed.run, stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
    assert_eq!((stage.plugin.calls("merge", Purpose::Run), stage.plugin.calls("merge", Purpose::Observe)), (0, 1));
}

/// A step that fails so often that the journal outgrows a small disk, while the plan stays small.
fn stubborn() -> Plan {
    let mut plan = plan(vec![uses("stubborn", &[], Repeat::Idempotent)]);
    plan.steps[0].retry.attempts = 50;
    plan.steps[0].retry.backoff = SignedDuration::ZERO;
    plan
}

async fn fill_the_disk() {
    let stage = engine_stage();
    stage.plugin.act("stubborn", Act::FailForNow);
    let error = start(&stage.home, stage.new_run(&stubborn()), stage.surroundings()).await.unwrap_err();
    println!("REFUSED {}", error.code());
}

/// Sends the process a signal.
fn signal(engine: &Engine, signal: &str) {
    let status = Command::new("kill").args([signal, &engine.0.id().to_string()]).status().unwrap();
    assert!(status.success());
}

async fn a_suspended_engine_is_told_nothing_that_it_does_when_it_wakes_up() {
    let stage = Stage::new();
    let mut started = engine("", "hangs", stage.home.path());
    assert!(wait_for(&mut started, "HANGS"));
    let run = stage.home.runs().unwrap().remove(0).run;
    let pause = |reason: &str| Operator::Pause { reason: Some(reason.to_owned()) };

    signal(&started, "-STOP");
    let told = tell_within(Duration::from_secs(1), &stage.home, &run, pause("asleep")).await.unwrap();
    signal(&started, "-CONT");
    let Told::Refused(refusal) = &told else { panic!("nobody was there: {told:?}") };
    assert_eq!(refusal.code, "run-control");
    let says = format!(
        "stopped by a signal. The request has expired and will not be carried out; continue it with `kill -CONT {}`",
        started.0.id()
    );
    assert!(refusal.message.contains(&says), "{}", refusal.message);

    let told = tell(&stage.home, &run, pause("awake")).await.unwrap();
    assert!(matches!(&told, Told::Live(records) if records.len() == 1), "{told:?}");
    let journal = fs::read_to_string(stage.home.journal(&run)).unwrap();
    assert!(journal.contains("awake") && !journal.contains("asleep"), "{journal}");
    started.kill();
}

async fn a_run_goes_on_after_its_disk_was_full() {
    let stage = Stage::new();
    let small = "trap '' XFSZ; ulimit -f 8;";
    let mut started = engine(small, "fills-the-disk", stage.home.path());
    let refused = wait_for(&mut started, "REFUSED run-state-disk");
    started.0.wait().unwrap();
    assert!(refused);
    let listed = stage.home.runs().unwrap().remove(0);
    assert_eq!(listed.standing, Standing::Resumable);
    let journal = stage.home.journal(&listed.run);
    let summary = journal::verify(&journal).unwrap();
    assert!(summary.records > 3 && summary.torn_bytes == 0, "{summary:?}");

    let ended = resume(&stage.home, &listed.run, stage.surroundings()).await.unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
    assert!(journal::verify(&journal).unwrap().records > summary.records);
}

fn claim() -> Claim {
    Claim { user: "alice".to_owned(), reason: "killed by a test".to_owned(), holder_is_dead: false }
}

async fn the_leases_of_a_killed_engine_are_taken_over_and_those_of_a_live_one_are_not() {
    let stage = Stage::new();
    let mut started = engine("", "hangs", stage.home.path());
    let hangs = wait_for(&mut started, "HANGS");
    let alive = stage.home.take_over("last", &claim()).map_err(|error| error.code());
    started.kill();
    assert!(hangs);
    assert_eq!(alive, Err("run-lease-held"));

    let run = stage.home.runs().unwrap().remove(0).run;
    let other = start(&stage.home, stage.new_run(&one_step()), stage.surroundings()).await.unwrap_err();
    assert_eq!(other.code(), "run-lease-unfinished");
    assert_eq!(stage.home.take_over("last", &claim()).unwrap()[0].take_over.from.pid, started.0.id());
    let refusal = resume(&stage.home, &run, stage.surroundings()).await.unwrap_err();
    assert!(refusal.code() == "run-lease-lost" && refusal.to_string().contains("killed by a test"), "{refusal}");
    let other = start(&stage.home, stage.new_run(&one_step()), stage.surroundings()).await.unwrap();
    assert_eq!(other.how, How::Finished(Outcome::Succeeded));
}

/// Works until a line is said to it, and then asks whether it may change something.
struct Asking;

impl Invoke for Asking {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, request: Request) -> Pending<Answer> {
        Box::pin(async move {
            let line = tokio::task::spawn_blocking(|| {
                println!("WORKS");
                std::io::stdin().lines().next().unwrap().unwrap()
            });
            line.await.unwrap();
            let lost = request.fence.check().unwrap_err();
            println!("FENCED {}: {}", lost.code, lost.message);
            Answer::Ran(Err(Failure::Denied(lost)))
        })
    }
}

async fn ask_the_fence() {
    let stage = engine_stage();
    let surroundings = Surroundings { invoke: Arc::new(Asking), ..stage.surroundings() };
    let ended = start(&stage.home, stage.new_run(&one_step()), surroundings).await.unwrap();
    println!("ENDED {:?}", ended.how);
}

/// The engine is alive on this machine, so no command would do this: another machine with the same state folder did.
fn an_engine_in_another_process_notices_that_its_lease_is_lost() {
    let stage = Stage::new();
    let mut started = engine("", "asks-its-fence", stage.home.path());
    let mut lines = BufReader::new(started.0.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "WORKS");
    let lease = fs::read_dir(stage.home.path().join("leases")).unwrap().next().unwrap().unwrap().path();
    let taken = fs::read_to_string(&lease).unwrap();
    fs::write(&lease, format!("{taken}{}", taken.replacen("\"token\":1", "\"token\":2", 1))).unwrap();
    started.0.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let said = lines.next().unwrap().unwrap();
    assert!(said.starts_with("FENCED run-lease-lost: ") && said.contains("the newest is 2"), "{said}");
    assert_eq!(lines.next().unwrap().unwrap(), "ENDED Finished(Failed)");
    started.0.wait().unwrap();
}
