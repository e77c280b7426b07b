//! Loading a run with a journal of 100,000 events: read, chain of hashes checked, folded, ready to go on. Beside it: the same
//! lines, only parsed as JSON.

use std::{fs, hint::black_box};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, KnownBy},
    failure::{Failure, Reason},
    name::{RunId, StepId},
    plan::Plan,
};
use lifeboat_runtime::{
    driver::interrupted,
    home::Home,
    journal::{Journal, Recorded},
};
use serde_json::{Value, json};

use crate::{
    measure::{folder, median, rounded},
    plans::{chain, started},
};

const STEPS: usize = 1_000;
const ATTEMPTS: u32 = 34;
const REPETITIONS: usize = 5;
const BAR_S: f64 = 1.0;

pub(crate) fn measure() -> Value {
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
    json!({
        "name": "resume-100000-events", "value": rounded(value, 6), "unit": "s",
        "baseline": "parsing the same lines", "baseline_value": rounded(parse.as_secs_f64(), 6),
        "ratio": rounded(value / parse.as_secs_f64(), 3), "bar": BAR_S, "met": value <= BAR_S,
    })
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
