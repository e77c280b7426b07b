//! What is asked before each change that a call makes: whether three leases are still the run's own. Beside it: reading three
//! files of that size.

use std::{
    fs,
    hint::black_box,
    sync::{Arc, Mutex},
    time::Duration,
};

use lifeboat_core::{input::Done, name::RunId, sketch::chain};
use lifeboat_runtime::{
    home::Home,
    invoke::{Answer, Invoke, Pending, Request},
    session::{Surroundings, start},
};
use serde_json::{Value, json};

use crate::{
    chain::{new_run, surroundings},
    measure::{folder, median, rounded},
};

const CHECKS: usize = 10_000;
const LEASES: [&str; 3] =
    ["postgres:7423000000000000001", "machine:local:/srv/lifeboat/work", "endpoint:http://proxy/"];
/// Of the bare reads, which it cannot do without.
const BAR_RATIO: f64 = 1.5;

/// Asks again and again within a call.
struct Asking(Mutex<Duration>);

impl Invoke for Asking {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, request: Request) -> Pending<Answer> {
        *self.0.lock().unwrap() = median(CHECKS, || request.fence.check().unwrap());
        let done = Done { outputs: json!({}), summary: String::new() };
        Box::pin(std::future::ready(Answer::Ran(Ok(done))))
    }
}

pub(crate) fn measure() -> Value {
    let folder = folder();
    let home = Home::open(folder.path().join("home")).unwrap();
    let asking = Arc::new(Asking(Mutex::default()));
    let mut new = new_run(RunId::new("dr-003-20261121-7f3a").unwrap(), chain(1));
    new.leases = LEASES.map(str::to_owned).to_vec();
    let surroundings = Surroundings { invoke: asking.clone(), ..surroundings() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(start(&home, new, surroundings)).unwrap();
    let files: Vec<_> = fs::read_dir(home.path().join("leases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), LEASES.len());
    let bare = median(CHECKS, || files.iter().for_each(|file| drop(black_box(fs::read(file).unwrap()))));
    let value = asking.0.lock().unwrap().as_secs_f64() * 1e6;
    let bare = bare.as_secs_f64() * 1e6;
    json!({
        "name": "fence-of-3-leases", "value": rounded(value, 2), "unit": "us",
        "baseline": "reading three files of that size", "baseline_value": rounded(bare, 2),
        "ratio": rounded(value / bare, 3), "bar": BAR_RATIO, "met": value <= BAR_RATIO * bare,
    })
}
