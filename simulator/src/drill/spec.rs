//! A drill file.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::SignedDuration;
use lifeboat_core::{diagnostic::SourceFile, document::Document};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{damage, error::DrillError, grammar::DRILL, policy::DrillPolicy, systems, timeline};
use crate::{
    controls::Control,
    fault::{self, Fault, FaultError},
    model::Size,
    report::{Checklist, Every},
    testbed::{ArchiveSpec, SystemSpec},
    workload::shop::Habits,
};

/// A drill as its author wrote it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillSpec {
    /// Version of the language.
    pub lifeboat: u32,
    /// Its name in reports.
    pub drill: String,
    /// How much is loaded.
    pub size: Size,
    /// How much for the controls; `None`: the same.
    pub control_size: Option<Size>,
    /// The application.
    pub workload: WorkloadSpec,
    /// The probes.
    pub probes: ProbeSpec,
    /// How long the service must be healthy.
    pub windows: Windows,
    /// The systems of the testbed, by name.
    pub systems: BTreeMap<String, SystemSpec>,
    /// What answers the runbooks' questions; without a recovery there are no questions.
    #[serde(default)]
    pub approvals: Approvals,
    /// What happens, in order.
    pub timeline: Vec<Moment>,
    /// Known breakages that must turn the drill red.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// How often it has to be held; `None`: nobody says so.
    #[serde(default)]
    pub every: Option<Every>,
    /// The check list that it is held for.
    #[serde(default)]
    pub checklist: Option<Checklist>,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Writers and probes run undisturbed for this time.
    Steady(#[serde(deserialize_with = "duration")] Duration),
    /// A disaster.
    Fault(FaultSpec),
    /// A runbook is executed: an episode of the report.
    Recover(RecoverSpec),
    /// The fault of that kind ends, as far as it can end by itself.
    Heal(String),
    /// A standby is watched: how far is it behind?
    Lag(LagSpec),
    /// A runbook is executed that recovers nothing, such as a verification.
    Routine(RoutineSpec),
}

/// A disaster: its kind, and the parameters that the kind has.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct FaultSpec(Value);

impl FaultSpec {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// The system that it names first, if it names one.
    pub(super) fn system(&self) -> Option<&str> {
        let (key, _) = fault::kind(self.kind())?.systems.first()?;
        self.0[key].as_str()
    }

    /// The disaster itself.
    ///
    /// # Errors
    /// If the spec does not match the tables, which the grammar refuses.
    pub fn fault(&self) -> Result<Box<dyn Fault>, FaultError> {
        let kind = fault::kind(self.kind()).ok_or_else(|| FaultError::Unknown(self.kind().to_owned()))?;
        Ok((kind.make)(&self.0)?)
    }
}

/// A recovery.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverSpec {
    /// The runbook, relative to the drill file.
    pub runbook: String,
    /// Which system plays a role of another name. Each other system plays the role of its own name.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// The step whose success means that the data is back.
    pub restored_by: String,
    /// The runbook's inputs, each filled with something that a responder would know.
    #[serde(default)]
    pub inputs: BTreeMap<String, FactInput>,
    /// The engine is stopped after this time.
    #[serde(deserialize_with = "duration")]
    pub at_most: Duration,
}

/// A runbook that recovers nothing, and how it has to end.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoutineSpec {
    /// The runbook, relative to the drill file.
    pub runbook: String,
    /// Which system plays a role of another name. Each other system plays the role of its own name.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// It has to fail with this code and name what a fault has damaged; `None`: it has to succeed.
    #[serde(default)]
    pub fails_with: Option<String>,
    /// The engine is stopped after this time.
    #[serde(deserialize_with = "duration")]
    pub at_most: Duration,
}

impl RoutineSpec {
    /// The same as the engine executes it: no step of it brings anything back, and it has its own inputs.
    pub(super) fn as_recovery(&self) -> RecoverSpec {
        RecoverSpec {
            runbook: self.runbook.clone(),
            roles: self.roles.clone(),
            restored_by: String::new(),
            inputs: BTreeMap::new(),
            at_most: self.at_most,
        }
    }
}

/// How long a standby is watched, and the limits for its lag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LagSpec {
    /// The standby.
    pub of: String,
    /// How long.
    #[serde(default)]
    pub during: Option<SignedDuration>,
    /// Instead: until its lag is at most `at_most`, but not longer than this.
    #[serde(default)]
    pub within: Option<SignedDuration>,
    /// Its lag must never exceed this.
    #[serde(default)]
    pub at_most: Option<SignedDuration>,
    /// Its lag must reach this at some time; otherwise what should slow it does not.
    #[serde(default)]
    pub at_least: Option<SignedDuration>,
}

/// The application's writers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkloadSpec {
    /// The system that keeps its records.
    pub store: String,
    /// The switch through which it reaches the store; `None`: on its own path.
    pub through: Option<String>,
    /// What it does after the fault, unaware of the damage.
    #[serde(default)]
    pub habits: Habits,
    /// How many.
    pub writers: u32,
    /// Of all writers together.
    pub writes_per_second: u32,
}

/// The probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// The time from one probe of a kind to the next.
    #[serde(deserialize_with = "duration")]
    pub interval: Duration,
    /// A probe without an answer fails after this time.
    #[serde(deserialize_with = "duration")]
    pub answer_within: Duration,
    /// Customers in the content sample; an order and an item of each are read too.
    pub sampled_customers: usize,
    /// How many failures in a row make monitoring notice.
    pub detect_after: usize,
}

/// How long the service must be healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// A window this long without a failed probe counts as stable.
    #[serde(deserialize_with = "duration")]
    pub stable: Duration,
    /// The window in production.
    #[serde(deserialize_with = "duration")]
    pub stable_in_production: Duration,
}

/// The policy that answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvals {
    /// Its name.
    pub policy: String,
    /// Its comment.
    pub comment: String,
    /// The evidence that it gives for steps that are done by hand, by name.
    pub evidence: BTreeMap<String, String>,
}

impl Approvals {
    /// The policy itself.
    pub(super) fn rule(&self) -> DrillPolicy {
        DrillPolicy { name: self.policy.clone(), comment: self.comment.clone(), evidence: self.evidence.clone() }
    }
}

/// An input that is filled with a fact that a responder would know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactInput {
    /// The name of a fact: from a fault before the recovery, or from monitoring.
    pub fact: String,
}

/// `8s`, `100ms`, `10m`: as in runbooks.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed: SignedDuration = text.parse().map_err(serde::de::Error::custom)?;
    Duration::try_from(parsed).map_err(serde::de::Error::custom)
}

impl DrillSpec {
    /// Reads a drill file and reports all its problems at once.
    ///
    /// # Errors
    /// [`DrillError::Diagnostics`] with each problem and its place.
    pub fn parse(file: &SourceFile) -> Result<Self, DrillError> {
        let document = Self::document(file);
        document.finish().map_err(|diagnostics| DrillError::of(file.clone(), diagnostics))
    }

    /// The file with the problems that it has on its own, without its runbooks.
    pub(super) fn document(file: &SourceFile) -> Document<'_> {
        let mut document = Document::read(file, &DRILL);
        damage::fits(&mut document);
        stability_fits(&mut document);
        systems::fit(&mut document);
        timeline::fits(&mut document);
        document
    }

    /// The recoveries, in order.
    pub fn recoveries(&self) -> impl Iterator<Item = &RecoverSpec> {
        self.timeline.iter().filter_map(|moment| match moment {
            Moment::Recover(recover) => Some(recover),
            _ => None,
        })
    }

    /// The routines, in order.
    pub fn routines(&self) -> impl Iterator<Item = &RoutineSpec> {
        self.timeline.iter().filter_map(|moment| match moment {
            Moment::Routine(routine) => Some(routine),
            _ => None,
        })
    }

    /// The runbooks that it executes.
    pub fn runbooks(&self) -> impl Iterator<Item = &str> {
        let recoveries = self.recoveries().map(|recover| recover.runbook.as_str());
        recoveries.chain(self.routines().map(|routine| routine.runbook.as_str()))
    }

    /// The standbys that are watched, each once.
    pub fn watched_standbys(&self) -> BTreeSet<&str> {
        let watched = self.timeline.iter().filter_map(|moment| match moment {
            Moment::Lag(lag) => Some(lag.of.as_str()),
            _ => None,
        });
        watched.collect()
    }

    /// The archive of the store, if it has one.
    pub fn archive(&self) -> Option<ArchiveSpec> {
        self.systems.get(&self.workload.store).and_then(SystemSpec::archive)
    }

    /// The longest time that the drill allows for a recovery; `None`: nothing is recovered.
    pub fn recovery_at_most(&self) -> Option<Duration> {
        self.recoveries().map(|recover| recover.at_most).max()
    }
}

/// A window without a failed probe says something only if there were probes in it.
fn stability_fits(document: &mut Document<'_>) {
    let length = |document: &Document<'_>, path: &[&str]| document.get::<SignedDuration>(path);
    let Some(interval) = length(document, &["probes", "interval"]) else { return };
    if length(document, &["windows", "stable"]).is_some_and(|stable| stable < interval.saturating_mul(4)) {
        let message = format!("the stability window is shorter than four probe intervals of {interval:#}");
        let help = format!("at least {:#}", interval.saturating_mul(4));
        document.contradiction_with_help(&["windows", "stable"], message, "too short", help);
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::diagnostic::render;

    use super::*;

    const SHIPPED: &str = include_str!("../../../workflows/drills/dr-003.yaml");

    fn parse(text: String) -> Result<DrillSpec, DrillError> {
        DrillSpec::parse(&SourceFile { name: "drill.yaml".to_owned(), text })
    }

    #[test]
    fn the_shipped_drill_is_as_large_as_it_must_be() {
        let spec = parse(SHIPPED.to_owned()).expect("valid");
        assert!(spec.size.rows() >= 200_000);
        assert!(spec.size.damaged_customers >= 10_000);
        assert_eq!((spec.workload.writers, spec.workload.writes_per_second), (4, 200));
    }

    #[test]
    fn habits_need_customers_to_have_them_with() {
        let small = "control_size: { customers: 100, orders: 100, order_items: 100, damaged_customers: 6 }";
        let line = SHIPPED.lines().find(|line| line.starts_with("control_size")).expect("is there");
        let mut text = SHIPPED.replace(line, small);
        assert!(
            matches!(parse(text.clone()), Err(DrillError::Diagnostics { diagnostics, .. }) if diagnostics.len() == 1)
        );
        text = text.replace("made_again: 10, accounts_closed: 5", "made_again: 6, accounts_closed: 100");
        let Err(DrillError::Diagnostics { file, diagnostics, .. }) = parse(text.clone()) else {
            panic!("too many accounts")
        };
        assert!(
            render(&file, &diagnostics, false).contains("100 of `accounts_closed` are too many for `control_size`")
        );
        text = text.replace("accounts_closed: 100", "accounts_closed: 5");
        assert!(parse(text).is_ok());
    }

    #[test]
    fn a_timeline_must_make_sense_in_its_order() {
        let changed = |changes: &[(&str, &str)]| {
            let mut text = SHIPPED.to_owned();
            for (from, to) in changes {
                assert!(text.contains(from), "{from}");
                text = text.replacen(from, to, 1);
            }
            match parse(text) {
                Err(DrillError::Diagnostics { file, diagnostics, .. }) => render(&file, &diagnostics, false),
                other => panic!("{other:?}"),
            }
        };
        let fault = "  - fault: { kind: accidental-deletion }\n";
        insta::assert_snapshot!(
            [
                changed(&[("fact: last_good_probe", "fact: the_culprit"), ("fact: after_damage", "fact: nobody")]),
                changed(&[(fault, "")]),
                changed(&[
                    ("  - steady: 8s\n", ""),
                    (fault, "  - fault: { kind: accidental-deletion }\n  - heal: region-loss\n")
                ]),
                changed(&[
                    ("does: nothing", "does: nothing, with: {}"),
                    ("step: settle, with: { decision: take }", "step: settle")
                ]),
            ]
            .join("\n")
        );
    }

    #[test]
    fn systems_must_fit_each_other_and_what_is_said_of_them() {
        let mut text = include_str!("../../../workflows/drills/standby-lag.yaml").to_owned();
        assert!(parse(text.clone()).is_ok());
        for (from, to) in [
            ("east: { kind: postgres, region: east,", "east: { kind: postgres, region: outside,"),
            (
                "  app: { kind: switch, to: east }",
                "  app: { kind: switch, to: oncall }\n  oncall: { kind: webhook }\n  ring: { kind: standby, of: loop, mode: async }\n  loop: { kind: standby, of: ring, mode: slow }",
            ),
            ("store: east, through: app", "store: oncall, through: west"),
            ("lag: { of: west, during: 4s, at_most: 1s }", "lag: { of: east, during: 4s }"),
            ("fault: { kind: delay, from: east, to: west", "fault: { kind: delay, from: north, to: nowhere"),
            ("at_least: 200ms, at_most: 3s", "at_least: 4s, at_most: 3s"),
            ("within: 20s, at_most: 1s", "within: 20s, at_least: 1s"),
            ("kind: host-crash, system: west", "kind: host-crash, system: app"),
            (
                "  - steady: 3s\n",
                "  - recover: { runbook: dr-002.yaml, roles: { standby: wets }, restored_by: promote, at_most: 5m }\n",
            ),
        ] {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let Err(DrillError::Diagnostics { file, diagnostics, .. }) = parse(text) else { panic!("full of mistakes") };
        insta::assert_snapshot!(render(&file, &diagnostics, false));
    }

    #[test]
    fn a_routine_fails_only_for_what_is_open() {
        let shipped = include_str!("../../../workflows/drills/bv-001.yaml");
        assert!(parse(shipped.to_owned()).is_ok());
        let check = |from: &str, to: &str, message: &str| {
            assert!(shipped.contains(from), "{from}");
            let Err(DrillError::Diagnostics { diagnostics, .. }) = parse(shipped.replacen(from, to, 1)) else {
                panic!("no mistake: {to}")
            };
            assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
            assert_eq!(diagnostics[0].message, message);
        };
        let first = "  - routine: { runbook: ../backup-seal.yaml, at_most: 5m }";
        let failing = "  - routine: { runbook: ../backup-seal.yaml, fails_with: pg-not-sealed, at_most: 5m }";
        check(first, failing, "no fault is open that this routine could find");
        let policy = "approvals:\n  policy: drill-approves\n  comment: Approved by the drill's policy; nobody was asked\n  evidence: {}\n";
        check(policy, "", "the drill executes a runbook but has no policy that answers its questions");
        check("machine: recovery, how: bit-flip", "machine: primary, how: bit-flip", "`primary` is a `postgres`");
    }

    #[test]
    fn a_drill_that_measures_nothing_is_none() {
        let shipped = include_str!("../../../workflows/drills/standby-lag.yaml");
        let (head, _) = shipped.split_once("  - lag:").expect("is there");
        let Err(DrillError::Diagnostics { diagnostics, .. }) = parse(head.to_owned()) else { panic!("no mistake") };
        assert_eq!(diagnostics.len(), 1, "{diagnostics:#?}");
        assert_eq!(diagnostics[0].message, "this drill recovers nothing and measures nothing");
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_places() {
        let mut text = SHIPPED.to_owned();
        for (from, to) in [
            ("lifeboat: 1\n", "lifeboat: 2\n"),
            ("kind: accidental-deletion", "kind: accidental-deletoin"),
            ("orders: 60000", "orders: 600"),
            ("damaged_customers: 2400", "damaged_customers: 50000"),
            ("writers: 4", "writers: 0"),
            ("detect_after: 3", "detekt_after: 3"),
            ("steady: 8s", "steady: eight"),
            ("stable: 5s", "stable: 300ms"),
            ("  policy: drill-approves\n", ""),
            ("fact: last_good_probe", "fact: the_culprit"),
        ] {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let error = parse(text).expect_err("full of mistakes");
        let DrillError::Diagnostics { file, diagnostics, .. } = error else { panic!("{error}") };
        insta::assert_snapshot!(render(&file, &diagnostics, false));
    }
}
