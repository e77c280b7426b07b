//! Medians.

use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The median time of so many repetitions. `prepare` is not counted.
pub(crate) fn median<T>(repetitions: usize, mut prepare: impl FnMut() -> T, mut work: impl FnMut(T)) -> Duration {
    let mut times: Vec<Duration> = (0..repetitions)
        .map(|_| {
            let prepared = prepare();
            let start = Instant::now();
            work(prepared);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[repetitions / 2]
}

/// A folder on the disk of the build, not in memory as `/tmp` may be.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Seconds with microseconds, ratios with thousandths.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let factor = 10_f64.powi(digits);
    (value * factor).round() / factor
}
