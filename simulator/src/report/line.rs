//! One line a drill in the history: what trends are made of.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::DrillReport;

/// The line for a report.
pub fn history_line(report: &DrillReport, at: Timestamp) -> Value {
    json!({
        "at": at,
        "drill": report.drill,
        "run": report.run,
        "verdict": report.verdict,
        "runbook_digest": report.runbook.digest,
        "backend": report.testbed.backend,
        "version": report.version,
        "seed": report.seed,
        "rto_s": report.rto.service_s,
        "rpo_s": report.rpo.actual_s,
        "lost": report.writes.lost,
        "steps": report.steps.iter().map(|step| json!({ "id": step.id, "seconds": step.seconds })).collect::<Vec<_>>(),
    })
}
