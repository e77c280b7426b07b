//! One plugin call: instantiate, call, drop. Prints a JSON line with the median and the bar.

use std::{sync::Arc, time::Instant};

use lifeboat_core::{
    bindings::Bindings,
    event::Mode,
    input::{Call, Purpose},
    name::{ActionName, RunId, StepId},
    sketch::plan,
};
use lifeboat_host::{Component, Host, HostOptions, Limits};
use lifeboat_runtime::invoke::{Answer, Deadline, Invoke, Request, Unfenced};
use serde_json::json;
use tokio_util::sync::CancellationToken;

const BAR_US: f64 = 100.0;
const CALLS: usize = 5_000;

fn request() -> Request {
    Request {
        call: Call {
            step: StepId::new("step").expect("a name"),
            attempt: 1,
            purpose: Purpose::Run,
            action: ActionName::new("hostile/nothing").expect("a name"),
            parameters: json!({}),
            grants: [].into(),
            deadline: None,
        },
        run: RunId::new("run").expect("a name"),
        mode: Mode::Real,
        deadline: Deadline::fixed(None),
        cancel: CancellationToken::new(),
        notes: Arc::new(|_| {}),
        fence: Arc::new(Unfenced),
    }
}

fn bound(cache: &std::path::Path) -> Arc<dyn Invoke> {
    let plugins = vec![Component { name: "hostile".to_owned(), bytes: lifeboat_bundle::HOSTILE.to_vec() }];
    let options = HostOptions { cache: cache.to_owned(), plugins, limits: Limits::default() };
    Host::new(options).and_then(|host| host.bind(&plan(Vec::new()), Bindings::default())).expect("the plugin loads")
}

#[expect(clippy::print_stdout, reason = "the result is this program's output")]
fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let invoke = bound(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let median_us = runtime.block_on(async {
        let mut samples = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            let request = request();
            let start = Instant::now();
            let answer = invoke.invoke(request).await;
            samples.push(start.elapsed());
            assert!(matches!(answer, Answer::Ran(Ok(_))), "{answer:?}");
        }
        samples.sort();
        samples[CALLS / 2].as_secs_f64() * 1e6
    });
    let result = json!({
        "name": "plugin-call", "value": (median_us * 10.0).round() / 10.0, "unit": "us", "bar": BAR_US,
        "ratio": (median_us / BAR_US * 1000.0).round() / 1000.0, "calls": CALLS,
    });
    println!("{result}");
}
