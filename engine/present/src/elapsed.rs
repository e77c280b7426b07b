//! Lengths of time as people read them: three digits are enough.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// `340ms`, `3.2s`, `4m 05s`, `1h 02m`, `3d 04h`; negative lengths carry a minus.
pub fn text(length: SignedDuration) -> String {
    if length.is_negative() {
        return format!("-{}", text(length.abs()));
    }
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{}ms", length.subsec_millis()),
        1..60 => format!("{:.1}s", length.as_secs_f64()),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A length given in seconds.
pub fn seconds(length: f64) -> String {
    SignedDuration::try_from_secs_f64(length).map_or_else(|_| format!("{length} s"), text)
}

/// From `start` to `end`.
pub fn between(start: Timestamp, end: Timestamp) -> String {
    text(end.duration_since(start))
}

/// The time of day in UTC, as the journal has it: `12:03:04`.
pub fn time_of_day(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string()
}

/// Date and time of day in UTC: `2026-11-21 12:03:04`.
pub fn date_and_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_short_and_never_loses_its_unit() {
        let check = |milliseconds: i64, expected: &str| {
            assert_eq!(text(SignedDuration::from_millis(milliseconds)), expected, "{milliseconds} ms");
        };
        check(0, "0ms");
        check(340, "340ms");
        check(3_210, "3.2s");
        check(65_000, "1m 05s");
        check(3_725_000, "1h 02m");
        check(90_000_000, "1d 01h");
        check(-65_000, "-1m 05s");
    }
}
