//! A line of the history: one holding of a drill, with what coverage must know of it after its folder is gone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::drill::{
    DrillFile, DrillReport, EpisodeReport, Fidelity, Interval, LagReport, PluginReport, RoutineReport, RunbookReport,
    Verdict,
};

/// One holding of a drill. Lines of earlier versions lack what was added since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// When it was over.
    pub at: Timestamp,
    /// The drill's name.
    pub drill: String,
    /// The run of the engine; its folder has the report.
    pub run: String,
    /// `met`, `missed` or `unmeasured`.
    pub verdict: String,
    /// `process` or `container`; empty in lines of earlier versions.
    #[serde(default)]
    pub backend: String,
    /// Lifeboat's version; empty in lines of earlier versions.
    #[serde(default)]
    pub version: String,
    /// Seconds that it took from its start to the end of its teardown, without its controls.
    #[serde(default)]
    pub length_s: Option<f64>,
    /// Recovery time in seconds; `None` where it was not measured.
    #[serde(default)]
    pub rto_s: Option<Interval>,
    /// Recovery point in seconds; `None` where it was not measured.
    #[serde(default)]
    pub rpo_s: Option<Interval>,
    /// Acknowledged writes that are missing; `None` if they could not be counted.
    #[serde(default)]
    pub lost: Option<u64>,
    /// Its recoveries.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub episodes: Vec<HeldEpisode>,
    /// The drill file.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub file: Option<DrillFile>,
    /// What it was measured on.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub systems: Vec<HeldSystem>,
    /// The plugins that executed the runbooks.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub plugins: Vec<PluginReport>,
    /// What came of the known breakages and of the run without a fault.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub controls: Option<ControlTally>,
    /// The looks at standbys, in the order of the timeline.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub lags: Vec<HeldLag>,
    /// The runbooks that were executed and recover nothing, in the order of the timeline.
    #[serde(default, deserialize_with = "as_far_as_known")]
    pub routines: Vec<HeldRoutine>,
}

/// A runbook of a holding that recovers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldRoutine {
    /// Its id.
    pub runbook: String,
    /// `sha256:…` of its file.
    pub runbook_digest: String,
    /// The code with which it had to fail; `null`: it had to succeed.
    pub fails_with: Option<String>,
    /// Whether it ended as it had to.
    pub verdict: Verdict,
}

/// What a later version says in other words is not known; the drill was held all the same.
fn as_far_as_known<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// A recovery of a holding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldEpisode {
    /// The runbook's id.
    pub runbook: String,
    /// `sha256:…` of the runbook's file.
    #[serde(default)]
    pub runbook_digest: String,
    /// The recovery time that users saw, in seconds.
    #[serde(default)]
    pub rto_s: Option<Interval>,
    /// The recovery point, in seconds.
    #[serde(default)]
    pub rpo_s: Option<Interval>,
    /// The recovery time against its objective.
    #[serde(default)]
    pub rto: Option<Against>,
    /// The recovery point against its objective.
    #[serde(default)]
    pub rpo: Option<Against>,
}

/// A measurement against its objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Against {
    /// Seconds, from the objective's clock; `null` where it was not measured, with a `null` upper bound where it never ended.
    pub measured_s: Option<Interval>,
    /// The objective in seconds; `null` where the runbook sets none.
    pub objective_s: Option<f64>,
    /// What it came to.
    pub verdict: Verdict,
}

/// A system of a holding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldSystem {
    /// Its name in the drill file.
    pub role: String,
    /// Its kind.
    pub kind: String,
    /// Its version in its own words.
    pub version: String,
    /// How true its numbers are.
    pub fidelity: Fidelity,
}

/// A look at a standby.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldLag {
    /// The standby.
    pub standby: String,
    /// The kinds of fault that were open.
    pub faults: Vec<String>,
    /// The longest lag in seconds; `null` where it was never seen.
    pub longest_s: Option<Interval>,
    /// What it came to.
    pub verdict: Verdict,
}

/// What came of the known breakages, by their names, and of the run without a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlTally {
    /// Turned the drill red, as they must.
    pub red: Vec<String>,
    /// Were not seen by the drill.
    pub stayed_green: Vec<String>,
    /// Showed nothing.
    pub showed_nothing: Vec<String>,
    /// Whether the run without a fault measured nothing; `null` where it was not held.
    pub without_fault: Option<bool>,
}

impl ControlTally {
    pub(crate) fn of(report: &DrillReport) -> Self {
        let named = |is_meant: fn(bool, bool) -> bool| {
            let meant = report.controls.iter().filter(|it| is_meant(it.turned_red, it.measured));
            meant.map(|control| control.name.clone()).collect()
        };
        Self {
            red: named(|red, _| red),
            stayed_green: named(|red, measured| !red && measured),
            showed_nothing: named(|red, measured| !red && !measured),
            without_fault: report.control_run.as_ref().map(|run| run.passed),
        }
    }

    /// Whether any was held.
    pub fn were_held(&self) -> bool {
        !(self.red.is_empty() && self.stayed_green.is_empty() && self.showed_nothing.is_empty())
            || self.without_fault.is_some()
    }

    /// Why they prove nothing, or that they prove something against the drill, in words; none where each did what it must.
    pub fn against(&self) -> Vec<String> {
        let told = |names: &[String], what: &str| (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")));
        if !self.were_held() {
            return vec!["controls not run".to_owned()];
        }
        let quiet = match self.without_fault {
            None => Some("the run without a fault was not held"),
            Some(false) => Some("the run without a fault did not pass"),
            Some(true) => None,
        };
        let no_breakage = self.red.is_empty() && self.stayed_green.is_empty() && self.showed_nothing.is_empty();
        let all = [
            no_breakage.then(|| "no known breakage was tried".to_owned()),
            told(&self.stayed_green, "control stayed green"),
            told(&self.showed_nothing, "control showed nothing"),
            quiet.map(str::to_owned),
        ];
        all.into_iter().flatten().collect()
    }
}

impl Holding {
    /// The line for a report, but for the length of the drill.
    pub fn of(report: &DrillReport, at: Timestamp) -> Self {
        let longest = report.longest();
        let system = |it: &crate::drill::SystemInfo| HeldSystem {
            role: it.role.clone(),
            kind: it.kind.clone(),
            version: it.version.clone(),
            fidelity: it.fidelity,
        };
        Self {
            at,
            drill: report.drill.clone(),
            run: report.run.clone(),
            verdict: report.verdict.to_string(),
            backend: report.testbed.backend.as_str().to_owned(),
            version: report.version.clone(),
            length_s: None,
            rto_s: longest.and_then(|episode| episode.rto.service_s),
            rpo_s: longest.and_then(|episode| episode.rpo.actual_s),
            lost: report.writes.lost.and_then(|lost| lost.try_into().ok()),
            episodes: report.episodes.iter().map(held_episode).collect(),
            file: report.file.clone(),
            systems: report.testbed.systems.iter().map(system).collect(),
            plugins: report.environment.plugins.clone(),
            controls: Some(ControlTally::of(report)),
            lags: report.lags.iter().map(held_lag).collect(),
            routines: report.routines.iter().map(held_routine).collect(),
        }
    }

    /// The same with what its report tells and the line of an earlier version does not.
    #[must_use]
    pub fn completed(self, report: &DrillReport) -> Self {
        if self.controls.is_some() {
            return self;
        }
        let Self { at, drill, run, verdict, length_s, .. } = self;
        Self { drill, run, verdict, length_s, ..Self::of(report, at) }
    }

    /// What it came to. A word that is not known is no pass.
    pub fn came_to(&self) -> Verdict {
        match self.verdict.as_str() {
            "met" => Verdict::Met,
            "missed" | "failed" => Verdict::Missed,
            _ => Verdict::Unmeasured,
        }
    }

    /// The runbooks that it executed.
    pub fn runbooks(&self) -> impl Iterator<Item = RunbookReport> {
        let of = |id: &String, digest: &String| RunbookReport { id: id.clone(), digest: digest.clone() };
        let episodes = self.episodes.iter().map(move |it| of(&it.runbook, &it.runbook_digest));
        episodes.chain(self.routines.iter().map(move |it| of(&it.runbook, &it.runbook_digest)))
    }
}

fn held_episode(EpisodeReport { runbook, rto, rpo, .. }: &EpisodeReport) -> HeldEpisode {
    HeldEpisode {
        runbook: runbook.id.clone(),
        runbook_digest: runbook.digest.clone(),
        rto_s: rto.service_s,
        rpo_s: rpo.actual_s,
        rto: Some(Against { measured_s: rto.judged_s, objective_s: rto.objective_s, verdict: rto.verdict }),
        rpo: Some(Against { measured_s: rpo.actual_s, objective_s: rpo.objective_s, verdict: rpo.verdict }),
    }
}

fn held_lag(lag: &LagReport) -> HeldLag {
    let LagReport { standby, faults, longest_s, verdict, .. } = lag.clone();
    HeldLag { standby, faults, longest_s, verdict }
}

fn held_routine(RoutineReport { runbook, fails_with, verdict, .. }: &RoutineReport) -> HeldRoutine {
    HeldRoutine {
        runbook: runbook.id.clone(),
        runbook_digest: runbook.digest.clone(),
        fails_with: fails_with.clone(),
        verdict: *verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{ControlReport, testing};

    fn tally(controls: &[(&str, bool, bool)], without_fault: Option<bool>) -> ControlTally {
        let mut report = testing::report();
        let control = |(name, turned_red, measured): &(&str, bool, bool)| ControlReport {
            name: (*name).to_owned(),
            turned_red: *turned_red,
            measured: *measured,
            by: None,
            detail: String::new(),
        };
        report.controls = controls.iter().map(control).collect();
        report.control_run = report.control_run.filter(|_| without_fault.is_some());
        report.control_run.iter_mut().for_each(|run| run.passed = without_fault == Some(true));
        ControlTally::of(&report)
    }

    #[test]
    fn controls_prove_something_only_where_each_did_what_it_must() {
        let check = |controls: &[(&str, bool, bool)], without_fault: Option<bool>, expected: &[&str]| {
            assert_eq!(tally(controls, without_fault).against(), expected);
        };
        let (red, green, nothing) = (("a", true, true), ("b", false, true), ("c", false, false));
        check(&[red], Some(true), &[]);
        check(&[], None, &["controls not run"]);
        check(&[red], None, &["the run without a fault was not held"]);
        check(&[], Some(true), &["no known breakage was tried"]);
        check(
            &[red, green, nothing],
            Some(false),
            &["control stayed green: b", "control showed nothing: c", "the run without a fault did not pass"],
        );
    }

    #[test]
    fn a_line_of_a_later_version_still_says_that_the_drill_was_held() {
        let mut line = serde_json::json!(Holding::of(&testing::report(), Timestamp::UNIX_EPOCH));
        line["file"] = serde_json::json!({ "digest": "sha512:0", "every": "weekly", "exercises": [] });
        line["systems"][0]["fidelity"] = "imagined".into();
        let holding: Holding = serde_json::from_value(line).unwrap();
        assert_eq!((holding.verdict.as_str(), holding.file, holding.systems.len()), ("met", None, 0));
    }

    #[test]
    fn a_line_of_an_earlier_version_is_completed_from_its_report_and_no_other_is() {
        let report = testing::report();
        let now = Holding::of(&report, Timestamp::UNIX_EPOCH);
        let then =
            serde_json::json!({ "at": Timestamp::UNIX_EPOCH, "drill": "DR-003", "run": "r", "verdict": "missed" });
        let then: Holding = serde_json::from_value(then).unwrap();
        assert_eq!((then.controls.as_ref(), then.systems.len()), (None, 0));
        let completed = then.completed(&report);
        assert_eq!((completed.verdict.as_str(), completed.run.as_str()), ("missed", "r"), "what the line says, counts");
        assert_eq!((&completed.episodes, &completed.systems), (&now.episodes, &now.systems));
        let mut other = report.clone();
        other.controls.clear();
        assert_eq!(now.clone().completed(&other), now);
    }
}
