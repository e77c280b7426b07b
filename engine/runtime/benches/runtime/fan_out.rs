//! A step that is done for each item of a list, by the engine that ships over a store in memory: the time of one item, with a thousand
//! and with a hundred thousand of them. Whatever looks at all items at each event shows here.

use lifeboat_core::{
    event::Outcome,
    expression::Expression,
    name::RunId,
    plan::{Each, Plan, Step},
    sketch::{Repeat, plan, uses},
    types::Type,
};
use lifeboat_runtime::session::{How, NewRun, start};
use lifeboat_virtual::MemoryStore;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{
    chain::{new_run, surroundings},
    measure::{median, rounded},
};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const REPETITIONS: usize = 3;
const RATIO_BAR: f64 = 1.5;

pub(crate) fn measure() -> Value {
    // One thread: what else the machine does to several of them is no cost of a list.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let per_item = |items| median(REPETITIONS, || run(&runtime, items)).as_secs_f64() * 1e6 / as_float(items);
    let per_item_us = SIZES.map(per_item);
    let ratio = per_item_us[2] / per_item_us[0];
    json!({
        "name": "fan-out", "value": rounded(per_item_us[2], 1), "unit": "us/item of 100,000",
        "baseline": "an item of 1,000", "baseline_value": rounded(per_item_us[0], 1),
        "of_10_000": rounded(per_item_us[1], 1),
        "ratio": rounded(ratio, 3), "bar": RATIO_BAR, "met": ratio <= RATIO_BAR,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a hundred thousand is exact")]
fn as_float(number: usize) -> f64 {
    number as f64
}

fn fan_out() -> Plan {
    let each =
        Some(Each { over: Expression::new("inputs.list"), item: Type::Json, max_parallel: 16, allow_empty: false });
    plan(vec![Step { each, ..uses("copy", &[], Repeat::Idempotent) }])
}

fn run(runtime: &Runtime, items: usize) {
    let inputs = json!({ "list": (0..items).collect::<Vec<_>>() });
    let new = NewRun { inputs, ..new_run(RunId::new("dr-003-20261121-7f3a").unwrap(), fan_out()) };
    let ended = runtime.block_on(start(&MemoryStore::default(), new, surroundings())).unwrap();
    assert_eq!(ended.how, How::Finished(Outcome::Succeeded));
}
