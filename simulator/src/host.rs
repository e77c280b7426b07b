//! How busy the machine is on which a drill is held: a probe that was never made because the machine had no time for it says
//! nothing about the service.
//!
//! Read before the drill and at its end, and included in its report. Values that a system does not offer (they are in Linux's `/proc`) are
//! left out.

use std::{
    fs,
    hint::black_box,
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

pub use lifeboat_present::drill::{Load, Readiness};
use tokio::{task::spawn_blocking, time::sleep_until};

/// How many timers are watched: four per probe interval.
const TIMERS: u32 = 20;
/// How long a thread tries to run without a pause.
const SPIN: Duration = Duration::from_millis(100);
/// A thread with a smaller share of a processor waits longer than it works.
const SHARE_AT_LEAST: f64 = 0.5;

/// The load now.
pub fn load() -> Load {
    let average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let pressure = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    parse(&average, &pressure)
}

fn parse(average: &str, pressure: &str) -> Load {
    let mut averages = average.split_whitespace().map(|word| word.parse().ok());
    let some = pressure.lines().find_map(|line| line.strip_prefix("some "));
    let tenth = some.and_then(|line| line.split_whitespace().find_map(|word| word.strip_prefix("avg10=")));
    Load {
        load_1m: averages.next().flatten(),
        load_5m: averages.next().flatten(),
        cpu_pressure_10s: tenth.and_then(|percent| percent.parse().ok()),
    }
}

/// Measures for about a second how well the machine can make probes at that interval.
pub async fn readiness(interval: Duration) -> Readiness {
    let share = spawn_blocking(cpu_share).await.ok().flatten();
    judged(share, lateness(interval / 4).await, interval)
}

fn judged(cpu_share: Option<f64>, mut late: Vec<f64>, interval: Duration) -> Readiness {
    late.sort_by(f64::total_cmp);
    let worst = late.last().copied().unwrap_or(0.0);
    Readiness {
        processors: thread::available_parallelism().map_or(1, NonZero::get),
        load: load(),
        timer_late_median_s: late.get(late.len() / 2).copied().unwrap_or(0.0),
        timer_late_worst_s: worst,
        cpu_share,
        too_busy: worst > interval.as_secs_f64() / 2.0 || cpu_share.is_some_and(|share| share < SHARE_AT_LEAST),
    }
}

/// How late the timers of the probes' runtime fire, in seconds.
async fn lateness(interval: Duration) -> Vec<f64> {
    let begin = tokio::time::Instant::now();
    let mut late = Vec::new();
    for number in 1..=TIMERS {
        let wanted = begin + interval * number;
        sleep_until(wanted).await;
        late.push(wanted.elapsed().as_secs_f64());
    }
    late
}

/// Runs without a pause and asks the scheduler how much of that time the thread waited for a processor.
fn cpu_share() -> Option<f64> {
    let before = Scheduled::of_this_thread()?;
    let begin = Instant::now();
    let mut number = 0_u64;
    while begin.elapsed() < SPIN {
        number = black_box(number.wrapping_add(1));
    }
    let after = Scheduled::of_this_thread()?;
    let (ran, waited) = (after.ran.checked_sub(before.ran)?, after.waited.checked_sub(before.waited)?);
    (ran > 0).then(|| ran as f64 / (ran + waited) as f64)
}

/// Nanoseconds that a thread ran, and that it waited for a processor.
struct Scheduled {
    ran: u64,
    waited: u64,
}

impl Scheduled {
    fn of_this_thread() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(|word| word.parse().ok());
        Some(Self { ran: words.next()??, waited: words.next()?? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn the_load_as_linux_tells_it() {
        let pressure =
            "some avg10=12.50 avg60=3.10 avg300=0.80 total=1234\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        let load = parse("9.31 4.20 1.05 11/345 6789\n", pressure);
        assert_eq!(load, Load { load_1m: Some(9.31), load_5m: Some(4.2), cpu_pressure_10s: Some(12.5) });
        assert_eq!(parse("", ""), Load::default());
        assert_eq!(parse("nonsense", "full avg10=1.00\n"), Load::default());
        let scheduled = Scheduled::parse("1234 5678 9\n").unwrap();
        assert_eq!((scheduled.ran, scheduled.waited), (1234, 5678));
        assert!(Scheduled::parse("1234").is_none() && Scheduled::parse("").is_none());
    }

    #[test]
    fn a_machine_is_too_busy_by_late_timers_or_by_a_small_share() {
        let check = |share: Option<f64>, late: &[f64], expected: bool| {
            let ready = judged(share, late.to_vec(), INTERVAL);
            assert_eq!(ready.too_busy, expected, "{ready:?}");
            assert_eq!(ready.line(INTERVAL).contains("too busy"), expected);
        };
        check(Some(1.0), &[0.001, 0.002], false);
        check(None, &[0.001], false);
        check(Some(0.9), &[0.001, 0.060, 0.002], true);
        check(Some(0.2), &[0.001], true);
        check(None, &[], false);
    }

    #[tokio::test]
    async fn readiness_is_measured_here() {
        let ready = readiness(Duration::from_millis(8)).await;
        assert!(ready.processors > 0 && ready.timer_late_worst_s >= ready.timer_late_median_s, "{ready:?}");
        assert!(ready.cpu_share.is_none_or(|share| share > 0.0 && share <= 1.0), "{ready:?}");
    }
}
