//! From routines to what the report says of them.

use super::{
    engine::Engine,
    evidence::{Evidence, Ran},
    routine_checks::end,
    steps::steps,
};
use crate::{
    measurement::Verdict,
    report::{RoutineReport, RunbookReport},
};

/// The routines that were executed, in the order of the timeline.
pub(super) fn routine_reports(evidence: &Evidence, engines: &[Engine]) -> Vec<RoutineReport> {
    evidence.ran.iter().filter_map(|ran| Some(routine_report(ran, engines.get(ran.place)?, evidence))).collect()
}

fn routine_report(ran: &Ran, engine: &Engine, evidence: &Evidence) -> RoutineReport {
    let runbook = &engine.plan.runbook;
    let verdict = match end(ran) {
        _ if ran.episode.out_of_time() => Verdict::Unmeasured,
        Ok(_) => Verdict::Met,
        Err(_) => Verdict::Missed,
    };
    RoutineReport {
        runbook: RunbookReport { id: runbook.id.clone(), digest: runbook.digest.clone() },
        run: engine.run.to_string(),
        faults: ran.faults.clone(),
        fails_with: ran.spec.fails_with.clone(),
        outcome: ran.episode.outcome().to_owned(),
        failure: ran.episode.engine_error().or_else(|| ran.episode.step_failure()),
        from: evidence.wall(ran.from),
        until: evidence.wall(ran.until),
        verdict,
        steps: steps(&engine.plan, ran.episode.run(), ""),
    }
}
