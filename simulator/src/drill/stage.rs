//! What happens while the systems stand: load, backup, load under way, disaster, detection, recovery, stability, full read.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use lifeboat_runtime::session::How;
use tokio::time::{sleep, timeout};

use super::{
    engine::{Engine, Executed, Order},
    error::DrillError,
    evidence::{Evidence, Reading},
    observer::DrillObserver,
    request::DrillRequest,
    spec::Fact,
    steady,
    variant::Variant,
};
use crate::{
    clock::{At, Clock},
    controls::{Facts, Sabotage},
    fault::{Deletion, Mistake, delete_customers, read_back},
    host::{Load, Readiness},
    ledger::{self, Baseline, History, Ledger, Table, Watch},
    measurement::{FinalState, Outage, Probe, Stability, StabilityRule, outage},
    probes::{Detection, ProbeLog, ProbePlan, Probers, is_down, sample},
    testbed::{BackupInfo, Testbed, WorkEntry},
    workload::{
        GoneOn, Workload, WorkloadError, WorkloadPlan, WriterReport, connect, go_on, load, orders_of, write_marker,
    },
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Monitoring that has not noticed a disaster by then never will.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);
/// A full read that takes longer is given up: it hangs.
const READ_WITHIN: Duration = Duration::from_secs(600);
/// A machine that is not steady after so long never will be.
const STEADY_WITHIN: Duration = Duration::from_secs(60);
/// The probes are judged so often while a stable window is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const PROBES: &str = "probes.jsonl";

/// Everything a holding works with.
pub(super) struct Stage<'a> {
    pub(super) request: &'a DrillRequest,
    pub(super) variant: &'a Variant,
    pub(super) engine: &'a Engine,
    pub(super) testbed: &'a Testbed,
    pub(super) observer: &'a dyn DrillObserver,
    pub(super) phase: &'a (dyn Fn(&str) + Sync),
    pub(super) ready: Readiness,
}

/// What stands before the application is set off.
struct Prepared {
    clock: Clock,
    baseline: Baseline,
    backup: BackupInfo,
    backup_ended: At,
    ledger: Arc<Ledger>,
    marker: i64,
    work: Vec<WorkEntry>,
}

/// The application under way, and who watches it.
struct UnderWay {
    clock: Clock,
    ledger: Arc<Ledger>,
    log: Arc<ProbeLog>,
    workload: Workload,
    probers: Probers,
}

/// What the disaster and the recovery left.
#[derive(Default)]
struct Recovered {
    deletion: Option<Deletion>,
    gone_on: GoneOn,
    detection: Option<Detection>,
    executed: Option<Executed>,
    redundant: Option<At>,
    /// The end of the last probe with which the service was known to be stable; `None`: it never was.
    watched_until: Option<At>,
    load: Load,
}

/// What was found after the application had stopped.
struct Found {
    writers: WriterReport,
    state: Reading<FinalState>,
    direct: Reading<FinalState>,
    work: Reading<Vec<WorkEntry>>,
}

impl Stage<'_> {
    /// Plays the whole drill. From the disaster on, what fails belongs to what is measured: the ledger, the probes and the
    /// journal are on disk as they come about, and what cannot be read is evidence that is missing, not an error.
    pub(super) async fn play(&self) -> Result<Evidence, DrillError> {
        let bindings = self.engine.bindings(&self.testbed.bindings())?;
        let prepared = self.unless_stopped(self.prepare()).await?;
        let clock = prepared.clock;
        let under_way = self.set_off(clock, &prepared.ledger)?;
        let steady_from = self.unless_stopped(self.steady(&under_way)).await?;
        let steady_until = clock.now();
        let recovered = self.strike(&under_way).await?;
        (self.phase)("stopping the writers and reading every row back");
        let (ledger, log) = (Arc::clone(&under_way.ledger), Arc::clone(&under_way.log));
        let found = self.unless_stopped(self.wind_up(under_way)).await?;
        log.kept().map_err(DrillError::file(&self.folder(PROBES), "written"))?;
        Ok(Evidence {
            clock,
            history: History::fold(prepared.baseline, ledger::read(ledger.path())?),
            state: found.state,
            direct: found.direct,
            probes: log.all(),
            watched_until: recovered.watched_until,
            rule: self.rule(),
            steady_from,
            steady_until: recovered.deletion.as_ref().map_or(steady_until, |deletion| deletion.began),
            deletion: recovered.deletion,
            gone_on: recovered.gone_on,
            detection: recovered.detection,
            writers: found.writers,
            handed_in: ledger.acknowledged(),
            backup: prepared.backup,
            backup_ended: prepared.backup_ended,
            marker: prepared.marker,
            work_before: prepared.work,
            work_after: found.work,
            executed: recovered.executed,
            redundant: recovered.redundant,
            systems: self.testbed.systems(),
            notifications: self.testbed.notifications(),
            bindings_digest: bindings.digest,
            ready: self.ready,
            load_at_fault: recovered.load,
            load_at_end: Load::now(),
        })
    }

    /// Gives up what is being done when the drill is to end. The engine is not asked this way: it ends its calls first.
    async fn unless_stopped<T>(&self, doing: impl Future<Output = Result<T, DrillError>>) -> Result<T, DrillError> {
        tokio::select! {
            biased;
            () = self.request.stop.cancelled() => Err(DrillError::Stopped),
            done = doing => done,
        }
    }

    async fn prepare(&self) -> Result<Prepared, DrillError> {
        let clock = Clock::start();
        (self.phase)(&format!("loading {} rows", self.variant.size.rows()));
        let mut application = connect(&self.testbed.application(), CONNECT_WITHIN).await?;
        let loading = load(&mut application, &self.variant.size, &clock).await;
        let baseline = loading.map_err(DrillError::database("loading the tables"))?;
        (self.phase)("taking a base backup");
        let backup = self.testbed.base_backup("drill").await?;
        let backup_ended = clock.now();
        let ledger = self.ledger(clock)?;
        let marker = write_marker(application, &ledger, &clock, self.variant.size.damaged().0).await?;
        let work = self.testbed.work_entries(self.engine.run.as_str()).await?;
        Ok(Prepared { clock, baseline, backup, backup_ended, ledger, marker, work })
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

    fn set_off(&self, clock: Clock, ledger: &Arc<Ledger>) -> Result<UnderWay, DrillError> {
        let spec = &self.request.spec;
        let application = self.testbed.application();
        let plan = WorkloadPlan {
            size: self.variant.size,
            habits: spec.workload.habits,
            writers: spec.workload.writers,
            writes_per_second: spec.workload.writes_per_second,
            seed: self.request.seed,
        };
        let probes = ProbePlan {
            application: application.clone(),
            interval: spec.probes.interval,
            answer_within: spec.probes.answer_within,
        };
        let path = self.folder(PROBES);
        let log = Arc::new(ProbeLog::create(&path).map_err(DrillError::file(&path, "written"))?);
        let workload = Workload::start(plan, &application, ledger, clock);
        let probers = Probers::start(&probes, ledger, &log, clock);
        Ok(UnderWay { clock, ledger: Arc::clone(ledger), log, workload, probers })
    }

    /// Lets the application and the probes run until they have done so for long enough, undisturbed and often enough to be
    /// evidence; the beginning of that time. A machine that never gets there is told so, and the checks will say what is missing.
    async fn steady(&self, under_way: &UnderWay) -> Result<At, DrillError> {
        let (spec, clock) = (&self.request.spec, under_way.clock);
        let length = spec.windows.before_fault;
        (self.phase)(&format!("writers and probes run for {length:?}"));
        let give_up = clock.now()
            + SignedDuration::try_from(STEADY_WITHIN.min(spec.windows.recovery_at_most)).unwrap_or(SignedDuration::MAX);
        loop {
            let (from, before) = (clock.now(), under_way.ledger.acknowledged());
            pause(length).await?;
            let (until, acknowledged) = (clock.now(), under_way.ledger.acknowledged() - before);
            let missing = [
                steady::probes_missing(&under_way.log.all(), from, until, &spec.probes),
                steady::writes_missing(
                    usize::try_from(acknowledged).unwrap_or(usize::MAX),
                    from,
                    until,
                    &spec.workload,
                ),
            ];
            let missing: Vec<String> = missing.into_iter().flatten().collect();
            if missing.is_empty() || until >= give_up {
                return Ok(from);
            }
            (self.phase)(&format!(
                "the drill goes on without a fault, because it is not steady yet: {}",
                missing.join("; ")
            ));
        }
    }

    /// The disaster and what follows it; without a fault, the same time of quiet.
    async fn strike(&self, under_way: &UnderWay) -> Result<Recovered, DrillError> {
        let spec = &self.request.spec;
        if !self.variant.fault {
            (self.phase)("no fault: watching");
            self.unless_stopped(pause(spec.windows.stable)).await?;
            return Ok(Recovered { watched_until: Some(under_way.clock.now()), ..Recovered::default() });
        }
        let load = Load::now();
        let deletion = self.unless_stopped(self.delete(&under_way.clock)).await?;
        (self.phase)(&format!("{} rows are gone, and the application goes on", deletion.total()));
        let gone_on = self.unless_stopped(self.go_on(under_way)).await?;
        (self.phase)("waiting for monitoring to notice");
        let noticing = under_way.log.detect(deletion.began, spec.probes.detect_after);
        // Whoever notices when the recovery should be over has not noticed.
        let within = NOTICED_WITHIN.min(spec.windows.recovery_at_most);
        let noticing = async { Ok(timeout(within, noticing).await.ok()) };
        let Some(detection) = self.unless_stopped(noticing).await? else {
            (self.phase)(&format!("nobody noticed within {within:?}: there is no recovery"));
            return Ok(Recovered { deletion: Some(deletion), gone_on, load, ..Recovered::default() });
        };
        (self.phase)(&format!("noticed by the probe `{}`; the engine takes over", detection.kind.title()));
        let executed = self.recover(under_way, &deletion, detection).await?;
        (self.phase)("waiting for a stable window");
        let redundancy = self.redundancy(under_way, &executed);
        let settling = async { Ok(tokio::join!(redundancy, self.stability(under_way, &executed, deletion.began))) };
        let (redundant, watched_until) = self.unless_stopped(settling).await?;
        Ok(Recovered {
            deletion: Some(deletion),
            gone_on,
            detection: Some(detection),
            executed: Some(executed),
            redundant,
            watched_until,
            load,
        })
    }

    async fn delete(&self, clock: &Clock) -> Result<Deletion, DrillError> {
        let (first, last) = self.variant.size.damaged();
        (self.phase)(&format!("deleting customers {first} to {last} in one transaction"));
        let closed = self.request.spec.workload.habits.accounts_closed(&self.variant.size);
        let emptied_orders = orders_of(&self.variant.size, &closed);
        let mut client = connect(&self.testbed.application(), CONNECT_WITHIN).await?;
        let mistake = Mistake { customers: (first, last), emptied_orders };
        let deleting = delete_customers(&mut client, &mistake, clock).await;
        deleting.map_err(DrillError::database("the mistaken deletion"))
    }

    /// What the application does to the damage, because it does not know of it.
    async fn go_on(&self, under_way: &UnderWay) -> Result<GoneOn, DrillError> {
        let client = connect(&self.testbed.application(), CONNECT_WITHIN).await?;
        let habits = &self.request.spec.workload.habits;
        let going = go_on(client, habits, &self.variant.size, &under_way.ledger, &under_way.clock).await;
        Ok(going.map_err(WorkloadError::from)?)
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
            policy: spec.approvals.rule(),
            sabotage: self.variant.sabotage,
            facts: self.facts(under_way, deletion),
            observer: self.observer,
            stop: self.request.stop.clone(),
            at_most: spec.windows.recovery_at_most,
        };
        let executed = self.engine.execute(order).await?;
        // The same token has stopped the engine, which has ended its calls by now.
        if self.request.stop.is_cancelled() { Err(DrillError::Stopped) } else { Ok(executed) }
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
            // Half of the schedule: a busy machine may skip slots, and still a relapse cannot hide between so many.
            probes_at_least: usize::try_from(probes / 2).unwrap_or(usize::MAX).max(2),
        }
    }

    /// Waits until the measurement can prove a stable window; the end of the last probe that it needed, or `None` where none came
    /// about.
    ///
    /// A run that did not end well gets the time that a window would need, and no more. After one that did, a service that is
    /// plainly down gets a few windows; where only probes are missing, the drill waits as long as a recovery may take.
    async fn stability(&self, under_way: &UnderWay, executed: &Executed, fault: At) -> Option<At> {
        let spec = &self.request.spec;
        let window = spec.windows.stable;
        let finished = executed.is_success();
        let patience = if finished { window * 4 + Duration::from_secs(10) } else { window + Duration::from_secs(1) };
        let at_most = if finished { patience.max(spec.windows.recovery_at_most) } else { patience };
        let rule = self.rule();
        let (begun, mut looked) = (Instant::now(), None::<Instant>);
        let mut proven = None;
        let settled = |probes: &[Probe]| {
            if looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
                return false;
            }
            looked = Some(Instant::now());
            let seen = outage(probes, &rule, Some(fault));
            let is_stable = matches!(seen, Outage::Seen { stability: Stability { not_after: Some(_), .. }, .. });
            proven = is_stable.then(|| probes.iter().map(|probe| probe.ended).max()).flatten();
            is_stable || (begun.elapsed() > patience && is_down(probes, spec.probes.detect_after))
        };
        // Whether it came about is read from the probes by the measurement.
        let _ = timeout(at_most, under_way.log.wait_until(settled)).await;
        proven
    }

    /// Waits until the archive holds the WAL of the recovered state. `None`: it does not, or nobody can tell.
    async fn redundancy(&self, under_way: &UnderWay, executed: &Executed) -> Option<At> {
        if !executed.ended.as_ref().is_ok_and(|ended| matches!(ended.how, How::Finished(_))) {
            return None;
        }
        let client = connect(&self.testbed.observer(), CONNECT_WITHIN).await.ok()?;
        let row = client.query_one("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)", &[]).await.ok()?;
        let segment: String = row.get(0);
        let archived = async {
            loop {
                const DONE: &str = "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver";
                if client.query_one(DONE, &[&segment]).await.ok()?.get(0) {
                    return Some(under_way.clock.now());
                }
                sleep(Duration::from_millis(200)).await;
            }
        };
        let patience = self.request.spec.archive.interval * 2 + Duration::from_secs(5);
        timeout(patience, archived).await.ok().flatten()
    }

    /// Ends the application and looks at what is left.
    async fn wind_up(&self, under_way: UnderWay) -> Result<Found, DrillError> {
        let UnderWay { workload, probers, .. } = under_way;
        let writers = workload.stop().await?;
        probers.stop().await;
        let work = self.testbed.work_entries(self.engine.run.as_str()).await;
        Ok(Found {
            writers,
            state: read_everything(&self.testbed.application()).await,
            direct: read_everything(&self.testbed.observer()).await,
            work: work.map_err(|error| error.to_string()),
        })
    }
}

async fn pause(length: Duration) -> Result<(), DrillError> {
    sleep(length).await;
    Ok(())
}

/// The full read from an endpoint.
async fn read_everything(endpoint: &tokio_postgres::Config) -> Reading<FinalState> {
    let reading = async {
        let mut client = connect(endpoint, CONNECT_WITHIN).await.map_err(|error| chain(&error))?;
        read_back(&mut client).await.map_err(|error| chain(&error))
    };
    timeout(READ_WITHIN, reading).await.unwrap_or_else(|_elapsed| Err(format!("no answer within {READ_WITHIN:?}")))
}

/// The driver's own text says little; what stands behind it says why. An error that only passes another on says nothing new.
fn chain(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
