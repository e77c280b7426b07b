//! Coverage as tables, for people.

use jiff::Timestamp;

use super::{
    CellState, Coverage, CoverageCell, DrillCoverage, EveryFrom, ExerciseCoverage, HeldExercise, RoutineCoverage,
};
use crate::{Text, Tone, chapter::Sheet, drill::verdict, elapsed, history::Against};

/// The matrix: faults against kinds of system.
pub fn matrix_sheet(coverage: &Coverage) -> Sheet {
    let heads = std::iter::once("fault".to_owned()).chain(coverage.kinds.iter().cloned()).collect();
    let row = |cells: &[CoverageCell]| {
        let fault = cells.first().map(|cell| cell.fault.clone()).unwrap_or_default();
        std::iter::once(fault.into()).chain(cells.iter().map(|cell| cell_text(cell, coverage.at))).collect()
    };
    let rows = coverage.cells.chunks(coverage.kinds.len().max(1)).map(row).collect();
    Sheet { caption: "Faults against kinds of system".to_owned(), heads, rows }
}

fn cell_text(cell: &CoverageCell, now: Timestamp) -> Text {
    let (tone, words) = (tone(cell.state), cell.state.words());
    let Some(decisive) = decisive(cell) else { return Text::from("-") };
    let held = decisive.last.as_ref().map(|last| format!(" {} ago", elapsed::between(last.at, now)));
    let notes = match decisive.notes.len() {
        0 => String::new(),
        1 => ", 1 note".to_owned(),
        number => format!(", {number} notes"),
    };
    Text::toned(tone, format!("{} {words}", tone.symbol())) + format!("{}{notes}", held.unwrap_or_default())
}

/// The drill that makes the cell what it is.
pub(super) fn decisive(cell: &CoverageCell) -> Option<&ExerciseCoverage> {
    cell.drills.iter().find(|exercise| exercise.state == cell.state)
}

/// How a state is meant. Only a pass against which nothing is to be said looks like one.
pub(super) fn tone(state: CellState) -> Tone {
    match state {
        CellState::Met => Tone::Good,
        CellState::Missed => Tone::Bad,
        CellState::MetWithNotes | CellState::Unmeasured | CellState::NeverHeld => Tone::Warn,
        CellState::NoDrill => Tone::Plain,
    }
}

/// Each fault and kind in each drill: held and met last, the numbers of that, and what is to be said against it.
pub fn exercises_sheet(coverage: &Coverage) -> Sheet {
    let heads = ["fault", "system", "drill", "held (UTC)", "verdict", "met (UTC)", "RTO", "RPO", "on", "notes"];
    let all = coverage.cells.iter().flat_map(|cell| cell.drills.iter().map(move |exercise| (cell, exercise)));
    let row = |(cell, exercise): (&CoverageCell, &ExerciseCoverage)| {
        let at = |held: &Option<HeldExercise>| held.as_ref().map_or_else(|| "never".to_owned(), |it| date(it.at));
        let numbers = exercise.last_met.as_ref().or(exercise.last.as_ref());
        let (rto, rpo) = numbers.map(measured).unwrap_or_default();
        vec![
            cell.fault.clone().into(),
            format!("{} ({})", cell.kind, exercise.systems.join(", ")).into(),
            Text::name(&*exercise.drill),
            at(&exercise.last).into(),
            exercise.last.as_ref().map(|last| verdict(&last.verdict.to_string())).unwrap_or_default(),
            at(&exercise.last_met).into(),
            rto.into(),
            rpo.into(),
            exercise.last.as_ref().map(on).unwrap_or_default().into(),
            notes(&exercise.notes),
        ]
    };
    let caption = "What was rehearsed: the numbers are those of the last holding that was met";
    Sheet { caption: caption.to_owned(), heads: heads.map(str::to_owned).to_vec(), rows: all.map(row).collect() }
}

fn date(at: Timestamp) -> String {
    elapsed::date_and_time(at)
}

/// RTO and RPO against their objectives; of a standby its lag.
pub(super) fn measured(held: &HeldExercise) -> (String, String) {
    let text = |against: Option<Against>| against.map_or_else(|| "not recorded".to_owned(), self::against);
    match (held.is_recovery, held.lag_s) {
        (true, _) => (text(held.rto), text(held.rpo)),
        (false, Some(lag)) => (format!("only watched: lag up to {lag}"), String::new()),
        (false, None) => ("only watched".to_owned(), String::new()),
    }
}

fn against(against: Against) -> String {
    let measured = against.measured_s.map_or_else(|| "not measured".to_owned(), |interval| interval.to_string());
    match against.objective_s {
        Some(objective) => format!("{measured} of {}", elapsed::seconds(objective)),
        None => format!("{measured}, no objective"),
    }
}

fn on(held: &HeldExercise) -> String {
    let system = |it: &crate::history::HeldSystem| format!("{} {} ({})", it.kind, it.version, it.fidelity.as_str());
    let mut systems: Vec<String> = held.systems.iter().map(system).collect();
    systems.dedup();
    if systems.is_empty() { held.backend.clone() } else { format!("{}: {}", held.backend, systems.join(", ")) }
}

fn notes(notes: &[String]) -> Text {
    if notes.is_empty() { Text::default() } else { Text::toned(Tone::Warn, notes.join("; ")) }
}

/// Each drill: how often it has to be held and from where that is known, when it is due, its controls.
pub fn drills_sheet(coverage: &Coverage) -> Sheet {
    let heads = ["drill", "every", "held", "last (UTC)", "due (UTC)", "controls"];
    let row = |drill: &DrillCoverage| {
        vec![
            Text::name(&*drill.drill),
            every(drill).into(),
            drill.held.to_string().into(),
            drill.last.as_ref().map_or_else(|| Text::toned(Tone::Warn, "never held"), |last| date(last.at).into()),
            due(drill),
            controls(drill),
        ]
    };
    let rows = coverage.drills.iter().map(row).collect();
    Sheet { caption: "Drills".to_owned(), heads: heads.map(str::to_owned).to_vec(), rows }
}

/// Each runbook that has to be executed regularly: when it last succeeded, and whether that is too long ago.
pub fn routines_sheet(coverage: &Coverage) -> Sheet {
    let heads = ["routine", "every", "succeeded (UTC)", ""];
    let row = |routine: &RoutineCoverage| {
        vec![
            Text::name(&*routine.runbook),
            format!("{} ({} days)", routine.every.as_str(), routine.every.days()).into(),
            routine.succeeded.map_or_else(|| Text::toned(Tone::Warn, "never"), |at| date(at).into()),
            if routine.overdue { Text::toned(Tone::Warn, "overdue") } else { Text::default() },
        ]
    };
    let rows = coverage.routines.iter().map(row).collect();
    Sheet { caption: "Runbooks that are executed regularly".to_owned(), heads: heads.map(str::to_owned).to_vec(), rows }
}

fn every(drill: &DrillCoverage) -> String {
    let Some(every) = drill.every else { return "its file does not say".to_owned() };
    let from = match drill.every_from {
        Some(EveryFrom::LastHolding) => ", as its file said then",
        _ => "",
    };
    format!("{} ({} days{from})", every.as_str(), every.days())
}

fn due(drill: &DrillCoverage) -> Text {
    match (drill.overdue, drill.due) {
        (None, _) => "".into(),
        (Some(true), None) => Text::toned(Tone::Warn, "now"),
        (Some(true), Some(due)) => Text::toned(Tone::Warn, format!("overdue since {}", date(due))),
        (Some(false), due) => due.map(date).unwrap_or_default().into(),
    }
}

fn controls(drill: &DrillCoverage) -> Text {
    let Some(held) = &drill.controls else {
        return if drill.held == 0 { "".into() } else { Text::toned(Tone::Warn, "never run") };
    };
    let against = held.tally.against();
    let red = format!("{} red", held.tally.red.len());
    let when = if drill.last.as_ref().is_some_and(|last| last.run == held.run) {
        String::new()
    } else {
        format!(" on {}, not in the last one", date(held.at))
    };
    if against.is_empty() {
        Text::toned(Tone::Good, red) + when
    } else {
        Text::toned(Tone::Bad, format!("{red}; {}", against.join("; "))) + when
    }
}
