//! What a run tells of backups: whether it verified them, and which was the newest.

use jiff::Timestamp;
use lifeboat_core::{
    event::{Mode, Outcome, RunStarted},
    plan::Plan,
    run::{Phase, Run, StepRun, StepState},
};
use serde_json::Value;

/// Compares a backup with its checksums.
const VERIFY: &str = "pg/verify-backup";
/// Restores one.
const RESTORE: &str = "pg/restore";
/// Reads what was restored.
const READ: &str = "pg/read-tables";
/// Looks at the age and the size of the newest one.
const CHECK: &str = "pg/check-backups";

/// A run that looked at backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupLook {
    /// The runbook's id.
    pub runbook: String,
    /// Which systems it looked at: `primary=db1:5432 recovery=vault`.
    pub targets: String,
    /// When the run ended.
    pub at: Timestamp,
    /// Whether it succeeded as a whole, without exceptions.
    pub is_verified: bool,
    /// When the newest backup was taken.
    pub taken: Option<Timestamp>,
    /// Its size.
    pub size_bytes: Option<u64>,
}

/// What a run tells of backups; `None` of one that is not over, is no real run, or does not verify them. A runbook verifies backups where it
/// compares them with their checksums, restores them and reads what was restored: less than that proves nothing.
pub fn look(plan: &Plan, run: &Run) -> Option<BackupLook> {
    let (_, facts) = run.started.as_ref().filter(|(_, facts)| facts.mode == Mode::Real)?;
    let Phase::Finished { at, outcome } = run.phase else { return None };
    if ![VERIFY, RESTORE, READ].iter().all(|action| steps(plan, run, action).next().is_some()) {
        return None;
    }
    let newest = steps(plan, run, CHECK).find_map(|step| match &step.state {
        StepState::Succeeded { outputs, .. } => Some(outputs),
        _ => None,
    });
    Some(BackupLook {
        runbook: facts.runbook.id.clone(),
        targets: targets(facts),
        at,
        is_verified: outcome == Outcome::Succeeded,
        taken: newest.and_then(|outputs| outputs["taken"].as_str()?.parse().ok()),
        size_bytes: newest.and_then(|outputs| outputs["size_bytes"].as_u64()),
    })
}

fn steps<'a>(plan: &'a Plan, run: &'a Run, action: &'a str) -> impl Iterator<Item = &'a StepRun> {
    let is_meant = move |step: &lifeboat_core::plan::Step| {
        step.action().is_some_and(|invocation| invocation.action.to_string() == action)
    };
    plan.steps.iter().zip(&run.steps).filter(move |(planned, _)| is_meant(planned)).map(|(_, step)| step)
}

/// The systems by their roles, as far as the bindings say where they are.
fn targets(facts: &RunStarted) -> String {
    let place = |facts: &Value| {
        let host = facts["host"].as_str()?;
        Some(facts["port"].as_u64().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    };
    let named = facts.targets.iter().map(|(role, facts)| match place(facts) {
        Some(place) => format!("{role}={place}"),
        None => role.to_string(),
    });
    named.collect::<Vec<_>>().join(" ")
}
