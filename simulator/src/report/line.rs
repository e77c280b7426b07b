//! One line a drill in the history: what trends are made of.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::DrillReport;

/// The line for a report of a drill that took that long, without its controls.
pub fn history_line(report: &DrillReport, at: Timestamp, length: Duration) -> Value {
    let longest = report.longest();
    let episodes = report.episodes.iter().map(|episode| {
        json!({
            "runbook": episode.runbook.id,
            "runbook_digest": episode.runbook.digest,
            "rto_s": episode.rto.service_s,
            "rpo_s": episode.rpo.actual_s,
        })
    });
    json!({
        "at": at,
        "drill": report.drill,
        "run": report.run,
        "verdict": report.verdict,
        "backend": report.testbed.backend,
        "version": report.version,
        "seed": report.seed,
        "length_s": (length.as_secs_f64() * 10.0).round() / 10.0,
        "rto_s": longest.and_then(|episode| episode.rto.service_s),
        "rpo_s": longest.and_then(|episode| episode.rpo.actual_s),
        "episodes": episodes.collect::<Vec<_>>(),
        "lost": report.writes.lost,
        "steps": report.steps().map(|step| json!({ "id": step.id, "seconds": step.seconds })).collect::<Vec<_>>(),
    })
}
