//! After a recovery: whether the service stays healthy, and whether the recovered state is as safe as the state before.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use jiff::SignedDuration;
use lifeboat_runtime::session::How;
use tokio::time::timeout;

use super::{
    executed::Executed,
    stage::{Stage, UnderWay},
};
use crate::{
    clock::At,
    measurement::{Outage, Probe, Stability, StabilityRule, outage},
    probes::is_down,
};

/// How often the probes are evaluated while the drill waits for a stable window.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Stage<'_> {
    pub(super) fn rule(&self) -> StabilityRule {
        let spec = &self.request.spec;
        let probes = spec.windows.stable.as_millis() / spec.probes.interval.as_millis().max(1);
        StabilityRule {
            window: SignedDuration::try_from(spec.windows.stable).unwrap_or(SignedDuration::MAX),
            // Half of the schedule: a busy machine may skip slots, but a relapse cannot hide between this many probes.
            probes_at_least: usize::try_from(probes / 2).unwrap_or(usize::MAX).max(2),
        }
    }

    /// Waits until the measurement can prove a stable window; the end of the last probe that it needed, or `None` if there was no
    /// such window.
    ///
    /// After a run that did not end well, it waits only as long as one window needs. After one that did, a service that is
    /// clearly down gets a few windows; if only probes are missing, the drill waits as long as a recovery may take.
    pub(super) async fn stability(
        &self,
        under_way: &UnderWay,
        executed: &Executed,
        fault: At,
        recovery_at_most: Duration,
    ) -> Option<At> {
        let spec = &self.request.spec;
        let window = spec.windows.stable;
        let finished = executed.is_success();
        let patience = if finished { window * 4 + Duration::from_secs(10) } else { window + Duration::from_secs(1) };
        let at_most = if finished { patience.max(recovery_at_most) } else { patience };
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
        // The measurement reads the result from the probes.
        let _ = timeout(at_most, under_way.log.wait_until(settled)).await;
        proven
    }

    /// Waits until every system is as safe as before the recovery, such as by its archive. `None`: one is not, or that is not known.
    pub(super) async fn redundancy(&self, under_way: &UnderWay, executed: &Executed) -> Option<At> {
        if !executed.ended.as_ref().is_ok_and(|ended| matches!(ended.how, How::Finished(_))) {
            return None;
        }
        // A store that does not serve any more is not to be protected.
        let (store, serving) = (self.request.spec.workload.store.as_str(), self.store_now());
        let systems = self.testbed.systems().filter(|(name, _)| *name != store || serving == store);
        let protecting = systems.map(|(_, system)| system.protected(&under_way.clock));
        let protected: Vec<Option<At>> = try_join_all(protecting).await.ok()?;
        protected.into_iter().flatten().max()
    }
}
