//! Which kinds of system were rehearsed against which kinds of fault, when, how that went, and what is missing. Everything follows from
//! the lines of the history and the drill files that are known now.

mod drawing;
mod sheets;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::Value;

use self::standing::drill_coverage;
pub use self::{
    drawing::draw,
    sheets::{drills_sheet, exercises_sheet, matrix_sheet, routines_sheet},
};
use crate::{
    drill::{DrillFile, Every, PluginReport, RunbookReport, Verdict, every_schema},
    history::{Against, ControlTally, Executed, HeldSystem, Holding},
};

/// The version of the document.
const FORMAT: &str = "lifeboat.coverage/1";

/// A drill that can be held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDrill {
    /// Its name.
    pub drill: String,
    /// The command that holds it.
    pub command: String,
    /// Its file as it is now.
    pub file: DrillFile,
    /// Its runbooks as they are now.
    pub runbooks: Vec<RunbookReport>,
}

/// What results are compared with.
#[derive(Debug, Clone)]
pub struct Today<'a> {
    /// The time now.
    pub now: Timestamp,
    /// Lifeboat's version.
    pub version: &'a str,
    /// The plugins as they are now.
    pub plugins: &'a [PluginReport],
    /// The drills that can be held now.
    pub known: &'a [KnownDrill],
    /// How often each runbook was executed in earnest, by id.
    pub runs: &'a BTreeMap<String, Executed>,
}

/// What was rehearsed, and what was not.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Coverage {
    /// The version of the document.
    #[schemars(extend("const" = FORMAT))]
    pub format: &'static str,
    /// When this was looked up.
    pub at: Timestamp,
    /// The kinds of system, the columns of the matrix.
    pub kinds: Vec<String>,
    /// The kinds of fault, its rows.
    pub faults: Vec<String>,
    /// Its cells, row by row.
    pub cells: Vec<CoverageCell>,
    /// Each drill that is known or was held.
    pub drills: Vec<DrillCoverage>,
    /// Runbooks that were executed in earnest and that no drill of these rehearses.
    pub not_rehearsed: Vec<String>,
    /// Runbooks that have to be executed regularly, such as verifications, and were begun once at least.
    pub routines: Vec<RoutineCoverage>,
}

/// How a runbook stands that has to be executed regularly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RoutineCoverage {
    /// Its id.
    pub runbook: String,
    /// How often it has to succeed.
    #[schemars(schema_with = "every_schema")]
    pub every: Every,
    /// When it last did, without exceptions; `null` where it never did.
    pub succeeded: Option<Timestamp>,
    /// Whether it did not for too long.
    pub overdue: bool,
}

/// A kind of system against a kind of fault.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CoverageCell {
    /// The kind of system.
    pub kind: String,
    /// The kind of fault.
    pub fault: String,
    /// How it stands: the worst of the drills that were held for it.
    pub state: CellState,
    /// The drills that exercise it, and how each of them stands in that.
    pub drills: Vec<ExerciseCoverage>,
}

/// How a kind of system stands against a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    /// No drill exercises it.
    NoDrill,
    /// A drill could, and was never held.
    NeverHeld,
    /// Every drill met it when it was held last, and nothing is to be said against that.
    Met,
    /// Met, with something to be said against it: see the notes.
    MetWithNotes,
    /// Held, and it was not measured.
    Unmeasured,
    /// Missed when it was held last.
    Missed,
}

/// A kind of system against a fault in one drill.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExerciseCoverage {
    /// The drill.
    pub drill: String,
    /// The names of the systems in it.
    pub systems: Vec<String>,
    /// How it stands.
    pub state: CellState,
    /// When it was held last.
    pub last: Option<HeldExercise>,
    /// When it was met last.
    pub last_met: Option<HeldExercise>,
    /// What is to be said against a pass, in words.
    pub notes: Vec<String>,
}

/// How one holding went for a kind of system and a fault.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HeldExercise {
    /// When it was over.
    pub at: Timestamp,
    /// The run.
    pub run: String,
    /// The verdict over the whole drill.
    pub verdict: Verdict,
    /// Whether it was recovered; otherwise it was only watched.
    pub is_recovery: bool,
    /// The recovery time; `null` where nothing was recovered, or an earlier version did not record it.
    pub rto: Option<Against>,
    /// The recovery point, likewise.
    pub rpo: Option<Against>,
    /// The longest lag of the standby in seconds, where it was watched.
    pub lag_s: Option<crate::drill::Interval>,
    /// `process` or `container`.
    pub backend: String,
    /// The systems of that drill which are of the kind, with their fidelity.
    pub systems: Vec<HeldSystem>,
}

/// How a drill stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DrillCoverage {
    /// Its name.
    pub drill: String,
    /// The command that holds it; `null` where its file was not given.
    pub command: Option<String>,
    /// How often it has to be held; `null` where its file does not say.
    #[schemars(schema_with = "every_schema")]
    pub every: Option<Every>,
    /// From where that is known.
    pub every_from: Option<EveryFrom>,
    /// When it is overdue; `null` where it is not known how often it has to be held, or it never was.
    pub due: Option<Timestamp>,
    /// Whether it is overdue; `null` where it is not known how often it has to be held.
    pub overdue: Option<bool>,
    /// How often it was held.
    pub held: usize,
    /// When it was held last.
    pub last: Option<HeldDrill>,
    /// When each verdict was last given.
    pub last_by_verdict: LastByVerdict,
    /// The last holding with known breakages or the run without a fault.
    pub controls: Option<HeldControls>,
    /// What is other now than when it was held last, in words.
    pub changed: Vec<String>,
    /// Whether it is recorded what it exercises, or known from its file.
    pub is_placed: bool,
}

/// From where it is known how often a drill has to be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EveryFrom {
    /// From its file.
    DrillFile,
    /// From its file as it was when it was held last: it was not given now.
    LastHolding,
}

/// A holding of a drill as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HeldDrill {
    /// When it was over.
    pub at: Timestamp,
    /// The run.
    pub run: String,
    /// What it came to.
    pub verdict: Verdict,
    /// The recovery time of its longest recovery, as users saw it.
    pub rto_s: Option<crate::drill::Interval>,
    /// Seconds that it took, without its controls.
    pub length_s: Option<f64>,
    /// Its recoveries against their objectives.
    pub episodes: Vec<crate::history::HeldEpisode>,
}

/// When each verdict was last given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LastByVerdict {
    /// Met.
    pub met: Option<Timestamp>,
    /// Missed.
    pub missed: Option<Timestamp>,
    /// Unmeasured.
    pub unmeasured: Option<Timestamp>,
}

/// The controls of a holding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldControls {
    /// When it was over.
    pub at: Timestamp,
    /// The run.
    pub run: String,
    /// What came of them.
    pub tally: ControlTally,
}

/// The schema of the document, draft 2020-12. Further fields are allowed, because fields are added over time.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Coverage>().to_value();
    schema["title"] = "What was rehearsed by Lifeboat's drills".into();
    schema
}

/// What was rehearsed, and what was not. The holdings are in order of time.
pub fn coverage(holdings: &[Holding], today: &Today<'_>) -> Coverage {
    let held = holdings.iter().map(|holding| holding.drill.as_str());
    let names: BTreeSet<&str> = held.chain(today.known.iter().map(|known| known.drill.as_str())).collect();
    let (drills, exercises): (Vec<DrillCoverage>, Vec<Vec<Placed>>) =
        names.into_iter().map(|drill| drill_coverage(drill, holdings, today)).unzip();
    let placed: Vec<Placed> = exercises.into_iter().flatten().collect();
    let all = |name: fn(&Placed) -> &String| placed.iter().map(name).cloned().collect::<BTreeSet<_>>();
    let (kinds, faults) = (all(|it| &it.kind), all(|it| &it.fault));
    let cells = faults.iter().flat_map(|fault| kinds.iter().map(|kind| cell(kind, fault, &placed)));
    let cells = cells.collect();
    Coverage {
        format: FORMAT,
        at: today.now,
        kinds: kinds.into_iter().collect(),
        faults: faults.into_iter().collect(),
        cells,
        drills,
        not_rehearsed: not_rehearsed(holdings, today),
        routines: routines(today),
    }
}

fn routines(today: &Today<'_>) -> Vec<RoutineCoverage> {
    let routine = |(id, executed): (&String, &Executed)| {
        Some(RoutineCoverage {
            runbook: id.clone(),
            every: executed.every?,
            succeeded: executed.succeeded,
            overdue: executed.due().is_some_and(|due| today.now > due),
        })
    };
    today.runs.iter().filter_map(routine).collect()
}

/// A drill in the cell that it exercises.
struct Placed {
    kind: String,
    fault: String,
    exercise: ExerciseCoverage,
}

fn cell(kind: &str, fault: &str, placed: &[Placed]) -> CoverageCell {
    let here = placed.iter().filter(|it| it.kind == kind && it.fault == fault);
    let drills: Vec<ExerciseCoverage> = here.map(|it| it.exercise.clone()).collect();
    let state = drills.iter().map(|exercise| exercise.state).max().unwrap_or(CellState::NoDrill);
    CoverageCell { kind: kind.to_owned(), fault: fault.to_owned(), state, drills }
}

/// A runbook counts as rehearsed where a drill names it, also one that was never held: that one is told as such.
fn not_rehearsed(holdings: &[Holding], today: &Today<'_>) -> Vec<String> {
    let held = holdings.iter().flat_map(Holding::runbooks).map(|runbook| runbook.id);
    let known = today.known.iter().flat_map(|known| &known.runbooks).map(|runbook| runbook.id.clone());
    let drilled: BTreeSet<String> = held.chain(known).collect();
    let recovers = today.runs.iter().filter(|(_, executed)| executed.every.is_none());
    recovers.map(|(id, _)| id).filter(|id| !drilled.contains(*id)).cloned().collect()
}

impl CellState {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoDrill => "no drill",
            Self::NeverHeld => "never held",
            Self::Met | Self::MetWithNotes => "met",
            Self::Unmeasured => "unmeasured",
            Self::Missed => "missed",
        }
    }
}
