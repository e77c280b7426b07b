//! A step that is done for each item of a list, in the virtual world: the time of one item, with a thousand and with a hundred
//! thousand of them. Whatever looks at all items at each event shows here.

use futures::executor::block_on;
use lifeboat_core::{
    event::Outcome,
    expression::Expression,
    input::Input,
    name::RunId,
    plan::{Each, Plan, Step},
    run::Run,
    types::Type,
};
use lifeboat_runtime::{driver::drive, journal::Journal, session::How};
use serde_json::{Value, json};

use crate::{
    measure::{median, rounded},
    plans::{Repeat, plan, started, uses},
    virtual_world::{Crash, Systems, VirtualWorld},
};

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const REPETITIONS: usize = 3;
const RATIO_BAR: f64 = 1.5;

pub(crate) fn measure() -> Value {
    let per_item_us = SIZES.map(|items| median(REPETITIONS, || run(items)).as_secs_f64() * 1e6 / as_float(items));
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

fn run(items: usize) {
    let (plan, id) = (fan_out(), RunId::new("dr-003-20261121-7f3a").unwrap());
    let mut start = started(&plan, &id);
    start.inputs = json!({ "list": (0..items).collect::<Vec<_>>() });
    let mut world = VirtualWorld::new(7, Crash::Never, Journal::begin(Vec::new(), &id), Systems::of(&plan));
    let (_, how) = block_on(drive(&plan, Run::new(&plan), vec![Input::Start(Box::new(start))], &mut world)).unwrap();
    assert_eq!(how, How::Finished(Outcome::Succeeded));
}
