//! Medians.

use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The median time of so many repetitions.
pub(crate) fn median(repetitions: usize, mut work: impl FnMut()) -> Duration {
    median_of((0..repetitions).map(|_| time(&mut work)).collect())
}

/// The one in the middle.
pub(crate) fn median_of(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How long it takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
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
