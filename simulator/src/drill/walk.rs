//! The timeline, walked through: what strikes, and what recovers from it.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use super::{
    engine::{Engine, Order},
    episode::Episode,
    error::DrillError,
    evidence::{Ran, Walked},
    executed::Executed,
    open_faults::OpenFaults,
    phase::Phase,
    spec::{FaultSpec, Moment, RoutineSpec},
    stage::{Stage, UnderWay},
    timeline::LAST_GOOD_PROBE,
};
use crate::{
    controls::Known,
    fault::{DAMAGED, Fault, Scene, Struck},
    host,
    ledger::Key,
    measurement::FinalState,
    probes::Detection,
    workload::{
        WorkloadError,
        shop::{GoneOn, go_on},
    },
};

/// Monitoring that has not noticed a disaster after this time never will.
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// The faults that may have struck and were not healed.
type Open = OpenFaults<Arc<dyn Fault>>;

impl Stage<'_> {
    /// Walks through the timeline, and heals the open faults when it ends, however it ends.
    pub(super) async fn walk(&self, under_way: &UnderWay) -> Result<Walked, DrillError> {
        let open = Open::default();
        let scene = self.scene(under_way, &|_| ());
        let heal = async |fault: Arc<dyn Fault>| Ok(fault.heal(&scene).await?);
        let (walked, healed): (_, Result<(), DrillError>) = open.heal_after(self.moments(under_way, &open), heal).await;
        let walked = walked.unwrap_or_else(|panic| Err(DrillError::Panicked(panic_text(&*panic))));
        if let (Err(_), Err(error)) = (&walked, &healed) {
            (self.phase)(Phase::Unhealed { why: error.to_string() });
        }
        let walked = walked?;
        healed?;
        Ok(walked)
    }

    async fn moments(&self, under_way: &UnderWay, open: &Open) -> Result<Walked, DrillError> {
        let (mut walked, mut engines) = (Walked::default(), self.engines.recoveries.iter());
        let mut routines = self.engines.routines.iter().enumerate();
        for moment in &self.request.spec.timeline {
            match moment {
                Moment::Steady(length) => {
                    let steady = self.unless_stopped(self.steady(under_way, *length)).await?;
                    // After a fault, this time is no evidence for the service's health before the fault.
                    if walked.rest.struck.is_empty() {
                        (walked.rest.steady_from, walked.rest.steady_until) = steady;
                    }
                }
                Moment::Fault(spec) if self.holding.fault => {
                    self.strike(under_way, spec, open, &mut walked.rest).await?;
                }
                Moment::Fault(_) => {}
                Moment::Recover(_) => {
                    let Some(engine) = engines.next() else { break };
                    let recovered = match self.holding.fault {
                        true => self.recover(under_way, engine, &mut walked.rest).await?,
                        false => self.watch(under_way, &mut walked.rest).await?,
                    };
                    walked.episodes.push(std::mem::take(&mut walked.rest));
                    if !recovered {
                        break;
                    }
                }
                Moment::Heal(kind) => self.heal(under_way, kind, open).await?,
                Moment::Lag(spec) => {
                    let watching = self.watch_lag(under_way, spec, open.kinds());
                    walked.lagged.push(self.unless_stopped(watching).await?);
                }
                Moment::Routine(spec) => {
                    let Some(engine) = routines.next() else { break };
                    // Without a fault there is nothing for which it could fail.
                    if self.holding.fault || spec.fails_with.is_none() {
                        let ran = self.run_routine(under_way, engine, spec, open.kinds(), &walked.rest.struck).await?;
                        walked.ran.push(ran);
                    }
                }
            }
        }
        Ok(walked)
    }

    fn scene<'a>(&'a self, under_way: &'a UnderWay, say: &'a (dyn Fn(String) + Sync)) -> Scene<'a> {
        Scene {
            testbed: self.testbed,
            store: &self.request.spec.workload.store,
            door: self.door(),
            size: &self.holding.size,
            habits: &self.request.spec.workload.habits,
            clock: &under_way.clock,
            inside: &under_way.inside,
            say,
        }
    }

    async fn strike(
        &self,
        under_way: &UnderWay,
        spec: &FaultSpec,
        open: &Open,
        episode: &mut Episode,
    ) -> Result<(), DrillError> {
        let fault = spec.fault()?;
        if episode.struck.is_empty() {
            episode.load_at_fault = host::load();
        }
        let say = |doing| (self.phase)(Phase::Striking { doing });
        let scene = self.scene(under_way, &say);
        // A fault that fails half-way, is stopped or panics has to be healed too.
        let fault: Arc<dyn Fault> = Arc::from(fault);
        open.begin(spec.kind(), Arc::clone(&fault));
        let struck = self.unless_stopped(async { Ok(fault.strike(&scene).await?) }).await?;
        if episode.struck.is_empty() {
            episode.steady_until = struck.began;
        }
        if fault.may_lose_writes() {
            episode.may_lose_writes = true;
            under_way.ledger.doubt();
        }
        (self.phase)(Phase::Struck { story: struck.story.clone() });
        if !struck.removed.is_empty() {
            episode.gone_on.extend(self.unless_stopped(self.go_on(under_way)).await?);
        }
        episode.struck.push(struck);
        Ok(())
    }

    /// What the application does to the damage because it is unaware of it.
    async fn go_on(&self, under_way: &UnderWay) -> Result<GoneOn, DrillError> {
        let mut client = self.client(&self.application()?).await?;
        let habits = &self.request.spec.workload.habits;
        let going = go_on(client.as_mut(), habits, &self.holding.size, &under_way.ledger, &under_way.clock).await;
        Ok(going.map_err(WorkloadError::from)?)
    }

    async fn heal(&self, under_way: &UnderWay, kind: &str, open: &Open) -> Result<(), DrillError> {
        if !self.holding.fault {
            return Ok(());
        }
        (self.phase)(Phase::Healing { fault: kind.to_owned() });
        let scene = self.scene(under_way, &|_| ());
        self.unless_stopped(open.heal(Some(kind), async |fault| Ok(fault.heal(&scene).await?))).await
    }

    async fn run_routine(
        &self,
        under_way: &UnderWay,
        (place, engine): (usize, &Engine),
        spec: &RoutineSpec,
        faults: Vec<String>,
        struck: &[Struck],
    ) -> Result<Ran, DrillError> {
        (self.phase)(Phase::Running { runbook: engine.plan.runbook.id.clone() });
        let is_open = |struck: &&Struck| faults.iter().any(|kind| kind == struck.kind);
        let damaged = struck.iter().rev().filter(is_open).find_map(|struck| struck.told.get(DAMAGED).cloned());
        let from = under_way.clock.now();
        let executed = self.execute(engine, BTreeMap::new(), struck).await?;
        let episode = Episode { executed: Some(executed), ..Episode::default() };
        Ok(Ran { spec: spec.clone(), place, from, until: under_way.clock.now(), faults, damaged, episode })
    }

    /// Without a fault, the same time of quiet.
    async fn watch(&self, under_way: &UnderWay, episode: &mut Episode) -> Result<bool, DrillError> {
        (self.phase)(Phase::Quiet);
        let watching = async {
            sleep(self.request.spec.windows.stable).await;
            Ok(())
        };
        self.unless_stopped(watching).await?;
        episode.watched_until = Some(under_way.clock.now());
        Ok(true)
    }

    /// Detection, recovery and what follows it. False: monitoring did not notice, so that there was no recovery.
    async fn recover(&self, under_way: &UnderWay, engine: &Engine, episode: &mut Episode) -> Result<bool, DrillError> {
        let began = episode.fault().unwrap_or_else(|| under_way.clock.now());
        (self.phase)(Phase::Noticing);
        let noticing = under_way.log.detect(began, self.request.spec.probes.detect_after);
        // Monitoring that notices only after the recovery should be over has not noticed.
        let within = NOTICED_WITHIN.min(engine.recover.at_most);
        let noticing = async { Ok(timeout(within, noticing).await.ok()) };
        let Some(detection) = self.unless_stopped(noticing).await? else {
            (self.phase)(Phase::Unnoticed { within });
            return Ok(false);
        };
        episode.detection = Some(detection);
        (self.phase)(Phase::Recovering { probe: detection.kind.title() });
        let inputs = told(under_way, engine, &episode.struck, detection);
        let executed = self.execute(engine, inputs, &episode.struck).await?;
        (self.phase)(Phase::Settling);
        let redundancy = self.redundancy(under_way, &executed);
        let stability = self.stability(under_way, &executed, began, engine.recover.at_most);
        let settling = async { Ok(tokio::join!(redundancy, stability)) };
        (episode.redundant, episode.watched_until) = self.unless_stopped(settling).await?;
        episode.executed = Some(executed);
        Ok(true)
    }

    async fn execute(
        &self,
        engine: &Engine,
        inputs: BTreeMap<String, String>,
        struck: &[Struck],
    ) -> Result<Executed, DrillError> {
        let order = Order {
            inputs,
            bindings: &self.testbed.bindings(&engine.recover.roles),
            policy: self.request.spec.approvals.rule(),
            sabotage: self.holding.sabotage.clone(),
            known: self.known(struck)?,
            observer: self.observer,
            stop: self.request.stop.clone(),
            at_most: engine.recover.at_most,
        };
        let executed = engine.execute(order).await?;
        // The same token has stopped the engine, which has ended its calls by now.
        if self.request.stop.is_cancelled() { Err(DrillError::Stopped) } else { Ok(executed) }
    }

    /// What the saboteur may know. Only the saboteur gets it: neither the engine nor a plugin can see it.
    fn known(&self, struck: &[Struck]) -> Result<Arc<OnceLock<Known>>, DrillError> {
        let sorted = |records: fn(&Struck) -> &FinalState| {
            let mut keys: Vec<Key> = struck.iter().flat_map(|struck| records(struck).keys()).cloned().collect();
            keys.sort_unstable();
            keys
        };
        let (removed, changed) = (sorted(|struck| &struck.removed), sorted(|struck| &struck.changed));
        let facts = struck.iter().flat_map(|struck| &struck.known);
        let facts = facts.map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Ok(Arc::new(OnceLock::from(Known { facts, removed, changed, observer: self.observer()? })))
    }
}

/// The inputs of a recovery: what a responder would know.
fn told(under_way: &UnderWay, engine: &Engine, struck: &[Struck], detection: Detection) -> BTreeMap<String, String> {
    let told = |fact: &str| match fact {
        LAST_GOOD_PROBE => Some(under_way.clock.wall(detection.last_good).to_string()),
        fact => struck.iter().rev().find_map(|struck| struck.told.get(fact).cloned()),
    };
    let inputs = engine.recover.inputs.iter();
    inputs.map(|(name, input)| (name.clone(), told(&input.fact).unwrap_or_default())).collect()
}

pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}
