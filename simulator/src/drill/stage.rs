//! What happens while the systems stand: load, backup, load under way, disaster, detection, recovery, stability, full read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::SignedDuration;
use lifeboat_runtime::session::How;
use tokio::time::{sleep, timeout};

use super::{
    engine::{Engine, Executed, Order},
    error::DrillError,
    evidence::Evidence,
    observer::DrillObserver,
    policy::DrillPolicy,
    request::DrillRequest,
    spec::Fact,
    variant::Variant,
};
use crate::{
    clock::{At, Clock},
    controls::{Facts, Sabotage},
    fault::{Deletion, delete_customers, read_back},
    ledger::{self, Baseline, History, Ledger, Table, Watch},
    measurement::{Outage, StabilityRule, outage},
    probes::{Detection, ProbeLog, ProbePlan, Probers, sample},
    testbed::Testbed,
    workload::{Workload, WorkloadPlan, connect, load, write_marker},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A disaster that no probe sees within this time was none.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// Everything a holding works with.
pub(super) struct Stage<'a> {
    pub(super) request: &'a DrillRequest,
    pub(super) variant: &'a Variant,
    pub(super) engine: &'a Engine,
    pub(super) testbed: &'a Testbed,
    pub(super) observer: &'a dyn DrillObserver,
    pub(super) phase: &'a (dyn Fn(&str) + Sync),
}

/// The application under way, and who watches it.
struct UnderWay {
    clock: Clock,
    baseline: Baseline,
    ledger: Arc<Ledger>,
    log: Arc<ProbeLog>,
    workload: Workload,
    probers: Probers,
}

/// What the disaster and the recovery left.
#[derive(Default)]
struct Recovered {
    deletion: Option<Deletion>,
    detection: Option<Detection>,
    executed: Option<Executed>,
    redundant: Option<At>,
}

impl Stage<'_> {
    /// Plays the whole drill.
    pub(super) async fn play(&self) -> Result<Evidence, DrillError> {
        let clock = Clock::start();
        let spec = &self.request.spec;
        (self.phase)(&format!("loading {} rows", self.variant.size.rows()));
        let mut application = connect(&self.testbed.application(), CONNECT_WITHIN).await?;
        let loading = load(&mut application, &self.variant.size, &clock).await;
        let baseline = loading.map_err(DrillError::database("loading the tables"))?;
        (self.phase)("taking a base backup");
        let backup = self.testbed.base_backup("drill").await?;
        let backup_ended = clock.now();
        let ledger = self.ledger(clock)?;
        let marker = write_marker(application, &ledger, &clock, self.variant.size.damaged().0).await?;
        let under_way = self.set_off(clock, baseline, ledger);
        let instances_before = self.instances()?;
        let steady_from = clock.now();
        (self.phase)(&format!("writers and probes run for {:?}", spec.windows.before_fault));
        sleep(spec.windows.before_fault).await;
        let steady_until = clock.now();
        let recovered = self.strike(&under_way).await?;
        let UnderWay { baseline, ledger, log, workload, probers, .. } = under_way;
        (self.phase)("stopping the writers and reading every row back");
        let writers = workload.stop().await?;
        probers.stop().await;
        let (state, direct) = self.read_everything().await?;
        let probes = self.folder("probes.jsonl");
        log.save(&probes).map_err(DrillError::file(&probes, "written"))?;
        let bindings = self.engine.bindings(&self.testbed.bindings())?;
        Ok(Evidence {
            clock,
            history: History::fold(baseline, ledger::read(ledger.path())?),
            state,
            direct,
            probes: log.all(),
            rule: self.rule(),
            steady_from,
            steady_until: recovered.deletion.as_ref().map_or(steady_until, |deletion| deletion.began),
            deletion: recovered.deletion,
            detection: recovered.detection,
            writers,
            handed_in: ledger.acknowledged(),
            backup,
            backup_ended,
            marker,
            instances_before,
            instances_after: self.instances()?,
            executed: recovered.executed,
            redundant: recovered.redundant,
            systems: self.testbed.systems(),
            notifications: self.testbed.notifications(),
            bindings_digest: bindings.digest,
        })
    }

    fn folder(&self, file: &str) -> std::path::PathBuf {
        self.engine.folder().join(file)
    }

    fn ledger(&self, clock: Clock) -> Result<Arc<Ledger>, DrillError> {
        let rows = sample(&self.variant.size, self.request.spec.probes.sampled_customers, self.request.seed);
        let ledger = Ledger::create(&self.folder("ledger.jsonl"), clock, Watch::new(rows))?;
        if self.variant.sabotage == Sabotage::LostAcknowledgement {
            ledger.sabotage_acknowledgement(100);
        }
        Ok(Arc::new(ledger))
    }

    fn set_off(&self, clock: Clock, baseline: Baseline, ledger: Arc<Ledger>) -> UnderWay {
        let spec = &self.request.spec;
        let application = self.testbed.application();
        let plan = WorkloadPlan {
            size: self.variant.size,
            writers: spec.workload.writers,
            writes_per_second: spec.workload.writes_per_second,
            seed: self.request.seed,
        };
        let probes = ProbePlan {
            application: application.clone(),
            interval: spec.probes.interval,
            answer_within: spec.probes.answer_within,
        };
        let log = Arc::new(ProbeLog::default());
        let workload = Workload::start(plan, &application, &ledger, clock);
        let probers = Probers::start(&probes, &ledger, &log, clock);
        UnderWay { clock, baseline, ledger, log, workload, probers }
    }

    /// The disaster and what follows it; without a fault, the same time of quiet.
    async fn strike(&self, under_way: &UnderWay) -> Result<Recovered, DrillError> {
        let spec = &self.request.spec;
        if !self.variant.fault {
            (self.phase)("no fault: watching");
            sleep(spec.windows.stable).await;
            return Ok(Recovered::default());
        }
        let (first, last) = self.variant.size.damaged();
        (self.phase)(&format!("deleting customers {first} to {last} in one transaction"));
        let mut client = connect(&self.testbed.application(), CONNECT_WITHIN).await?;
        let deleting = delete_customers(&mut client, first, last, &under_way.clock).await;
        let deletion = deleting.map_err(DrillError::database("the mistaken deletion"))?;
        drop(client);
        (self.phase)(&format!("{} rows are gone; waiting for monitoring to notice", deletion.total()));
        let noticing = under_way.log.detect(deletion.began, spec.probes.detect_after);
        let detection = timeout(NOTICED_WITHIN, noticing).await;
        let detection = detection.map_err(|_elapsed| DrillError::NotNoticed { seconds: NOTICED_WITHIN.as_secs() })?;
        (self.phase)(&format!("noticed by the probe `{}`; the engine takes over", detection.kind.title()));
        let executed = self.recover(under_way, &deletion, detection).await?;
        (self.phase)("waiting for a stable window");
        let (redundant, ()) = tokio::join!(self.redundancy(under_way, &executed), self.stability(under_way, &executed));
        let (deletion, detection) = (Some(deletion), Some(detection));
        Ok(Recovered { deletion, detection, executed: Some(executed), redundant: redundant? })
    }

    async fn recover(
        &self,
        under_way: &UnderWay,
        deletion: &Deletion,
        detection: Detection,
    ) -> Result<Executed, DrillError> {
        let spec = &self.request.spec;
        let fact = |fact: Fact| match fact {
            Fact::DamagedTable => format!("public.{}", Table::Customers.name()),
            Fact::LastGoodProbe => under_way.clock.wall(detection.last_good).to_string(),
        };
        let inputs: BTreeMap<String, String> =
            spec.inputs.iter().map(|(name, input)| (name.clone(), fact(input.fact))).collect();
        let order = Order {
            inputs,
            bindings: &self.testbed.bindings(),
            policy: DrillPolicy { name: spec.approvals.policy.clone(), comment: spec.approvals.comment.clone() },
            sabotage: self.variant.sabotage,
            facts: self.facts(under_way, deletion),
            observer: self.observer,
            stop: self.request.stop.clone(),
            at_most: spec.windows.recovery_at_most,
        };
        self.engine.execute(order).await
    }

    /// What the saboteur may know. Set for it alone: neither the engine nor a plugin can see it.
    fn facts(&self, under_way: &UnderWay, deletion: &Deletion) -> Arc<OnceLock<Facts>> {
        let mut items: Vec<i64> =
            deletion.rows.keys().filter(|key| key.table == Table::OrderItems).map(|key| key.id).collect();
        items.sort_unstable();
        Arc::new(OnceLock::from(Facts {
            after_damage: under_way.clock.wall(deletion.committed),
            skipped_items: items.into_iter().step_by(1000).collect(),
            observer: self.testbed.observer(),
        }))
    }

    fn rule(&self) -> StabilityRule {
        let spec = &self.request.spec;
        let probes = spec.windows.stable.as_millis() / spec.probes.interval.as_millis().max(1);
        StabilityRule {
            window: SignedDuration::try_from(spec.windows.stable).unwrap_or(SignedDuration::MAX),
            slowest: SignedDuration::try_from(spec.probes.answer_within).unwrap_or(SignedDuration::MAX),
            // Half of the schedule: a busy machine may skip slots, and still a relapse can not hide between so many.
            probes_at_least: usize::try_from(probes / 2).unwrap_or(usize::MAX).max(2),
        }
    }

    /// Waits for the stable window; a run that did not end well gets the time that one would need, and no more.
    async fn stability(&self, under_way: &UnderWay, executed: &Executed) {
        let window = self.request.spec.windows.stable;
        let finished = executed
            .ended
            .as_ref()
            .is_ok_and(|ended| ended.how == How::Finished(lifeboat_core::event::Outcome::Succeeded));
        let patience = if finished { window * 4 + Duration::from_secs(10) } else { window + Duration::from_secs(1) };
        let rule = self.rule();
        let stable =
            under_way.log.wait_until(|probes| matches!(outage(probes, &rule), Outage::Seen { stable: Some(_), .. }));
        // Whether it came about is read from the probes by the measurement.
        let _ = timeout(patience, stable).await;
    }

    /// Waits until the archive holds the WAL of the recovered state.
    async fn redundancy(&self, under_way: &UnderWay, executed: &Executed) -> Result<Option<At>, DrillError> {
        if !executed.ended.as_ref().is_ok_and(|ended| matches!(ended.how, How::Finished(_))) {
            return Ok(None);
        }
        let what = "asking for the state of the archive";
        let client = connect(&self.testbed.observer(), CONNECT_WITHIN).await?;
        let row = client.query_one("SELECT pg_walfile_name(pg_current_wal_lsn())", &[]).await;
        let segment: String = row.map_err(DrillError::database(what))?.get(0);
        let patience = self.request.spec.archive.interval * 2 + Duration::from_secs(5);
        let archived = async {
            loop {
                const DONE: &str = "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver";
                let row = client.query_one(DONE, &[&segment]).await;
                if row.map_err(DrillError::database(what))?.get::<_, bool>(0) {
                    return Ok(under_way.clock.now());
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(patience, archived).await.ok().transpose()
    }

    async fn read_everything(
        &self,
    ) -> Result<(crate::measurement::FinalState, crate::measurement::FinalState), DrillError> {
        let mut application = connect(&self.testbed.application(), CONNECT_WITHIN).await?;
        let state =
            read_back(&mut application).await.map_err(DrillError::database("the full read of the application"))?;
        let mut observer = connect(&self.testbed.observer(), CONNECT_WITHIN).await?;
        let direct = read_back(&mut observer).await.map_err(DrillError::database("the full read of the server"))?;
        Ok((state, direct))
    }

    /// Names of the restored instances in the work folder.
    fn instances(&self) -> Result<BTreeSet<String>, DrillError> {
        let work = self.testbed.work_folder();
        let entries = std::fs::read_dir(&work).map_err(DrillError::file(&work, "read"))?;
        let names = entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| name.starts_with("lb-")).collect())
    }
}
