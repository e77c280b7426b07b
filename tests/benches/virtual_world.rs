//! Whole runs in the virtual world, with faults: of a plain runbook of ten steps on one core, and of each shipped runbook on two.
//! One line of JSON a benchmark. Beside the first: writing and hashing the same events, which every journal has to do.
#![expect(clippy::print_stdout, reason = "the lines on stdout are the result")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has no result")]

use std::time::Instant;

use lifeboat_core::name::RunId;
use lifeboat_runtime::journal::{Journal, read};
use lifeboat_tests::workflow::{settings, shipped, subject, workflows};
use lifeboat_virtual::{Subject, explore, journals};
use serde_json::{Value, json};

const REPETITIONS: usize = 5;
const RUNS: u64 = 2_000;
const RUNS_PER_S: f64 = 5_000.0;
const CASES: u64 = 10_000;
const CASES_S: f64 = 10.0;

fn main() {
    println!("{}", virtual_runs(&subject(&ten_steps())));
    for file in workflows() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        println!("{}", cases(&name, &shipped(&name)));
    }
}

fn virtual_runs(subject: &Subject) -> Value {
    let settings = settings(RUNS, 1);
    let time_s = median(|| assert_eq!(explore(subject, &settings).counterexamples.len(), 0));
    let journals: Vec<_> = journals(subject, &settings).map(|(_, journal)| read(&journal).unwrap().records).collect();
    let run = RunId::new("virtual").unwrap();
    let write_s = median(|| {
        for records in &journals {
            let mut journal = Journal::begin(Vec::new(), &run);
            for record in records {
                journal.append(record.at, std::slice::from_ref(&record.event)).unwrap();
            }
        }
    });
    #[expect(clippy::cast_precision_loss, reason = "some thousands are exact")]
    let per_s = RUNS as f64 / time_s;
    json!({
        "name": "virtual-runs", "value": per_s.round(), "unit": "runs/s",
        "baseline": "writing and hashing the same events", "baseline_value": rounded(write_s),
        "ratio": rounded(time_s / write_s), "bar": RUNS_PER_S, "met": per_s >= RUNS_PER_S,
    })
}

fn cases(file: &str, subject: &Subject) -> Value {
    let begin = Instant::now();
    let explored = explore(subject, &settings(CASES, 2));
    let time_s = begin.elapsed().as_secs_f64();
    assert_eq!(explored.counterexamples.len(), 0);
    json!({
        "name": format!("test-{}-10000-cases", file.trim_end_matches(".yaml")), "value": rounded(time_s), "unit": "s", "bar": CASES_S, "met": time_s <= CASES_S,
    })
}

fn ten_steps() -> String {
    let mut text = String::from(
        "lifeboat: 1\nid: TEN\nname: Ten steps\ntargets: { primary: { kind: postgres, access: write } }\nsteps:\n",
    );
    for number in 0..10 {
        let action = if number % 3 == 2 { "pg/switch-wal" } else { "pg/wait-ready" };
        text +=
            &format!("  - id: step_{number}\n    uses: {action}\n    with: {{ server: primary }}\n    timeout: 5m\n");
        text += "    retry: { attempts: 3, on: [transient] }\n";
    }
    text
}

/// The median time of some repetitions, in seconds.
fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[REPETITIONS / 2]
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
