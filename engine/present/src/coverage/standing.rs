//! How one drill stands: when it was held, what came of each thing that it exercises, what has changed since.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    CellState, DrillCoverage, EveryFrom, ExerciseCoverage, HeldControls, HeldDrill, HeldExercise, KnownDrill,
    LastByVerdict, Placed, Today,
};
use crate::{
    drill::{Exercise, Interval, Verdict},
    history::{self, Holding},
};

/// How a drill stands as a whole, and in each cell that it exercises.
pub(super) fn drill_coverage(drill: &str, holdings: &[Holding], today: &Today<'_>) -> (DrillCoverage, Vec<Placed>) {
    let of: Vec<&Holding> = holdings.iter().filter(|holding| holding.drill == drill).collect();
    let known = today.known.iter().find(|known| known.drill == drill);
    let last = of.last().copied();
    let every = history::how_often(known.map(|known| known.file.every), last);
    let due = every.zip(last).map(|(every, last)| history::due(every, last.at));
    let placed = placed(&of, known);
    let whole = DrillCoverage {
        drill: drill.to_owned(),
        command: known.map(|known| known.command.clone()),
        every,
        every_from: every.map(|_| if known.is_some() { EveryFrom::DrillFile } else { EveryFrom::LastHolding }),
        due,
        overdue: every.map(|_| due.is_none_or(|due| today.now > due)),
        held: of.len(),
        last: last.map(held_drill),
        last_by_verdict: last_by_verdict(&of),
        controls: of.iter().rev().find_map(|holding| held_controls(holding)),
        changed: last.map(|last| changed(last, known, today)).unwrap_or_default(),
        is_placed: !placed.is_empty(),
    };
    let exercises = placed.into_iter().map(|(place, systems)| {
        let (kind, fault) = place;
        let exercise = exercise(&kind, &fault, systems, &of, known, &whole);
        Placed { kind, fault, exercise }
    });
    let exercises = exercises.collect();
    (whole, exercises)
}

/// A kind of system, and a kind of fault.
type Place = (String, String);

/// What the drill exercises now, or was held for, with the names of the systems.
fn placed(of: &[&Holding], known: Option<&KnownDrill>) -> BTreeMap<Place, Vec<String>> {
    let now = known.into_iter().flat_map(|known| &known.file.exercises);
    let then = of.iter().filter_map(|holding| holding.file.as_ref()).flat_map(|file| &file.exercises);
    let mut placed: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for exercise in now.chain(then) {
        let systems = placed.entry((exercise.kind.clone(), exercise.fault.clone())).or_default();
        if !systems.contains(&exercise.system) {
            systems.push(exercise.system.clone());
        }
    }
    placed
}

/// What a holding exercised: as it recorded, or as the file says now.
fn exercised<'a>(holding: &'a Holding, known: Option<&'a KnownDrill>) -> &'a [Exercise] {
    let file = holding.file.as_ref().or(known.map(|known| &known.file));
    file.map(|file| file.exercises.as_slice()).unwrap_or_default()
}

fn exercise(
    kind: &str,
    fault: &str,
    systems: Vec<String>,
    of: &[&Holding],
    known: Option<&KnownDrill>,
    whole: &DrillCoverage,
) -> ExerciseCoverage {
    let is_here = |exercise: &&Exercise| exercise.kind == kind && exercise.fault == fault;
    let held = |holding: &&Holding| {
        let here: Vec<&Exercise> = exercised(holding, known).iter().filter(is_here).collect();
        (!here.is_empty()).then(|| held_exercise(holding, kind, fault, &here))
    };
    let all: Vec<HeldExercise> = of.iter().filter_map(held).collect();
    let last = all.last().cloned();
    let last_met = all.iter().rfind(|held| held.verdict == Verdict::Met).cloned();
    let last_holding = last.as_ref().and_then(|last| of.iter().rfind(|holding| holding.run == last.run));
    let is_now = known.is_none_or(|known| known.file.exercises.iter().any(|it| is_here(&it)));
    let notes = last_holding.map(|last| notes(last, is_now, whole)).unwrap_or_default();
    let state = match last.as_ref().map(|last| last.verdict) {
        None => CellState::NeverHeld,
        Some(Verdict::Missed) => CellState::Missed,
        Some(Verdict::Unmeasured) => CellState::Unmeasured,
        Some(Verdict::Met) if notes.is_empty() => CellState::Met,
        Some(Verdict::Met) => CellState::MetWithNotes,
    };
    ExerciseCoverage { drill: whole.drill.clone(), systems, state, last, last_met, notes }
}

/// What is to be said against the last result.
fn notes(last: &Holding, is_now: bool, whole: &DrillCoverage) -> Vec<String> {
    let mut notes = Vec::new();
    if whole.overdue == Some(true) {
        notes.push("overdue".to_owned());
    }
    match &last.controls {
        None => notes.push("not recorded whether controls were run".to_owned()),
        Some(controls) => notes.extend(controls.against()),
    }
    if !is_now {
        notes.push("the drill does not exercise this any more".to_owned());
    }
    if last.file.is_none() {
        notes.push("what it exercised was not recorded: taken from its file as it is now".to_owned());
    }
    notes.extend(whole.changed.iter().cloned());
    notes
}

fn held_exercise(holding: &Holding, kind: &str, fault: &str, here: &[&Exercise]) -> HeldExercise {
    let episode = here.iter().find_map(|exercise| holding.episodes.get(exercise.episode?.checked_sub(1)?));
    let watched = |standby: &str| here.iter().any(|exercise| exercise.episode.is_none() && exercise.system == standby);
    let lags = holding.lags.iter().filter(|lag| watched(&lag.standby) && lag.faults.iter().any(|it| it == fault));
    let longest = |one: Interval, other: Interval| {
        let high = |it: &Interval| it.high.unwrap_or(f64::INFINITY);
        if high(&other) > high(&one) { other } else { one }
    };
    HeldExercise {
        at: holding.at,
        run: holding.run.clone(),
        verdict: holding.came_to(),
        is_recovery: here.iter().any(|exercise| exercise.episode.is_some()),
        rto: episode.and_then(|episode| episode.rto),
        rpo: episode.and_then(|episode| episode.rpo),
        lag_s: lags.filter_map(|lag| lag.longest_s).reduce(longest),
        backend: holding.backend.clone(),
        systems: holding.systems.iter().filter(|system| system.kind == kind).cloned().collect(),
    }
}

fn held_drill(holding: &Holding) -> HeldDrill {
    HeldDrill {
        at: holding.at,
        run: holding.run.clone(),
        verdict: holding.came_to(),
        rto_s: holding.rto_s,
        length_s: holding.length_s,
        episodes: holding.episodes.clone(),
    }
}

fn last_by_verdict(of: &[&Holding]) -> LastByVerdict {
    let last =
        |verdict: Verdict| -> Option<Timestamp> { Some(of.iter().rfind(|holding| holding.came_to() == verdict)?.at) };
    LastByVerdict { met: last(Verdict::Met), missed: last(Verdict::Missed), unmeasured: last(Verdict::Unmeasured) }
}

fn held_controls(holding: &Holding) -> Option<HeldControls> {
    let tally = holding.controls.clone().filter(super::ControlTally::were_held)?;
    Some(HeldControls { at: holding.at, run: holding.run.clone(), tally })
}

/// What is other now than when the drill was held last.
fn changed(last: &Holding, known: Option<&KnownDrill>, today: &Today<'_>) -> Vec<String> {
    let mut changed = Vec::new();
    match (&last.file, known) {
        (_, None) => changed.push("its drill file was not given: it may have changed since".to_owned()),
        (Some(then), Some(now)) if then.digest != now.file.digest => {
            changed.push("the drill file has changed since".to_owned());
        }
        _ => {}
    }
    for now in known.into_iter().flat_map(|known| &known.runbooks) {
        let then: Vec<_> = last.runbooks().filter(|then| then.id == now.id).collect();
        if then.iter().any(|then| then.digest != now.digest) {
            changed.push(format!("{} has changed since", now.id));
        }
    }
    for then in &last.plugins {
        if today.plugins.iter().all(|now| now != then) {
            changed.push(format!("the plugin {} has changed since", then.name));
        }
    }
    if last.version != today.version {
        let then = &last.version;
        let unknown = || "held with an earlier version of Lifeboat".to_owned();
        changed.push(if then.is_empty() { unknown() } else { format!("held with Lifeboat {then}") });
    }
    changed
}
