//! `report.json`. Fields are added, never renamed; the schema is held by a test.

mod routine;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::routine::RoutineReport;
use super::{
    checklist::Checklist,
    environment::{Environment, Held},
    exercise::DrillFile,
    interval::{Interval, Verdict},
    system::{Backend, SystemInfo},
};

/// The version of the document.
pub const FORMAT: &str = "lifeboat.report/2";

/// A drill's report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DrillReport {
    /// The version of the document.
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    /// Which drill.
    pub drill: String,
    /// Over everything: objectives, checks and controls.
    pub verdict: Verdict,
    /// The run of the first recovery, in whose folder everything of the drill lies.
    pub run: String,
    /// Draws the same writes and samples again.
    pub seed: u64,
    /// Lifeboat's own version.
    pub version: String,
    /// When, where and for whom it was held; `null` in reports of earlier versions.
    #[serde(default)]
    pub held: Option<Held>,
    /// The drill file; `null` in reports of earlier versions.
    #[serde(default)]
    pub file: Option<DrillFile>,
    /// What it was measured on.
    pub testbed: TestbedReport,
    /// One a recovery, in the order of the timeline; fewer than the drill file has where one was never begun.
    pub episodes: Vec<EpisodeReport>,
    /// What struck after the last recovery; everything, where nothing is recovered.
    #[serde(default)]
    pub faults: Vec<FaultReport>,
    /// How far standbys were behind, one a look that the drill file asks for.
    #[serde(default)]
    pub lags: Vec<LagReport>,
    /// Runbooks that were executed and recover nothing, such as verifications.
    #[serde(default)]
    pub routines: Vec<RoutineReport>,
    /// What became of the application's writes.
    pub writes: WritesReport,
    /// What must hold for the numbers to mean anything, and for the recovery to be right.
    pub checks: Vec<Check>,
    /// Checks that found nothing here to look at; `null` in reports of earlier versions.
    #[serde(default)]
    pub not_applied: Option<Vec<NotApplied>>,
    /// The check list that the drill is held for; `null` where its file has none.
    #[serde(default)]
    pub checklist: Option<Checklist>,
    /// Known breakages that must turn the drill red.
    pub controls: Vec<ControlReport>,
    /// The run without a fault; `null` where it was not made.
    pub control_run: Option<ControlRun>,
    /// One entry a run of the drill.
    pub samples: Vec<Sample>,
    /// Parameters that the drill shortens, beside their production values.
    pub scaled: Vec<Scaled>,
    /// Who answered the runbook's questions.
    pub approvals: String,
    /// Where it ran.
    pub environment: Environment,
    /// What the probes saw.
    pub probes: Vec<ProbeSummary>,
    /// Acknowledged writes that are missing, the oldest first; at most a hundred.
    pub lost_writes: Vec<LostWrite>,
    /// Every probe, for the time line; kept beside the document in `probes.jsonl`.
    #[serde(skip)]
    pub probe_log: Vec<DrawnProbe>,
    /// The wall time of instant 0 of `probe_log`.
    #[serde(skip)]
    pub clock_start: Option<Timestamp>,
}

/// A probe as the time line shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnProbe {
    /// The lane in which it is, from 0.
    pub lane: usize,
    /// When it was sent, in seconds.
    pub started_s: f64,
    /// When it had its answer, in seconds.
    pub ended_s: f64,
    /// Whether the answer was right.
    pub ok: bool,
}

/// What struck since the last recovery, and the recovery from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpisodeReport {
    /// The runbook that was executed.
    pub runbook: RunbookReport,
    /// The run of the engine.
    pub run: String,
    /// How the run ended; `not_started` where the engine had nothing to do or could not begin.
    pub outcome: String,
    /// What struck, in order.
    pub faults: Vec<FaultReport>,
    /// The instants by their names in the definitions.
    pub instants: Instants,
    /// Recovery time.
    pub rto: RtoReport,
    /// Recovery point.
    pub rpo: RpoReport,
    /// The runbook's steps.
    pub steps: Vec<StepReport>,
}

/// A while in which a standby was watched. The lag at an instant is the time since the oldest acknowledged write that the standby lacks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LagReport {
    /// Its name.
    pub standby: String,
    /// The kinds of fault that had struck and were not healed.
    pub faults: Vec<String>,
    /// From then on it was watched.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
    /// The longest lag; `null` where it was never seen.
    pub longest_s: Option<Interval>,
    /// The lag in the middle of all that were seen.
    pub median_s: Option<Interval>,
    /// How long it took until the lag was `at_most_s`; `null` where that is not asked for, or was never seen.
    pub caught_up_s: Option<Interval>,
    /// It must not be longer; where `within_s` is given: from then on.
    pub at_most_s: Option<f64>,
    /// It must be so long at some time, or the fault has not slowed it.
    pub at_least_s: Option<f64>,
    /// It must have caught up after so long.
    pub within_s: Option<f64>,
    /// How often it was seen.
    pub sightings: usize,
    /// Over what is asked for.
    pub verdict: Verdict,
    /// What was missing, where it is `unmeasured`.
    pub missing: Option<String>,
}

/// A disaster, and the proof that it was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultReport {
    /// Its kind, as the drill file names it.
    pub kind: String,
    /// What it did, in words.
    pub story: String,
    /// What it took, as the system counted it.
    pub bite: Vec<BiteReport>,
}

/// A part of what a disaster took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BiteReport {
    /// Of what.
    pub what: String,
    /// So many.
    pub count: u64,
}

impl LagReport {
    /// What is asked for, in words.
    pub fn wanted(&self) -> String {
        let seconds = |what: &str, seconds: Option<f64>| Some(format!("{what} {} s", seconds?));
        let wanted = [
            seconds("at least", self.at_least_s),
            seconds("at most", self.at_most_s),
            seconds("within", self.within_s),
        ];
        wanted.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl DrillReport {
    /// The episode with the longest recovery, of which one that never ended is the longest.
    pub fn longest(&self) -> Option<&EpisodeReport> {
        let length = |episode: &EpisodeReport| {
            episode.rto.judged_s.or(episode.rto.service_s).map_or(0.0, |it| it.high.unwrap_or(f64::INFINITY))
        };
        self.episodes.iter().max_by(|one, other| length(one).total_cmp(&length(other)))
    }

    /// Damaged records that are still not right, over all episodes. `None` if none was found and an episode was not measured.
    pub fn residual_damage(&self) -> Option<usize> {
        let measured = || self.episodes.iter().map(|episode| episode.rpo.residual_damage);
        let left = measured().flatten().sum();
        let is_known = left > 0 || (measured().next().is_some() && measured().all(|left| left.is_some()));
        is_known.then_some(left)
    }

    /// The steps of all runbooks.
    pub fn steps(&self) -> impl Iterator<Item = &StepReport> {
        let routines = self.routines.iter().flat_map(|routine| &routine.steps);
        self.episodes.iter().flat_map(|episode| &episode.steps).chain(routines)
    }
}

/// Which runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookReport {
    /// `DR-003`.
    pub id: String,
    /// `sha256:…` of the file.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
}

/// What it was measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestbedReport {
    /// Processes or containers.
    pub backend: Backend,
    /// Each system with its fidelity.
    pub systems: Vec<SystemInfo>,
}

/// The instants of the definitions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Instants {
    /// End of the last good probe before the first failed one.
    pub t_onset: Option<Timestamp>,
    /// Monitoring noticed.
    pub t_detect: Option<Timestamp>,
    /// The disaster was declared.
    pub t_declare: Option<Timestamp>,
    /// The engine's first step.
    pub t_start: Option<Timestamp>,
    /// The engine says that the data is back.
    pub t_restored: Option<Timestamp>,
    /// First acknowledged write and good content probe after that.
    pub t_first: Option<Timestamp>,
    /// Start of the first stable window.
    pub t_stable: Option<Timestamp>,
    /// The archive holds the recovered state.
    pub t_redundant: Option<Timestamp>,
    /// Last write acknowledged before the recovered state took over.
    pub t_freeze: Option<Timestamp>,
    /// First damaging operation.
    #[serde(rename = "T_c")]
    pub damage: Option<Timestamp>,
}

/// Recovery time. Durations are `null` where they were not measured, and have a `null` upper bound where they never ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RtoReport {
    /// The objective in seconds.
    pub objective_s: Option<f64>,
    /// `onset`, `detect` or `declare`: from where the objective counts.
    pub clock: String,
    /// `t_stable − t_onset`.
    pub service_s: Option<Interval>,
    /// From the objective's clock.
    pub judged_s: Option<Interval>,
    /// `t_stable − t_start`.
    pub procedure_s: Option<Interval>,
    /// `t_start − t_onset`.
    pub decision_s: Option<Interval>,
    /// `t_redundant − t_onset`.
    pub redundancy_s: Option<Interval>,
    /// Met by the upper bound, missed by the lower one.
    pub verdict: Verdict,
    /// What was missing, where it is `unmeasured`.
    #[serde(default)]
    pub missing: Option<String>,
}

/// Recovery point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RpoReport {
    /// The objective in seconds.
    pub objective_s: Option<f64>,
    /// `t_freeze − min(ack time of lost writes)`.
    pub actual_s: Option<Interval>,
    /// The part before the fault.
    pub pre_fault_s: Option<Interval>,
    /// The part after the fault.
    pub collateral_s: Option<Interval>,
    /// Damaged rows that are still not right; `null` where there was no damage, or nobody could look.
    pub residual_damage: Option<usize>,
    /// The shortest loss that the workload could have shown.
    pub resolution_s: Option<f64>,
    /// Met by the upper bound, missed by the lower one, and where damage is left.
    pub verdict: Verdict,
    /// What was missing, where it is `unmeasured`.
    #[serde(default)]
    pub missing: Option<String>,
}

/// What became of the application's writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WritesReport {
    /// Rows loaded before the drill.
    pub loaded_rows: usize,
    /// Rows that the fault removed.
    pub damaged_rows: usize,
    /// Acknowledged.
    pub acknowledged: usize,
    /// Refused, or found no row: without effect.
    pub failed: usize,
    /// Acknowledged and missing. `null`, like all that follows from the full read, where the rows could not be read.
    pub lost: Option<usize>,
    /// Loaded rows that are missing.
    pub lost_loaded_rows: Option<usize>,
    /// Kept writes that are younger than the oldest lost one.
    pub after_first_hole: Option<usize>,
    /// Without an answer.
    pub unknown: usize,
    /// Of these, there.
    pub unknown_found: Option<usize>,
    /// Of these, not there.
    pub unknown_missing: Option<usize>,
    /// Rows never written, with wrong content, or deleted and back again.
    pub unexpected: Option<usize>,
    /// Of these, deleted by the application and back again.
    pub raised_from_the_dead: Option<usize>,
    /// Acknowledged writes a second before the fault.
    pub rate_before_fault: f64,
    /// Longest pause between two acknowledgements in the whole drill, in seconds.
    pub longest_pause_s: f64,
    /// Rows that the full read found.
    pub final_rows: Option<usize>,
}

/// What a check is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// Without it the drill proves nothing: a failure makes it unmeasured.
    Evidence,
    /// It says that the recovery is right: a failure makes it missed.
    Result,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// Of which episode, counted from 1; `null`: of the whole drill.
    #[serde(default)]
    pub episode: Option<usize>,
    /// What it is about.
    pub kind: CheckKind,
    /// Whether it held.
    pub passed: bool,
    /// Whether anything is known of it: a result that could not be looked at neither held nor failed, and leaves the drill
    /// unmeasured.
    #[serde(default = "yes")]
    pub measured: bool,
    /// What was seen.
    pub detail: String,
}

/// Reports of earlier versions say nothing of what could not be looked at: there was none.
fn yes() -> bool {
    true
}

/// A check that was not asked, because what it looks at is not part of the drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotApplied {
    /// Its name.
    pub name: String,
    /// Of which episode, counted from 1; `null`: of the whole drill.
    pub episode: Option<usize>,
    /// What a drill needs for it.
    pub needs: String,
}

/// A negative control and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControlReport {
    /// Its name.
    pub name: String,
    /// Whether the check that should see it turned the drill red.
    pub turned_red: bool,
    /// Whether the breakage was reached and its damage could be looked for: if not, nothing is known of the drill's eyes.
    #[serde(default = "yes")]
    pub measured: bool,
    /// The check that saw it.
    pub by: Option<String>,
    /// What was seen.
    pub detail: String,
}

/// The run without a fault: it must measure 0 and 0 by the same code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControlRun {
    /// Whether nothing was lost and no outage was seen.
    pub passed: bool,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its RTO.
    pub rto_s: Option<Interval>,
    /// Its RPO.
    pub rpo_s: Option<Interval>,
    /// Its acknowledged writes.
    pub acknowledged: usize,
    /// What was seen.
    pub detail: String,
}

/// A step of the runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// Its name.
    pub id: String,
    /// What the author calls it.
    pub title: Option<String>,
    /// Where it ended.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Start of the first attempt.
    pub started: Option<Timestamp>,
    /// From there to its end.
    pub seconds: Option<f64>,
    /// Whether the end of the recovery waited for it.
    pub on_critical_path: bool,
    /// What it said, or why it failed.
    pub summary: Option<String>,
}

/// The numbers of one run of the drill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// The run.
    pub run: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its RTO; of several recoveries the longest.
    pub rto_s: Option<Interval>,
    /// The RPO of the same recovery.
    pub rpo_s: Option<Interval>,
}

/// A parameter that the drill shortens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scaled {
    /// Which.
    pub name: String,
    /// In the drill.
    pub drill: String,
    /// In production.
    pub production: String,
    /// What that can mean for the numbers at worst.
    pub worst_case: String,
}

/// What one kind of probe saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProbeSummary {
    /// Which kind.
    pub kind: String,
    /// How many were made.
    pub made: usize,
    /// How many the schedule asked for; `null` in reports of earlier versions.
    #[serde(default)]
    pub wanted: Option<usize>,
    /// The longest time from one to the next, in seconds.
    #[serde(default)]
    pub longest_pause_s: Option<f64>,
    /// How many failed.
    pub failed: usize,
    /// What the first failed one said.
    pub first_failure: Option<String>,
}

/// An acknowledged write that is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LostWrite {
    /// Its id.
    pub write: u64,
    /// When it was acknowledged.
    pub acknowledged: Option<Timestamp>,
    /// What it did.
    pub what: String,
    /// What took it.
    pub why: String,
}

#[cfg(test)]
mod tests;
