//! Actions that use more than they should: time, memory, stack, log.

use std::hint::black_box;

use lifeboat_plugin::{Failure, Outcome, Runtime, runtime::Level};
use serde_json::json;

const CHUNK_BYTES: usize = 16 << 20;
const LINES: u32 = 100_000;

pub(crate) fn spin() -> Result<Outcome, Failure> {
    let mut count = 0_u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

pub(crate) fn trap() -> Result<Outcome, Failure> {
    panic!("this plugin panics on purpose");
}

pub(crate) fn recurse() -> Result<Outcome, Failure> {
    Outcome::new(json!({}), deeper(black_box(0)).to_string())
}

fn deeper(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if frame[0] == u64::MAX { 0 } else { deeper(depth + 1) + black_box(frame)[63] }
}

pub(crate) fn eat_memory() -> Result<Outcome, Failure> {
    let mut eaten: Vec<Vec<u8>> = Vec::new();
    loop {
        eaten.push(black_box(vec![1; CHUNK_BYTES]));
    }
}

pub(crate) fn sleep_for_ever(caps: &impl Runtime) -> Result<Outcome, Failure> {
    loop {
        caps.sleep_ms(60_000);
    }
}

pub(crate) fn flood_log(caps: &impl Runtime) -> Result<Outcome, Failure> {
    let line = "x".repeat(10_000);
    let fields = [("line".to_owned(), line.clone())];
    for number in 0..LINES {
        caps.log(Level::Error, &line, &fields);
        caps.progress(number.into(), Some(LINES.into()), "lines", &line);
    }
    Outcome::new(json!({}), "flooded the log")
}
