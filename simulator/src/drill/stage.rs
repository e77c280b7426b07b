//! What happens while the systems run: load, backup, load under way, the timeline, full read.

use std::{path::Path, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::{sleep, timeout};

use super::{
    engine::{Engine, Engines},
    error::DrillError,
    evidence::{Evidence, Reading, Walked},
    holding::Holding,
    observer::DrillObserver,
    phase::Phase,
    request::DrillRequest,
    steady,
};
use crate::{
    clock::{At, Clock},
    controls::{Breakage, Control},
    host::{self, Readiness},
    ledger::{self, Baseline, History, Inside, Key, Ledger, Watch},
    measurement::FinalState,
    model::{baseline, sample},
    probes::{Lookouts, ProbeLog, ProbePlan, Probers, Sightings},
    store::{Client, Endpoint},
    testbed::{BackupInfo, Door, Testbed, WorkEntry},
    workload::{
        Generator, Schedule, Workload, WriterReport,
        shop::{Partition, write_marker},
    },
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A full read that takes longer hangs and is abandoned.
const READ_WITHIN: Duration = Duration::from_secs(600);
/// A machine that is not steady after this time never will be.
const STEADY_WITHIN: Duration = Duration::from_secs(60);
/// The lane of the beats that ask whether there is a second primary.
const OTHERS: &str = "another server";
const PROBES: &str = "probes.jsonl";
const SIGHTINGS: &str = "standbys.jsonl";

/// Everything a holding works with.
pub(super) struct Stage<'a> {
    pub(super) request: &'a DrillRequest,
    pub(super) holding: &'a Holding,
    /// One for each runbook of the timeline.
    pub(super) engines: &'a Engines,
    /// The folder with all files of the drill.
    pub(super) folder: &'a Path,
    pub(super) testbed: &'a Testbed,
    pub(super) observer: &'a dyn DrillObserver,
    pub(super) phase: &'a (dyn Fn(Phase) + Sync),
    pub(super) ready: Readiness,
}

/// What exists before the application starts.
struct Prepared {
    clock: Clock,
    baseline: Baseline,
    backups: Vec<BackupInfo>,
    backup_ended: At,
    ledger: Arc<Ledger>,
    marker: Key,
    work: Vec<WorkEntry>,
}

/// The running application, and what watches it.
pub(super) struct UnderWay {
    pub(super) clock: Clock,
    pub(super) ledger: Arc<Ledger>,
    pub(super) log: Arc<ProbeLog>,
    pub(super) sightings: Arc<Sightings>,
    /// What clients that are not the application were told.
    pub(super) inside: Inside,
    workload: Workload,
    probers: Probers,
    lookouts: Lookouts,
}

/// What was found after the application had stopped.
struct Found {
    writers: WriterReport,
    state: Reading<FinalState>,
    direct: Reading<FinalState>,
    replicas: Vec<(String, Reading<FinalState>)>,
    work: Reading<Vec<WorkEntry>>,
    others_take_writes: Vec<(String, bool)>,
    new_backups: Reading<Vec<String>>,
}

impl Stage<'_> {
    /// Plays the whole drill. After the disaster, failures are part of what is measured: the ledger, the probes and the journal
    /// are written to disk as they happen, and what cannot be read is missing evidence, not an error.
    pub(super) async fn play(&self) -> Result<Evidence, DrillError> {
        let bindings = self.bindings()?;
        let prepared = self.unless_stopped(self.prepare()).await?;
        let clock = prepared.clock;
        let under_way = self.set_off(clock, &prepared.ledger)?;
        let Walked { episodes, rest, lagged, ran } = self.walk(&under_way).await?;
        (self.phase)(Phase::Reading);
        let (ledger, log) = (Arc::clone(&under_way.ledger), Arc::clone(&under_way.log));
        let (sightings, inside) = (Arc::clone(&under_way.sightings), under_way.inside.clone());
        let found = self.unless_stopped(self.wind_up(under_way, &prepared.backups)).await?;
        let intruder = self.unless_stopped(async { Ok(self.look_for_intruders(&episodes).await) }).await?;
        log.kept().map_err(DrillError::file(&self.folder.join(PROBES), "written"))?;
        sightings.kept().map_err(DrillError::file(&self.folder.join(SIGHTINGS), "written"))?;
        Ok(Evidence {
            clock,
            history: History::fold(prepared.baseline, ledger::read(ledger.path())?),
            state: found.state,
            direct: found.direct,
            probes: log.all(),
            rule: self.rule(),
            episodes,
            rest,
            lagged,
            ran,
            sightings: sightings.all(),
            replicas: found.replicas,
            intruder,
            writers: found.writers,
            handed_in: ledger.acknowledged(),
            backups: prepared.backups,
            backup_ended: prepared.backup_ended,
            marker: prepared.marker,
            work_before: prepared.work,
            work_after: found.work,
            inside: inside.all(),
            others_take_writes: found.others_take_writes,
            new_backups: found.new_backups,
            systems: self.testbed.infos(),
            notifications: self.testbed.notifications(),
            bindings_digest: bindings,
            ready: self.ready,
            load_at_end: host::load(),
        })
    }

    /// The digest of the bindings, after every runbook was checked against them. Recoveries with other roles have others.
    fn bindings(&self) -> Result<String, DrillError> {
        let digest = |engine: &Engine| Ok(engine.bindings(&self.testbed.bindings(&engine.recover.roles))?.digest);
        let digests: Result<Vec<String>, DrillError> = self.engines.all().map(digest).collect();
        let mut digests = digests?;
        digests.dedup();
        Ok(digests.join(", "))
    }

    /// Abandons the current work when the drill is to end. The engine is not stopped this way: it ends its calls first.
    pub(super) async fn unless_stopped<T>(
        &self,
        doing: impl Future<Output = Result<T, DrillError>>,
    ) -> Result<T, DrillError> {
        tokio::select! {
            biased;
            () = self.request.stop.cancelled() => Err(DrillError::Stopped),
            done = doing => done,
        }
    }

    async fn prepare(&self) -> Result<Prepared, DrillError> {
        let clock = Clock::start();
        (self.phase)(Phase::Loading { records: self.holding.size.rows() });
        let mut application = self.client(&self.application()?).await?;
        application.load(&self.holding.size).await.map_err(DrillError::database("loading the tables"))?;
        let baseline = Baseline { acknowledged: clock.now(), ..baseline(&self.holding.size) };
        application.settle().await.map_err(DrillError::database("loading the tables"))?;
        if self.request.spec.runbooks().next().is_some() {
            (self.phase)(Phase::BackingUp);
        }
        let backups = self.testbed.base_backups("drill").await?;
        let backup_ended = clock.now();
        let ledger = self.ledger(clock)?;
        let damaged = self.holding.size.damaged().0;
        let marker = write_marker(application.as_mut(), &ledger, &clock, damaged).await?;
        let work = self.testbed.inventory(&self.runs()).await?;
        Ok(Prepared { clock, baseline, backups, backup_ended, ledger, marker, work })
    }

    /// The route by which the application reaches its store.
    pub(super) fn door(&self) -> Door {
        self.testbed.door(self.request.spec.workload.through.as_deref())
    }

    /// The application's path to its store.
    pub(super) fn application(&self) -> Result<Arc<dyn Endpoint>, DrillError> {
        self.endpoint(&self.request.spec.workload.store, self.door())
    }

    /// The observer's path, which no fault can reach, to the server that has the application's records now.
    pub(super) fn observer(&self) -> Result<Arc<dyn Endpoint>, DrillError> {
        self.endpoint(self.store_now(), Door::Observer)
    }

    /// The server to which the application is directed: its store, until a runbook sends it to another one.
    pub(super) fn store_now(&self) -> &str {
        let workload = &self.request.spec.workload;
        let directed = workload.through.as_deref().and_then(|switch| self.testbed.directed_to(switch));
        directed.unwrap_or(&workload.store)
    }

    pub(super) fn endpoint(&self, store: &str, door: Door) -> Result<Arc<dyn Endpoint>, DrillError> {
        let none = || DrillError::NoStore { name: store.to_owned() };
        self.testbed.endpoint(store, door).ok_or_else(none)
    }

    pub(super) async fn client(&self, endpoint: &Arc<dyn Endpoint>) -> Result<Box<dyn Client>, DrillError> {
        Ok(endpoint.connect(CONNECT_WITHIN).await?)
    }

    fn runs(&self) -> Vec<&str> {
        self.engines.all().map(|engine| engine.run.as_str()).collect()
    }

    fn ledger(&self, clock: Clock) -> Result<Arc<Ledger>, DrillError> {
        let rows = sample(&self.holding.size, self.request.spec.probes.sampled_customers, self.request.seed);
        let ledger = Ledger::create(&self.folder.join("ledger.jsonl"), clock, Watch::new(rows))?;
        if let Some(Control { breakage: Breakage::LosesAcknowledgement(nth), .. }) = &self.holding.sabotage {
            ledger.sabotage_acknowledgement(*nth);
        }
        Ok(Arc::new(ledger))
    }

    fn set_off(&self, clock: Clock, ledger: &Arc<Ledger>) -> Result<UnderWay, DrillError> {
        let spec = &self.request.spec;
        let application = self.application()?;
        let (workload, size) = (&spec.workload, &self.holding.size);
        let generator = |number| -> Box<dyn Generator> {
            Box::new(Partition::new(size, &workload.habits, number, workload.writers, self.request.seed))
        };
        let generators = (0..workload.writers).map(generator).collect();
        let schedule = Schedule { writes_per_second: workload.writes_per_second };
        let probes = ProbePlan {
            application: Arc::clone(&application),
            interval: spec.probes.interval,
            answer_within: spec.probes.answer_within,
        };
        let path = self.folder.join(PROBES);
        let log = Arc::new(ProbeLog::create(&path).map_err(DrillError::file(&path, "written"))?);
        let path = self.folder.join(SIGHTINGS);
        let sightings = Arc::new(Sightings::create(&path).map_err(DrillError::file(&path, "written"))?);
        let watched = self.watched()?;
        let workload = Workload::start(generators, schedule, &application, ledger, clock);
        let probers = Probers::start(&probes, ledger, &log, clock);
        let lookouts = Lookouts::start(watched, probes.interval, probes.answer_within, &sightings, clock);
        let (ledger, inside) = (Arc::clone(ledger), Inside::default());
        Ok(UnderWay { clock, ledger, log, sightings, inside, workload, probers, lookouts })
    }

    /// Lets the application and the probes run until they are evidence: undisturbed, long enough and often enough. Returns that
    /// time. If the machine never gets there, the observer is told, and the checks say what is missing.
    pub(super) async fn steady(&self, under_way: &UnderWay, length: Duration) -> Result<(At, At), DrillError> {
        let (spec, clock) = (&self.request.spec, under_way.clock);
        (self.phase)(Phase::Steady { length });
        let at_most = spec.recovery_at_most().map_or(STEADY_WITHIN, |at_most| at_most.min(STEADY_WITHIN));
        let give_up = clock.now() + SignedDuration::try_from(at_most).unwrap_or(SignedDuration::MAX);
        loop {
            let (from, before) = (clock.now(), under_way.ledger.acknowledged());
            sleep(length).await;
            let (until, acknowledged) = (clock.now(), under_way.ledger.acknowledged() - before);
            let acknowledged = usize::try_from(acknowledged).unwrap_or(usize::MAX);
            let missing = [
                steady::probes_missing(&under_way.log.all(), from, until, &spec.probes),
                steady::writes_missing(acknowledged, from, until, &spec.workload),
            ];
            let missing: Vec<String> = missing.into_iter().flatten().collect();
            if missing.is_empty() || until >= give_up {
                return Ok((from, until));
            }
            (self.phase)(Phase::Unsteady { missing });
        }
    }

    /// Stops the application and examines the result.
    async fn wind_up(&self, under_way: UnderWay, backups: &[BackupInfo]) -> Result<Found, DrillError> {
        let UnderWay { workload, probers, lookouts, clock, .. } = under_way;
        let writers = workload.stop().await?;
        probers.stop().await;
        drop(lookouts);
        let work = self.testbed.inventory(&self.runs()).await;
        Ok(Found {
            writers,
            state: read_everything(self.application()?.as_ref()).await,
            direct: read_everything(self.observer()?.as_ref()).await,
            replicas: self.replicas().await?,
            work: work.map_err(|error| error.to_string()),
            others_take_writes: self.others_take_writes(&clock).await?,
            new_backups: self.testbed.backups_beside(backups).await.map_err(|error| error.to_string()),
        })
    }

    /// Every other server, and whether it would take a write of the application: then there are two primaries.
    async fn others_take_writes(&self, clock: &Clock) -> Result<Vec<(String, bool)>, DrillError> {
        let mut others = Vec::new();
        for name in self.testbed.servers().filter(|name| *name != self.store_now()) {
            let endpoint = self.endpoint(name, Door::Observer)?;
            let beating = async {
                let mut client = endpoint.connect(CONNECT_WITHIN).await.ok()?;
                client.beat(OTHERS, clock.now()).await.ok()
            };
            // A commit that waits for a standby that is gone is none.
            let taken = timeout(CONNECT_WITHIN, beating).await.ok().flatten();
            others.push((name.to_owned(), taken.is_some()));
        }
        Ok(others)
    }
}

/// The full read from an endpoint.
pub(super) async fn read_everything(endpoint: &dyn Endpoint) -> Reading<FinalState> {
    let reading = async {
        let mut client = endpoint.connect(CONNECT_WITHIN).await.map_err(|error| chain(&error))?;
        client.read_all().await.map_err(|error| chain(&error))
    };
    timeout(READ_WITHIN, reading).await.unwrap_or_else(|_elapsed| Err(format!("no answer within {READ_WITHIN:?}")))
}

/// The driver's own text says little; its source says why. An error that only wraps another one adds nothing.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut texts: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
