//! Whole runs of a ten-step runbook in the virtual world, with failures, a crash and a resumption. Beside it: hashing and
//! writing the same events as JSON, which every journal has to do.

use futures::executor::block_on;
use lifeboat_core::{event::Outcome, input::Input, name::RunId, plan::Plan, run::Run};
use lifeboat_runtime::{
    driver::{drive, fold, interrupted},
    journal::{Journal, read},
    session::How,
};
use serde_json::{Value, json};

use crate::{
    measure::{median, rounded},
    plans::{Repeat, id, plan, started, uses},
    virtual_world::{Crash, Systems, VirtualWorld},
};

const RUNS: u64 = 1_000;
const REPETITIONS: usize = 5;
const BAR_PER_S: f64 = 5_000.0;

pub(crate) fn measure() -> Value {
    let plan = ten_steps();
    let mut journals = Vec::new();
    let time = median(REPETITIONS, || journals = (0..RUNS).map(|seed| run_with_a_crash(&plan, seed)).collect());
    let records: Vec<_> = journals.iter().map(|journal| read(journal).unwrap().records).collect();
    let write = median(REPETITIONS, || {
        for records in &records {
            let mut journal = Journal::begin(Vec::new(), &run_id());
            for record in records {
                journal.append(record.at, std::slice::from_ref(&record.event)).unwrap();
            }
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "a thousand is exact")]
    let per_second = RUNS as f64 / time.as_secs_f64();
    json!({
        "name": "virtual-runs", "value": per_second.round(), "unit": "runs/s",
        "baseline": "writing and hashing the same events", "baseline_value": rounded(write.as_secs_f64(), 6),
        "ratio": rounded(time.as_secs_f64() / write.as_secs_f64(), 3), "bar": BAR_PER_S, "met": per_second >= BAR_PER_S,
    })
}

fn run_id() -> RunId {
    RunId::new("dr-003-20261121-7f3a").unwrap()
}

fn ten_steps() -> Plan {
    let repeat = |index: usize| if index % 3 == 2 { Repeat::Observable } else { Repeat::Idempotent };
    let needs = |index: usize| if index == 0 { Vec::new() } else { vec![index - 1] };
    plan((0..10).map(|index| uses(&format!("step-{index}"), &needs(index), repeat(index))).collect())
}

fn run_with_a_crash(plan: &Plan, seed: u64) -> Vec<u8> {
    let mut systems = Systems::of(plan);
    systems.flaky.insert(id(&format!("step-{}", seed % 10)), 2);
    let crash = Crash::After(seed % 12 + 1);
    let mut world = VirtualWorld::new(seed, crash, Journal::begin(Vec::new(), &run_id()), systems);
    let start = vec![Input::Start(Box::new(started(plan, &run_id())))];
    block_on(drive(plan, Run::new(plan), start, &mut world)).unwrap();

    let (journal, systems) = world.end();
    let contents = read(&journal).unwrap();
    let run = fold(plan, &contents.records).unwrap();
    let opening = interrupted(&run);
    let journal = Journal::go_on(journal, contents.end, contents.torn_bytes).unwrap();
    let mut world = VirtualWorld::new(seed + 1, Crash::Never, journal, systems);
    let (_, how) = block_on(drive(plan, run, opening, &mut world)).unwrap();
    assert_eq!(how, How::Finished(Outcome::Succeeded));
    world.end().0
}
