//! Reads `report.json`, of this version or of an earlier one.

use serde_json::{Map, Value, json};

use super::DrillReport;

/// The version that had one recovery, whose parts stood beside those of the drill.
const FIRST: &str = "lifeboat.report/1";
/// The parts of the recovery in it.
const PARTS: [&str; 6] = ["runbook", "outcome", "instants", "rto", "rpo", "steps"];

/// A report as it was written then.
///
/// # Errors
/// The text is no report, or one of a later version that lacks what this one must know.
pub fn read(json: &str) -> Result<DrillReport, serde_json::Error> {
    let report: Value = serde_json::from_str(json)?;
    serde_json::from_value(if report["format"] == FIRST { lifted(report) } else { report })
}

/// A report of the first version with its recovery as the only episode. It does not say what had struck.
fn lifted(mut report: Value) -> Value {
    let mut episode = Map::new();
    episode.insert("run".to_owned(), report["run"].clone());
    episode.insert("faults".to_owned(), json!([]));
    if let Value::Object(report) = &mut report {
        episode.extend(PARTS.iter().filter_map(|part| report.remove_entry(*part)));
    }
    report["episodes"] = json!([episode]);
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::lines;

    const NOW: &str = include_str!("tests/report.json");
    const THEN: &str = include_str!("tests/report-1.json");

    #[test]
    fn a_report_of_the_first_version_tells_the_same_as_one_of_this() {
        let (mut now, then) = (read(NOW).unwrap(), read(THEN).unwrap());
        assert_eq!((&then.held, &then.not_applied), (&None, &None), "nobody knows it");
        now.episodes[0].faults.clear();
        assert_eq!(lines(&then), lines(&now));
        assert_eq!((then.format.as_str(), then.episodes.len()), (FIRST, 1));
        let (was, is) = (&then.episodes[0], &now.episodes[0]);
        assert_eq!((&was.run, &was.steps, &was.instants), (&is.run, &is.steps, &is.instants));
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let check = |text: &str| assert!(read(text).is_err(), "{text}");
        check("");
        check("[]");
        check("{}");
        check(&NOW.replacen("\"met\"", "\"fine\"", 1));
        check(&THEN.replacen("\"rto\"", "\"time\"", 1));
    }
}
