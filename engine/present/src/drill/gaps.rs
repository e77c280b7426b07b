//! What a drill did not cover, derived from its report: what an auditor would otherwise have to find out. A testbed is never production, so
//! there is always something.

use std::collections::BTreeMap;

use super::{Check, CheckKind, DrillReport, EpisodeReport, Fidelity};

/// Something that a drill did not cover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What was not covered.
    pub what: String,
    /// Why, and what that means.
    pub why: String,
}

fn gap(what: impl Into<String>, why: impl Into<String>) -> Gap {
    Gap { what: what.into(), why: why.into() }
}

/// Everything that the drill did not cover, what weighs most first.
pub fn gaps(report: &DrillReport) -> Vec<Gap> {
    let mut gaps = controls(report);
    gaps.extend(measurements(report));
    gaps.extend(checks(report));
    gaps.extend(checklist(report));
    gaps.extend(losses(report));
    gaps.extend(testbed(report));
    gaps.extend(report.scaled.iter().map(|scaled| {
        let (drill, production) = (&scaled.drill, &scaled.production);
        gap(&scaled.name, format!("{drill} in the drill, {production} in production. {}", scaled.worst_case))
    }));
    gaps.extend(people(report));
    gaps.extend(spread(report));
    gaps.extend(not_applied(report));
    gaps.extend(records(report));
    gaps
}

/// Checks that show nothing. A result that was looked at and is wrong is no gap: it is a miss.
fn checks(report: &DrillReport) -> impl Iterator<Item = Gap> {
    let shows_nothing = |check: &&Check| !check.measured || (check.kind == CheckKind::Evidence && !check.passed);
    report.checks.iter().filter(shows_nothing).map(|check| gap(&check.name, &check.detail))
}

/// Whether the drill would have seen a failure.
fn controls(report: &DrillReport) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if report.controls.is_empty() {
        gaps.push(gap(
            "Known breakages",
            "No control was run: nothing shows that this drill would see a recovery that is wrong.",
        ));
    }
    gaps.extend(report.controls.iter().filter(|control| !control.turned_red).map(|control| {
        let why = if control.measured { "The drill stayed green" } else { "It showed nothing" };
        gap(format!("The known breakage {}", control.name), format!("{why}: {}", control.detail))
    }));
    match &report.control_run {
        None => gaps.push(gap(
            "The same without a fault",
            "It was not held: nothing shows that this drill measures nothing where nothing happens.",
        )),
        Some(run) if !run.passed => {
            gaps.push(gap("The same without a fault", format!("It did not pass: {}", run.detail)))
        }
        Some(_) => {}
    }
    gaps
}

fn measurements(report: &DrillReport) -> Vec<Gap> {
    if report.episodes.is_empty() && report.lags.is_empty() && report.routines.is_empty() {
        return vec![gap("Everything", "Neither a recovery nor a standby was measured, and no runbook was executed.")];
    }
    let mut gaps = Vec::new();
    if report.episodes.is_empty() {
        let only = if report.lags.is_empty() { "executes runbooks that recover nothing" } else { "watches standbys" };
        gaps.push(gap("Recovery", format!("The drill recovers nothing: it only {only}.")));
    }
    let several = report.episodes.len() > 1;
    for episode in &report.episodes {
        let of = if several { format!(" in {}", episode.runbook.id) } else { String::new() };
        gaps.extend(unmeasured(episode).into_iter().map(|(what, why)| gap(format!("{what}{of}"), why)));
    }
    gaps.extend(report.lags.iter().filter(|lag| lag.longest_s.is_none() || lag.missing.is_some()).map(|lag| {
        let why = lag.missing.clone().unwrap_or_else(|| "It was never seen.".to_owned());
        gap(format!("Lag of {}", lag.standby), why)
    }));
    gaps
}

/// What was not measured of a recovery.
fn unmeasured(episode: &EpisodeReport) -> Vec<(&'static str, String)> {
    let (rto, rpo) = (&episode.rto, &episode.rpo);
    let missing = |missing: &Option<String>| missing.clone().unwrap_or_else(|| "It was not measured.".to_owned());
    let has_damage = episode.instants.damage.is_some();
    let told = [
        (rto.judged_s.is_none() || rto.missing.is_some(), "Recovery time", missing(&rto.missing)),
        (rto.objective_s.is_none(), "An objective for the recovery time", "The runbook sets none.".to_owned()),
        (rpo.actual_s.is_none() || rpo.missing.is_some(), "Recovery point", missing(&rpo.missing)),
        (rpo.objective_s.is_none(), "An objective for the recovery point", "The runbook sets none.".to_owned()),
        (
            has_damage && rpo.residual_damage.is_none(),
            "Residual damage",
            "The records could not be read in the end.".to_owned(),
        ),
        (
            rto.redundancy_s.is_none(),
            "Time to redundancy",
            "When the recovered data was protected again was not measured.".to_owned(),
        ),
    ];
    told.into_iter().filter(|(is, ..)| *is).map(|(_, what, why)| (what, why)).collect()
}

/// Points of the check list that nothing in the drill shows.
fn checklist(report: &DrillReport) -> impl Iterator<Item = Gap> {
    let points = report.checklist.iter().flat_map(|list| &list.points).filter(|point| point.shown_by.is_empty());
    points.map(|point| gap(format!("Check list: {}", point.point), "Nothing in this drill shows it."))
}

fn losses(report: &DrillReport) -> Vec<Gap> {
    let writes = &report.writes;
    let mut gaps = Vec::new();
    match writes.lost {
        None => gaps.push(gap("Lost writes", "The records could not be read in the end.")),
        Some(lost) if lost > report.lost_writes.len() => gaps.push(gap(
            "Each lost write",
            format!("Of {lost} lost writes the oldest {} are listed.", report.lost_writes.len()),
        )),
        Some(_) => {}
    }
    if writes.unknown > 0 {
        let why = format!("{} had no answer. They count neither as lost nor as kept.", writes.unknown);
        gaps.push(gap("Writes without an answer", why));
    }
    let resolution = report.episodes.iter().filter_map(|episode| episode.rpo.resolution_s).reduce(f64::max);
    gaps.extend(resolution.map(|seconds| {
        gap("Short losses", format!("A loss of less than {seconds:.2} s of writes could not have been seen."))
    }));
    gaps
}

/// How far what was drilled on is from what is meant.
fn testbed(report: &DrillReport) -> Vec<Gap> {
    let (backend, rows) = (report.testbed.backend.as_str(), report.writes.loaded_rows);
    let mut gaps = vec![
        gap(
            "Production",
            format!("The drill has systems of its own (testbed {backend}), with its own network and settings."),
        ),
        gap("Production's data", format!("{rows} records were loaded. A restore takes longer the more there is.")),
    ];
    gaps.extend(report.testbed.systems.iter().filter_map(|system| {
        let why = match system.fidelity {
            Fidelity::Real => return None,
            Fidelity::Emulated => "An emulator took its place: its times are the emulator's.",
            Fidelity::Modelled => "A model took its place: its times are computed.",
        };
        Some(gap(format!("{} ({})", system.role, system.kind), why))
    }));
    gaps
}

fn people(report: &DrillReport) -> Option<Gap> {
    let why = format!(
        "Questions were answered by {}. The time that people need to decide is not in the numbers.",
        report.approvals
    );
    (!report.episodes.is_empty()).then(|| gap("People", why))
}

fn spread(report: &DrillReport) -> Option<Gap> {
    let why = "The drill was held once: how much its numbers vary is not known.";
    (report.samples.len() < 2).then(|| gap("Variation", why))
}

/// Checks that had nothing to look at, together where they need the same.
fn not_applied(report: &DrillReport) -> Vec<Gap> {
    let Some(not_applied) = &report.not_applied else {
        return vec![gap("Checks that do not apply", "The report is of an earlier version, which does not say which.")];
    };
    let mut by_need: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for check in not_applied {
        let names = by_need.entry(&check.needs).or_default();
        if !names.contains(&check.name.as_str()) {
            names.push(&check.name);
        }
    }
    let told = |(needs, names): (&str, Vec<&str>)| {
        gap(names.join(", "), format!("Not checked: for that the drill would need {needs}."))
    };
    by_need.into_iter().map(told).collect()
}

/// What the report itself does not tell.
fn records(report: &DrillReport) -> Vec<Gap> {
    let told = [
        (
            report.held.is_none(),
            "When, where and for whom",
            "The report is of an earlier version, which does not say it.",
        ),
        (report.environment.host.is_none(), "Load of the machine", "It was not measured."),
        (
            report.environment.host.is_some_and(|host| host.before.too_busy),
            "A machine with time for the probes",
            "This one was too busy before the drill, so probes may be missing.",
        ),
    ];
    told.into_iter().filter(|(is, ..)| *is).map(|(_, what, why)| gap(what, why)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{ControlReport, NotApplied, read};

    fn report() -> DrillReport {
        read(include_str!("tests/report.json")).unwrap()
    }

    fn told(report: &DrillReport) -> String {
        gaps(report).iter().map(|gap| format!("{}: {}\n", gap.what, gap.why)).collect()
    }

    #[test]
    fn what_was_not_covered_is_told() {
        insta::assert_snapshot!(told(&report()));
    }

    #[test]
    fn a_drill_that_measured_little_says_all_that_it_did_not() {
        let mut report = report();
        (report.held, report.environment.host) = (None, None);
        report.controls = vec![ControlReport {
            name: "no-op-restore".to_owned(),
            turned_red: false,
            measured: false,
            by: None,
            detail: "the breakage was never reached".to_owned(),
        }];
        report.control_run.as_mut().unwrap().passed = false;
        report.writes.lost = None;
        let episode = &mut report.episodes[0];
        (episode.rto.judged_s, episode.rto.objective_s, episode.rpo.residual_damage) = (None, None, None);
        episode.rto.missing = Some("too few probes".to_owned());
        report.testbed.systems[0].fidelity = Fidelity::Emulated;
        let check = |name: &str| NotApplied { name: name.to_owned(), episode: None, needs: "a standby".to_owned() };
        report.not_applied = Some(vec![check("standbys-agree"), check("service-undisturbed"), check("standbys-agree")]);
        report.checks.push(Check {
            name: "endpoints-agree".to_owned(),
            episode: None,
            kind: CheckKind::Result,
            passed: false,
            measured: false,
            detail: "not measured: refused".to_owned(),
        });
        insta::assert_snapshot!(told(&report));
    }

    /// The list cannot hide what nobody asked for.
    #[test]
    fn controls_that_were_not_run_are_always_told() {
        let mut report = report();
        assert!(!told(&report).contains("No control was run"));
        report.controls.clear();
        report.control_run = None;
        report.episodes.clear();
        for text in ["No control was run", "It was not held", "Neither a recovery nor a standby was measured"] {
            assert!(told(&report).contains(text), "{text}");
        }
    }

    #[test]
    fn nothing_that_was_measured_is_told_as_a_gap() {
        let mut report = report();
        report.episodes[0].rto.redundancy_s = report.episodes[0].rto.service_s;
        report.samples.push(report.samples[0].clone());
        report.environment.host = report.environment.host.map(|mut host| {
            host.before.too_busy = false;
            host
        });
        let text = told(&report);
        for covered in
            ["Time to redundancy", "Variation", "Recovery time", "Lost writes", "Known breakages", "machine with"]
        {
            assert!(!text.contains(covered), "{covered}: {text}");
        }
    }
}
