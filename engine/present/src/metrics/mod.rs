//! What monitoring must know of rehearsals and of verified backups, in the text format of Prometheus, under the names that
//! disaster-recovery plans use.
//!
//! What is not known is absent, never 0: an age of something that never happened would raise no alert, or a wrong one. No sample has a time
//! of its own, which the textfile collector refuses. Everything that says when something happened is a timestamp, so that an alert
//! goes on counting when nobody writes the file any more.

mod backups;
mod exposition;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

pub use self::backups::{BackupLook, look};
use self::exposition::{Family, Labels};
use crate::{
    coverage::{Coverage, DrillCoverage, RoutineCoverage},
    drill::Verdict,
    history::{Against, HeldEpisode},
};

/// The labels that samples have; no other label may have one of these names.
pub const LABELS: [&str; 8] = ["drill", "runbook", "recovery", "bound", "verdict", "result", "targets", "version"];

/// The document. `labels` are added to each sample; their names are none of [`LABELS`].
pub fn metrics(coverage: &Coverage, backups: &[BackupLook], labels: &[(String, String)], version: &str) -> String {
    let mut families = drills(&coverage.drills);
    families.extend(objectives(&coverage.drills));
    families.extend(routines(&coverage.routines));
    families.extend(self::backups(backups));
    let mut written = Family::new(
        "lifeboat_metrics_written_timestamp",
        "When these metrics were written, in seconds since 1970. Alert on its age: whoever writes them may have stopped.",
    );
    written.put([("version", version)], seconds(coverage.at));
    families.push(written);
    families.iter().map(|family| family.text(labels)).collect()
}

fn seconds(at: Timestamp) -> f64 {
    at.as_duration().as_secs_f64().floor()
}

fn drills(drills: &[DrillCoverage]) -> Vec<Family> {
    let mut last = Family::new("restore_drill_last_timestamp", "When the drill was last held, in seconds since 1970.");
    let mut length = Family::new(
        "restore_drill_duration_seconds",
        "How long the last holding of the drill took, without its controls.",
    );
    let mut holdings = Family::new("restore_drill_holdings", "How often the drill was held; 0 where it never was.");
    let mut interval =
        Family::new("restore_drill_interval_seconds", "How often the drill has to be held, where its file says so.");
    let mut overdue = Family::new(
        "restore_drill_overdue",
        "Whether the drill was overdue when this was written; only where its file says how often it has to be held.",
    );
    let mut by_verdict = Family::new(
        "restore_drill_verdict_timestamp",
        "When the drill last had that verdict, in seconds since 1970; absent where it never had.",
    );
    let mut verdict =
        Family::new("restore_drill_last_verdict", "1 for the verdict of the last holding, 0 for the others.");
    let mut controls = Family::new(
        "restore_drill_controls",
        "Known breakages by what came of them, in the last holding that tried them. One that stayed green means that the drill is blind to it.",
    );
    let mut controls_at = Family::new(
        "restore_drill_controls_timestamp",
        "When the drill was last held with controls, in seconds since 1970; absent where it never was.",
    );
    let mut changes = Family::new(
        "restore_drill_changes",
        "What is other now than when the drill was last held: files, plugins, version.",
    );
    for it in drills {
        let name = it.drill.as_str();
        let drill = [("drill", name)];
        holdings.put(drill, it.held as f64);
        if let Some(every) = it.every {
            interval.put(drill, every.at_most().as_secs_f64());
        }
        it.overdue.into_iter().for_each(|is| overdue.put(drill, f64::from(u8::from(is))));
        let Some(held) = &it.last else { continue };
        last.put(drill, seconds(held.at));
        held.length_s.into_iter().for_each(|seconds| length.put(drill, seconds));
        changes.put(drill, it.changed.len() as f64);
        let at = it.last_by_verdict;
        for (is, at) in [(Verdict::Met, at.met), (Verdict::Missed, at.missed), (Verdict::Unmeasured, at.unmeasured)] {
            let word = is.to_string();
            let labels = [("drill", name), ("verdict", word.as_str())];
            verdict.put(labels, f64::from(u8::from(is == held.verdict)));
            at.into_iter().for_each(|at| by_verdict.put(labels, seconds(at)));
        }
        if let Some(held) = &it.controls {
            controls_at.put(drill, seconds(held.at));
            let tally = &held.tally;
            let results =
                [("red", &tally.red), ("stayed_green", &tally.stayed_green), ("showed_nothing", &tally.showed_nothing)];
            results
                .into_iter()
                .for_each(|(is, names)| controls.put([("drill", name), ("result", is)], names.len() as f64));
        }
    }
    vec![last, length, holdings, interval, overdue, by_verdict, verdict, controls, controls_at, changes]
}

/// Runbooks that have to be executed regularly.
fn routines(routines: &[RoutineCoverage]) -> Vec<Family> {
    let mut succeeded = Family::new(
        "lifeboat_runbook_last_success_timestamp",
        "When a runbook that has to be executed regularly last succeeded without exceptions, in seconds since 1970; absent where it never did.",
    );
    let mut interval = Family::new(
        "lifeboat_runbook_interval_seconds",
        "How often the runbook has to be executed with success, as it says itself.",
    );
    for it in routines {
        let runbook = [("runbook", it.runbook.as_str())];
        interval.put(runbook, it.every.at_most().as_secs_f64());
        it.succeeded.into_iter().for_each(|at| succeeded.put(runbook, seconds(at)));
    }
    vec![succeeded, interval]
}

/// What is measured of a recovery.
type Part = fn(&HeldEpisode) -> Option<Against>;

/// Each recovery of the last holding against its objectives. One that never ended has no upper bound: `+Inf`.
fn objectives(drills: &[DrillCoverage]) -> Vec<Family> {
    let parts: [(&str, Part); 2] = [("rto", |it| it.rto), ("rpo", |it| it.rpo)];
    let family = |(what, part): (&str, Part)| {
        let (name, is) = match what {
            "rto" => ("recovery time", "until users were served again"),
            _ => ("recovery point", "of writes that were lost"),
        };
        let mut measured = Family::new(
            format!("restore_drill_{what}_seconds"),
            format!(
                "The {name} of the last holding {is}, as far as it was measured: both bounds; an upper one of +Inf: it never ended."
            ),
        );
        let mut objective = Family::new(
            format!("restore_drill_{what}_objective_seconds"),
            format!("The objective for the {name}, where the runbook sets one."),
        );
        for it in drills {
            let episodes = it.last.iter().flat_map(|last| &last.episodes);
            for (number, episode) in (1..).zip(episodes) {
                let Some(against) = part(episode) else { continue };
                let recovery = number.to_string();
                let labels = [("drill", it.drill.as_str()), ("recovery", &recovery), ("runbook", &episode.runbook)];
                against.objective_s.into_iter().for_each(|seconds| objective.put(labels, seconds));
                if let Some(interval) = against.measured_s {
                    let [drill, recovery, runbook] = labels;
                    measured.put([drill, recovery, runbook, ("bound", "lower")], interval.low);
                    let upper = interval.high.unwrap_or(f64::INFINITY);
                    measured.put([drill, recovery, runbook, ("bound", "upper")], upper);
                }
            }
        }
        [measured, objective]
    };
    parts.into_iter().flat_map(family).collect()
}

/// The last look at backups of each runbook on each set of targets.
fn backups(looks: &[BackupLook]) -> Vec<Family> {
    let mut verified = Family::new(
        "backup_verification_last_timestamp",
        "When a run that verifies backups last ended so, in seconds since 1970; absent where none ever did.",
    );
    let mut taken = Family::new(
        "backup_last_success_timestamp",
        "When the newest backup was taken, in seconds since 1970, as the last look at it found; it does not grow between two looks.",
    );
    let mut size = Family::new("backup_size_bytes", "The size of that backup.");
    let mut oldest_first: Vec<&BackupLook> = looks.iter().collect();
    oldest_first.sort_by_key(|look| look.at);
    for look in oldest_first {
        let on: Labels<'_, 2> = [("runbook", look.runbook.as_str()), ("targets", look.targets.as_str())];
        let [runbook, targets] = on;
        let result = if look.is_verified { "succeeded" } else { "failed" };
        verified.put([runbook, targets, ("result", result)], seconds(look.at));
        look.taken.into_iter().for_each(|at| taken.put(on, seconds(at)));
        look.size_bytes.into_iter().for_each(|bytes| size.put(on, bytes as f64));
    }
    vec![verified, taken, size]
}
