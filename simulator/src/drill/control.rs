//! The results of the negative controls and of the run without a fault.

use crate::{
    controls::Control,
    measurement::{Interval, Verdict},
    report::{self as document, Check, CheckKind, ControlRun, DrillReport, EpisodeReport, StepReport},
};

/// A control counts as red only if the check that should detect it fails. A control that fails for another reason, such as a
/// server that did not start before the broken step, proves nothing.
pub(super) fn control(control: &Control, held: &DrillReport) -> document::ControlReport {
    let step = control.step.as_deref();
    let struck = step.is_some_and(|id| runs(held).any(|steps| has_passed(id, steps)));
    let seen = seen(&control.red_by, held);
    let turned_red = struck && seen == Some(true) && held.verdict == Verdict::Missed;
    document::ControlReport {
        name: control.name.clone(),
        turned_red,
        measured: struck && seen.is_some() && outcomes(held).all(|outcome| outcome != "stopped"),
        by: turned_red.then(|| control.red_by.clone()),
        detail: format!(
            "{}verdict {}{}; {}",
            if struck { "" } else { "the breakage was never reached; " },
            held.verdict,
            damage_left(held),
            did_not_hold(held)
        ),
    }
}

/// How much damage is left, where there was any.
fn damage_left(held: &DrillReport) -> String {
    let damaged = held.writes.damaged_rows;
    let left = held.residual_damage().map_or_else(|| "an unknown number".to_owned(), |rows| rows.to_string());
    if damaged == 0 { String::new() } else { format!(", {left} of {damaged} damaged rows not back") }
}

fn did_not_hold(held: &DrillReport) -> String {
    let mut failed: Vec<&str> = Vec::new();
    for check in held.checks.iter().filter(|check| !check.passed) {
        if !failed.contains(&check.name.as_str()) {
            failed.push(&check.name);
        }
    }
    format!("checks that did not hold: {}", if failed.is_empty() { "none".to_owned() } else { failed.join(", ") })
}

/// The steps of each run of the engine.
fn runs(held: &DrillReport) -> impl Iterator<Item = &[StepReport]> {
    let routines = held.routines.iter().map(|routine| routine.steps.as_slice());
    held.episodes.iter().map(|episode| episode.steps.as_slice()).chain(routines)
}

/// Whether a step took effect, as it must for its breakage to count. What was undone took effect before, unless it was itself what
/// failed: then no other step of the run has.
fn has_passed(id: &str, steps: &[StepReport]) -> bool {
    let another_failed = || steps.iter().any(|step| step.id != id && step.state == "failed");
    let passed = |step: &StepReport| step.state == "succeeded" || (step.state == "undone" && another_failed());
    steps.iter().any(|step| step.id == id && passed(step))
}

/// How each run of the engine ended.
fn outcomes(held: &DrillReport) -> impl Iterator<Item = &str> {
    let routines = held.routines.iter().map(|routine| routine.outcome.as_str());
    held.episodes.iter().map(|episode| episode.outcome.as_str()).chain(routines)
}

/// The name of the run without a fault, and of its folder beside those of the controls.
pub(super) const CONTROL_RUN: &str = "control-run";

/// What can turn a control red and is not a check.
pub(super) const MEASURES: [&str; 3] = ["residual-damage", "rto", "rpo"];

/// Whether the check that must turn red did; `None` if it could not be evaluated.
fn seen(red_by: &str, held: &DrillReport) -> Option<bool> {
    // One missed objective is enough, whatever is unknown about the others.
    let missed = |of: fn(&EpisodeReport) -> Verdict| {
        let verdicts: Vec<Verdict> = held.episodes.iter().map(of).collect();
        let is_missed = verdicts.contains(&Verdict::Missed);
        (is_missed || !verdicts.contains(&Verdict::Unmeasured)).then_some(is_missed)
    };
    match red_by {
        "residual-damage" => held.residual_damage().map(|left| left > 0),
        "rto" => missed(|episode| episode.rto.verdict),
        "rpo" => missed(|episode| episode.rpo.verdict),
        name => {
            let is_meant = |check: &&Check| check.name == name && check.kind == CheckKind::Result;
            let checks: Vec<&Check> = held.checks.iter().filter(is_meant).collect();
            let failed = checks.iter().any(|check| check.measured && !check.passed);
            (failed || (!checks.is_empty() && checks.iter().all(|check| check.measured))).then_some(failed)
        }
    }
}

/// What the controls and the run without a fault say about the drill: an undetected breakage, or a loss without a breakage, is
/// proof against it. A breakage that was never reached, and a failed probe on a busy machine, prove nothing.
pub(super) fn proves(controls: &[document::ControlReport], quiet: &DrillReport) -> Verdict {
    let control = |control: &document::ControlReport| match (control.turned_red, control.measured) {
        (true, _) => Verdict::Met,
        (false, true) => Verdict::Missed,
        (false, false) => Verdict::Unmeasured,
    };
    let lost = quiet.writes.lost.unwrap_or(0) + quiet.writes.lost_loaded_rows.unwrap_or(0);
    let quiet = match (control_run(quiet).passed, quiet.verdict) {
        (true, _) => Verdict::Met,
        (false, Verdict::Missed) => Verdict::Missed,
        (false, _) if lost > 0 => Verdict::Missed,
        (false, _) => Verdict::Unmeasured,
    };
    controls.iter().map(control).fold(quiet, Verdict::and)
}

pub(super) fn control_run(held: &DrillReport) -> ControlRun {
    let zero = |interval: Option<Interval>| interval.is_some_and(|interval| interval.low == 0.0);
    let lost = held.writes.lost.zip(held.writes.lost_loaded_rows);
    let no_probe_failed = held.episodes.iter().all(|episode| episode.instants.t_onset.is_none());
    let is_measured = !(held.episodes.is_empty() && held.lags.is_empty() && held.routines.is_empty());
    let nothing = lost == Some((0, 0)) && no_probe_failed && is_measured;
    let zeros = held.episodes.iter().all(|episode| zero(episode.rto.service_s) && zero(episode.rpo.actual_s));
    let longest = held.longest();
    ControlRun {
        passed: zeros && nothing && held.verdict == Verdict::Met,
        verdict: held.verdict,
        rto_s: longest.and_then(|episode| episode.rto.service_s),
        rpo_s: longest.and_then(|episode| episode.rpo.actual_s),
        acknowledged: held.writes.acknowledged,
        detail: format!(
            "verdict {}, {} writes acknowledged, {}; {}; {}",
            held.verdict,
            held.writes.acknowledged,
            held.writes.lost.map_or_else(|| "losses unmeasured".to_owned(), |lost| format!("{lost} lost")),
            if no_probe_failed { "no probe failed" } else { "a probe failed" },
            did_not_hold(held)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{drill::DrillRequest, report::fixture};

    fn controls() -> Vec<Control> {
        DrillRequest::new("dr-003", "nowhere").unwrap().spec.controls
    }

    /// The broken step has passed, damage is left, and the drill is red by it.
    fn red(control: &Control) -> DrillReport {
        let mut held = fixture();
        held.verdict = Verdict::Missed;
        held.episodes[0].rpo.residual_damage = Some(12);
        let id = control.step.clone().unwrap();
        let step = StepReport { id, state: "succeeded".to_owned(), ..held.episodes[0].steps[0].clone() };
        held.episodes[0].steps = vec![step];
        held
    }

    #[test]
    fn a_control_that_the_drill_does_not_see_by_the_damage_stays_green() {
        type Doctor = fn(&mut DrillReport);
        let table: [(&str, Doctor); 5] = [
            ("the drill is met all the same", |held| held.verdict = Verdict::Met),
            ("it is unmeasured", |held| held.verdict = Verdict::Unmeasured),
            ("it is red by something else", |held| held.episodes[0].rpo.residual_damage = Some(0)),
            ("nobody could look for damage", |held| held.episodes[0].rpo.residual_damage = None),
            ("the broken step was never reached", |held| held.episodes[0].steps[0].state = "failed".to_owned()),
        ];
        let controls = controls();
        assert_eq!(controls.len(), 3);
        for breakage in &controls {
            let seen = control(breakage, &red(breakage));
            assert!(seen.turned_red && seen.by.as_deref() == Some("residual-damage"), "{seen:?}");
            for (story, doctor) in table {
                let mut held = red(breakage);
                doctor(&mut held);
                let seen = control(breakage, &held);
                assert!(!seen.turned_red && seen.by.is_none(), "{story}: {seen:?}");
            }
        }
    }

    #[test]
    fn a_step_that_was_undone_took_effect_unless_it_is_what_failed() {
        let step = |id: &str, state: &str| StepReport {
            id: id.to_owned(),
            state: state.to_owned(),
            ..fixture().episodes[0].steps[0].clone()
        };
        let check = |steps: &[(&str, &str)], expect: bool| {
            let steps: Vec<StepReport> = steps.iter().map(|(id, state)| step(id, state)).collect();
            assert_eq!(has_passed("restore", &steps), expect, "{steps:?}");
        };
        check(&[("restore", "succeeded")], true);
        check(&[("restore", "undone"), ("compare", "failed")], true);
        check(&[("restore", "undone"), ("compare", "cancelled")], false);
        check(&[("restore", "failed"), ("compare", "failed")], false);
        check(&[("compare", "succeeded")], false);
    }

    #[test]
    fn a_control_that_shows_nothing_leaves_the_drill_unmeasured() {
        let quiet = || {
            let mut held = fixture();
            held.episodes[0].rto.service_s = Some(Interval::between(0.0, 0.1));
            held.episodes[0].rpo.actual_s = Some(Interval::between(0.0, 0.1));
            held.episodes[0].instants.t_onset = None;
            held
        };
        let with = |doctor: fn(&mut DrillReport)| {
            let no_op = controls().remove(1);
            let mut held = red(&no_op);
            doctor(&mut held);
            proves(&[control(&no_op, &held)], &quiet())
        };
        assert_eq!(with(|_| {}), Verdict::Met);
        assert_eq!(with(|held| held.verdict = Verdict::Met), Verdict::Missed);
        assert_eq!(with(|held| held.episodes[0].rpo.residual_damage = Some(0)), Verdict::Missed);
        assert_eq!(with(|held| held.episodes[0].rpo.residual_damage = None), Verdict::Unmeasured);
        assert_eq!(with(|held| held.episodes[0].steps[0].state = "failed".to_owned()), Verdict::Unmeasured);
        let without_fault = |doctor: fn(&mut DrillReport)| {
            let mut held = quiet();
            doctor(&mut held);
            proves(&[], &held)
        };
        assert_eq!(without_fault(|_| {}), Verdict::Met);
        assert_eq!(
            without_fault(|held| held.episodes[0].instants.t_onset = held.episodes[0].instants.t_start),
            Verdict::Unmeasured
        );
        assert_eq!(without_fault(|held| held.verdict = Verdict::Unmeasured), Verdict::Unmeasured);
        assert_eq!(without_fault(|held| held.verdict = Verdict::Missed), Verdict::Missed);
        assert_eq!(without_fault(|held| held.writes.lost = Some(1)), Verdict::Missed);
    }

    #[test]
    fn a_control_is_seen_by_what_it_names_alone() {
        let mut held = fixture();
        held.episodes[0].rto.verdict = Verdict::Missed;
        held.episodes[0].rpo.verdict = Verdict::Met;
        held.episodes[0].rpo.residual_damage = None;
        held.checks[0].kind = CheckKind::Result;
        held.checks[0].passed = false;
        let name = held.checks[0].name.clone();
        assert_eq!(seen("rto", &held), Some(true));
        assert_eq!(seen("rpo", &held), Some(false));
        assert_eq!(seen("residual-damage", &held), None);
        assert_eq!(seen(&name, &held), Some(true));
        assert_eq!(seen("no-such-check", &held), None);
        held.checks[0].kind = CheckKind::Evidence;
        assert_eq!(seen(&name, &held), None, "evidence that is missing shows nothing");
        held.episodes[0].rto.verdict = Verdict::Unmeasured;
        assert_eq!(seen("rto", &held), None);
    }

    #[test]
    fn a_run_without_a_fault_that_measures_anything_has_failed() {
        let quiet = || {
            let mut held = fixture();
            held.episodes[0].rto.service_s = Some(Interval::between(0.0, 0.1));
            held.episodes[0].rpo.actual_s = Some(Interval::between(0.0, 0.1));
            held.episodes[0].instants.t_onset = None;
            held
        };
        assert!(control_run(&quiet()).passed);
        type Doctor = fn(&mut DrillReport);
        let table: [(&str, Doctor); 8] = [
            ("a lost write", |held| held.writes.lost = Some(1)),
            ("a lost row of the load", |held| held.writes.lost_loaded_rows = Some(1)),
            ("losses that nobody counted", |held| held.writes.lost = None),
            ("an outage", |held| held.episodes[0].instants.t_onset = held.episodes[0].instants.t_start),
            ("a recovery time", |held| held.episodes[0].rto.service_s = Some(Interval::between(0.2, 0.4))),
            ("no recovery time at all", |held| held.episodes[0].rto.service_s = None),
            ("a loss", |held| held.episodes[0].rpo.actual_s = Some(Interval::between(0.2, 0.4))),
            ("a check that did not hold", |held| held.verdict = Verdict::Unmeasured),
        ];
        for (story, doctor) in table {
            let mut held = quiet();
            doctor(&mut held);
            assert!(!control_run(&held).passed, "{story}");
        }
    }
}
