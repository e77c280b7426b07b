//! Loading a run with a journal of 100,000 events: read, chain of hashes checked, folded, ready to continue. Beside it: the same
//! lines, only parsed as JSON.

use std::{env, fs, hint::black_box, process::Command};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, KnownBy},
    failure::{Failure, Reason},
    name::{RunId, StepId},
    plan::Plan,
    sketch::{chain, started},
};
use lifeboat_runtime::{
    driver::interrupted,
    home::Home,
    journal::{Journal, Recorded},
};
use serde_json::{Value, json};

use crate::measure::{folder, median, rounded};

const STEPS: usize = 1_000;
const ATTEMPTS: u32 = 34;
const REPETITIONS: usize = 5;
const BAR_S: f64 = 1.0;

const BAR_MIB: f64 = 200.0;
/// Set for the process that only loads a run: the state folder and, behind a line break, the run.
const LOADS: &str = "LIFEBOAT_BENCH_LOADS";

/// Whether this process was started to load a run; it has then said how much memory that took.
pub(crate) fn is_loader() -> bool {
    let Ok(order) = env::var(LOADS) else { return false };
    let (home, run) = order.split_once('\n').unwrap();
    let loaded = Home::open(home).unwrap().load(&RunId::new(run).unwrap()).unwrap();
    black_box(interrupted(&loaded.run));
    println!("{}", peak_kib());
    true
}

/// The most memory that this process ever had, as Linux counts it.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Peak memory of a fresh process that loads the run, in MiB.
fn memory_of_loading(home: &Home, run: &RunId) -> f64 {
    let order = format!("{}\n{run}", home.path().display());
    let output = Command::new(env::current_exe().unwrap()).env(LOADS, order).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap() / 1024.0
}

/// Time and memory.
pub(crate) fn measure() -> [Value; 2] {
    let folder = folder();
    let home = Home::open(folder.path().join("home")).unwrap();
    let plan = chain(STEPS);
    let run = home.new_run_id(&plan, Timestamp::now()).unwrap();
    let events = write(&home, &run, &plan);
    assert!(events >= 100_000, "{events}");
    let load = median(REPETITIONS, || {
        let loaded = home.load(&run).unwrap();
        assert_eq!(loaded.events.len(), events);
        black_box(interrupted(&loaded.run));
    });
    let text = fs::read_to_string(home.journal(&run)).unwrap();
    let parse = median(REPETITIONS, || {
        let records: Vec<Recorded> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        black_box(records);
    });
    let value = load.as_secs_f64();
    let time = json!({
        "name": "resume-100000-events", "value": rounded(value, 6), "unit": "s",
        "baseline": "parsing the same lines", "baseline_value": rounded(parse.as_secs_f64(), 6),
        "ratio": rounded(value / parse.as_secs_f64(), 3), "bar": BAR_S, "met": value <= BAR_S,
    });
    let (memory, size) = (memory_of_loading(&home, &run), text.len() as f64 / f64::from(1 << 20));
    let memory = json!({
        "name": "resume-100000-events-memory", "value": rounded(memory, 1), "unit": "MiB",
        "baseline": "the journal's size", "baseline_value": rounded(size, 1),
        "ratio": rounded(memory / size, 3), "bar": BAR_MIB, "met": memory <= BAR_MIB,
    });
    [time, memory]
}

/// Every step fails for the moment again and again, and then succeeds; the last one is still running.
fn write(home: &Home, run: &RunId, plan: &Plan) -> usize {
    let folder = home.run_folder(run);
    fs::write(folder.join("plan.json"), serde_json::to_vec(plan).unwrap()).unwrap();
    fs::write(folder.join("runbook.yaml"), "").unwrap();
    fs::write(folder.join("bindings.yaml"), "").unwrap();
    let mut journal = Journal::begin(Vec::new(), run);
    let mut events = vec![Event::RunStarted(started(plan, run))];
    events.extend(plan.steps.iter().flat_map(|step| attempts(&step.id)));
    events.pop();
    journal.append(Timestamp::UNIX_EPOCH, &events).unwrap();
    fs::write(home.journal(run), journal.medium()).unwrap();
    events.len()
}

fn attempts(step: &StepId) -> Vec<Event> {
    let failure = Failure::Transient(Reason::new("pg-connection-lost", "the server closed the connection"));
    let mut events = Vec::new();
    for attempt in 1..=ATTEMPTS {
        let step = step.clone();
        let parameters = json!({ "server": "primary", "attempt": attempt });
        events.push(Event::StepStarted { step: step.clone(), attempt, parameters, deadline: None });
        if attempt < ATTEMPTS {
            events.push(Event::AttemptFailed { step: step.clone(), attempt, failure: failure.clone() });
            events.push(Event::RetryScheduled { step, until: Timestamp::UNIX_EPOCH });
        } else {
            let (outputs, summary, known_by) = (json!({ "rows": 7 }), "7 rows".to_owned(), KnownBy::Answer);
            events.push(Event::StepSucceeded { step, attempt, outputs, summary, known_by });
        }
    }
    events
}
