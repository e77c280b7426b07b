//! What compiling a runbook of 10,000 steps costs, all checks included. One line of JSON: `{"name", "value", "unit", "ratio",
//! "bar", "met"}`; the ratio is against reading the same file as plain YAML, so that it can be held against another machine.
#![expect(clippy::print_stdout, reason = "the line on stdout is the result")]
#![expect(clippy::disallowed_methods, reason = "the core has no clock; its benchmark needs one")]

use std::{fmt::Write, hint::black_box, time::Instant};

use lifeboat_core::{
    action::{Catalogue, Effect},
    diagnostic::SourceFile,
    runbook::compile,
    sketch::{Repeat, action},
};

const STEPS: usize = 10_000;
const ROUNDS: usize = 7;
const BAR_MS: f64 = 250.0;

fn main() {
    let (file, catalogue) = (file(), catalogue());
    let compiled = median_ms(|| {
        let compiled = black_box(compile(&file, &catalogue));
        assert!(compiled.plan.is_some(), "{:?}", compiled.diagnostics.first());
    });
    let read = median_ms(|| {
        let value: serde_json::Value = serde_yaml::from_str(&file.text).expect("YAML");
        black_box(value);
    });
    let result = serde_json::json!({
        "name": "compile of 10,000 steps", "value": compiled, "unit": "ms", "ratio": compiled / read, "bar": BAR_MS,
        "met": compiled <= BAR_MS,
    });
    println!("{result}");
}

fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut samples: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    samples[ROUNDS / 2]
}

/// A chain in which every step uses an output of the one before it.
fn file() -> SourceFile {
    let head = "lifeboat: 1\nid: T\nname: T\ntargets: { db: { kind: postgres } }\nsteps:\n";
    let mut text = head.to_owned();
    for step in 0..STEPS {
        let table =
            if step == 0 { "public.t".to_owned() } else { format!("${{{{ steps.s{}.outputs.xid }}}}", step - 1) };
        writeln!(text, "  - {{ id: s{step}, uses: test/find, with: {{ server: db, table: \"{table}\" }} }}")
            .expect("a string");
    }
    SourceFile::from_bytes("bench.yaml", text.as_bytes()).expect("UTF-8")
}

fn catalogue() -> Catalogue {
    let parameters = [("server", "target<postgres:read>"), ("table", "string")];
    Catalogue::new([action("test/find", Effect::Read, Repeat::Idempotent, &parameters, &[("xid", "string")])])
}
