//! One line a drill in the history: what trends and coverage are made of.

use std::time::Duration;

use jiff::Timestamp;
use lifeboat_present::history::Holding;
use serde_json::{Value, json};

use super::DrillReport;

/// The line for a report of a drill that took that long, without its controls.
pub fn history_line(report: &DrillReport, at: Timestamp, length: Duration) -> Value {
    let length_s = (length.as_secs_f64() * 10.0).round() / 10.0;
    let holding = Holding { length_s: Some(length_s), ..Holding::of(report, at) };
    let mut line = json!(holding);
    line["seed"] = json!(report.seed);
    line["steps"] = report.steps().map(|step| json!({ "id": step.id, "seconds": step.seconds })).collect();
    line
}
