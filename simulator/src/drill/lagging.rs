//! Watches a standby for a while.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::{sleep, timeout};

use super::{
    error::DrillError,
    evidence::{Lagged, Reading},
    phase::Phase,
    spec::LagSpec,
    stage::{Stage, UnderWay, chain, read_everything},
};
use crate::{
    measurement::{FinalState, caught_up, lags},
    probes::Watched,
    store::Endpoint,
    testbed::Door,
};

/// A standby is watched for this much longer than it may take, so that a late one is seen to be late.
const BEYOND: SignedDuration = SignedDuration::from_secs(2);
/// A standby that has not caught up after this time, although there are no writes, never will.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

impl Stage<'_> {
    /// The standbys that the drill watches, on paths that no fault of the network reaches.
    pub(super) fn watched(&self) -> Result<Vec<Watched>, DrillError> {
        let standbys = self.request.spec.watched_standbys();
        let watched =
            |name: &str| Ok(Watched { standby: name.to_owned(), endpoint: self.endpoint(name, Door::Observer)? });
        standbys.into_iter().map(watched).collect()
    }

    pub(super) async fn watch_lag(
        &self,
        under_way: &UnderWay,
        spec: &LagSpec,
        faults: Vec<String>,
    ) -> Result<Lagged, DrillError> {
        let at_most = spec.during.or(spec.within).unwrap_or_default();
        (self.phase)(Phase::Lagging { standby: spec.of.clone(), at_most: at_most.unsigned_abs() });
        let from = under_way.clock.now();
        match (spec.within, spec.at_most) {
            (Some(within), Some(at_most)) => {
                let is_there = |sightings: &[_]| {
                    let lags = lags(sightings, &under_way.log.all());
                    caught_up(&lags, from, at_most).is_some_and(|took| took.high.is_some())
                };
                let waiting = under_way.sightings.wait_until(&spec.of, is_there);
                // The measurement reads the result from the sightings.
                timeout((within + BEYOND).unsigned_abs(), waiting).await.ok();
            }
            _ => sleep(at_most.unsigned_abs()).await,
        }
        Ok(Lagged { spec: spec.clone(), from, until: under_way.clock.now(), faults })
    }

    /// What each standby has after it has caught up with the last beat of its store, which gets no more writes.
    pub(super) async fn replicas(&self) -> Result<Vec<(String, Reading<FinalState>)>, DrillError> {
        let store = self.observer()?;
        let mut replicas = Vec::new();
        for Watched { standby, endpoint } in self.watched()? {
            let caught_up = timeout(CATCHES_UP_WITHIN, catches_up(&store, &endpoint)).await;
            let state = match caught_up {
                Ok(Ok(())) => read_everything(endpoint.as_ref()).await,
                Ok(Err(why)) => Err(why),
                Err(_elapsed) => Err(format!("it did not catch up within {CATCHES_UP_WITHIN:?}")),
            };
            replicas.push((standby, state));
        }
        Ok(replicas)
    }
}

async fn catches_up(store: &Arc<dyn Endpoint>, standby: &Arc<dyn Endpoint>) -> Result<(), String> {
    let connect =
        async |endpoint: &Arc<dyn Endpoint>| endpoint.connect(CATCHES_UP_WITHIN).await.map_err(|error| chain(&error));
    let wanted = connect(store).await?.beats().await.map_err(|error| chain(&error))?;
    let mut standby = connect(standby).await?;
    loop {
        let beats = standby.beats().await.map_err(|error| chain(&error))?;
        if beats == wanted {
            return Ok(());
        }
        sleep(POLL).await;
    }
}
