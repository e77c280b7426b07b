//! Durations as runbooks write them (`5m`, `1h30m`, `500ms`).

/// The duration in milliseconds; none where it is not one, or negative.
pub fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|each: char| !each.is_ascii_digit() && each != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|each: char| !each.is_ascii_alphabetic()).unwrap_or(rest.len());
        sum += number * unit(&rest[..letters])?;
        rest = rest[letters..].trim_start_matches([' ', ',']);
    }
    // A float of more than 2^53 milliseconds (285,000 years) is cut by the cast, which is far enough.
    Some(sum.round() as u64)
}

fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ns" => 1e-6,
        "us" => 1e-3,
        "ms" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e3,
        "m" | "min" | "mins" | "minute" | "minutes" => 60e3,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600e3,
        "d" | "day" | "days" => 86_400e3,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn runbook_durations_are_understood() {
        let check = |text: &str, expect: Option<u64>| assert_eq!(milliseconds(text), expect, "{text}");
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("1h 30m", Some(5_400_000));
        check("500ms", Some(500));
        check("1.5s", Some(1_500));
        check("2d", Some(172_800_000));
        check("1hr, 5mins", Some(3_900_000));
        check("", None);
        check("5", None);
        check("-5m", None);
        check("5 parsecs", None);
    }
}
