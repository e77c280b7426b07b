//! A thousand steps in a chain that do nothing, journalled, beside a thousand bare writes of the same size with `fdatasync`.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    sync::Arc,
};

use jiff::Timestamp;
use lifeboat_core::{
    event::{Mode, Outcome, Person},
    input::Done,
    name::RunId,
    plan::Plan,
    sketch::chain,
};
use lifeboat_runtime::{
    home::Home,
    invoke::{Answer, Invoke, Pending, Request},
    people::Nobody,
    report::Silent,
    session::{How, NewRun, Surroundings, start},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::measure::{folder, median_of, rounded, time};

const STEPS: usize = 1_000;
const REPETITIONS: usize = 5;
const RATIO_BAR: f64 = 1.5;
const ALLOWANCE_S: f64 = 0.1;

struct NoOp;

impl Invoke for NoOp {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, _request: Request) -> Pending<Answer> {
        let done = Done { outputs: json!({}), summary: String::new() };
        Box::pin(std::future::ready(Answer::Ran(Ok(done))))
    }
}

/// The two take turns, so that a disk which is busy with other things is busy for both.
pub(crate) fn measure() -> Value {
    let folder = folder();
    let home = Home::open(folder.path().join("home")).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut runs, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let plan = chain(STEPS);
        let new = new_run(home.new_run_id(&plan, Timestamp::now()).unwrap(), plan);
        let journal = home.journal(&new.run);
        runs.push(time(|| {
            let ended = runtime.block_on(start(&home, new, surroundings())).unwrap();
            assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
        }));
        let journal_bytes = usize::try_from(journal.metadata().unwrap().len()).unwrap();
        let block = vec![b'x'; journal_bytes / STEPS];
        let path = folder.path().join("bare");
        bares.push(time(|| write_bare(&path, &block)));
        fs::remove_file(&path).unwrap();
    }
    let (value, bare) = (median_of(runs).as_secs_f64(), median_of(bares).as_secs_f64());
    let ratio = (value - ALLOWANCE_S).max(0.0) / bare;
    json!({
        "name": "chain-of-1000-steps", "value": rounded(value, 6), "unit": "s",
        "baseline": "1,000 bare write + fdatasync of the same size", "baseline_value": rounded(bare, 6),
        "ratio": rounded(ratio, 3), "ratio_is": "(value - 0.1 s) / baseline", "bar": RATIO_BAR, "met": ratio <= RATIO_BAR,
    })
}

fn write_bare(path: &std::path::Path, block: &[u8]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for _ in 0..STEPS {
        file.write_all(block).unwrap();
        file.sync_data().unwrap();
    }
}

/// A world in which nothing happens.
pub(crate) fn surroundings() -> Surroundings {
    Surroundings {
        invoke: Arc::new(NoOp),
        people: Arc::new(Nobody),
        reporter: Arc::new(Silent),
        stop: CancellationToken::new(),
    }
}

/// A new run of the plan, without inputs and leases.
pub(crate) fn new_run(run: RunId, plan: Plan) -> NewRun {
    NewRun {
        run,
        plan,
        runbook_path: None,
        runbook_source: Vec::new(),
        called_sources: Vec::new(),
        bindings_source: Vec::new(),
        inputs: json!({}),
        targets: BTreeMap::new(),
        leases: Vec::new(),
        mode: Mode::Real,
        who: Person::Engine,
        people: BTreeMap::new(),
        onset: None,
    }
}
