//! One task per kind of probe, each on its own fixed schedule.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{content, log::ProbeLog};
use crate::{
    clock::{At, Clock},
    ledger::Ledger,
    measurement::{Probe, ProbeKind},
    store::{Client, Endpoint},
};

/// How the probes are made.
#[derive(Debug, Clone)]
pub struct ProbePlan {
    /// The application's path.
    pub application: Arc<dyn Endpoint>,
    /// From one probe of a kind to the next.
    pub interval: Duration,
    /// A probe without an answer after this time has failed.
    pub answer_within: Duration,
}

/// The running probes. Dropped, they end at once.
#[derive(Debug)]
pub struct Probers {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Probers {
    /// Starts one task per kind.
    pub fn start(plan: &ProbePlan, ledger: &Arc<Ledger>, log: &Arc<ProbeLog>, clock: Clock) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for kind in ProbeKind::ALL {
            let prober = Prober {
                kind,
                plan: plan.clone(),
                ledger: Arc::clone(ledger),
                log: Arc::clone(log),
                clock,
                client: None,
            };
            tasks.spawn(prober.run(stop.clone()));
        }
        Self { tasks, stop }
    }

    /// Ends the probes; each finishes its current one first.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

struct Prober {
    kind: ProbeKind,
    plan: ProbePlan,
    ledger: Arc<Ledger>,
    log: Arc<ProbeLog>,
    clock: Clock,
    client: Option<Box<dyn Client>>,
}

impl Prober {
    async fn run(mut self, stop: CancellationToken) {
        let interval = i64::try_from(self.plan.interval.as_micros()).unwrap_or(i64::MAX).max(1);
        let begin = self.clock.now();
        let mut slot = 0;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(self.clock.deadline(At(begin.0 + slot * interval))) => {}
            }
            self.probe().await;
            // A slow probe makes the lane skip the slots that it covered; its own duration shows that it did.
            slot = ((self.clock.now().0 - begin.0) / interval).max(slot) + 1;
        }
    }

    async fn probe(&mut self) {
        let started = self.clock.now();
        let within = self.plan.answer_within;
        let answer =
            timeout(within, self.ask()).await.unwrap_or_else(|_elapsed| Err(format!("no answer within {within:?}")));
        let ended = self.clock.now();
        let answer = in_time(answer, ended.seconds_since(started), within);
        let fresh = matches!(self.kind, ProbeKind::FreshRead | ProbeKind::FreshWrite);
        if fresh || (answer.is_err() && self.kind != ProbeKind::Content) {
            self.client = None;
        }
        self.log.push(Probe { kind: self.kind, started, ended, ok: answer.is_ok(), detail: answer.err() });
    }

    async fn ask(&mut self) -> Result<(), String> {
        if self.client.as_ref().is_none_or(|client| client.is_closed()) {
            let connected = self.plan.application.connect(self.plan.answer_within).await;
            self.client = Some(connected.map_err(|error| format!("no connection: {error}"))?);
        }
        let Some(client) = &mut self.client else { return Err("no connection".to_owned()) };
        let answered = match self.kind {
            ProbeKind::PooledRead | ProbeKind::FreshRead => client.glance().await.map(|()| None),
            ProbeKind::PooledWrite | ProbeKind::FreshWrite => {
                client.beat(self.kind.title(), self.clock.now()).await.map(|()| None)
            }
            ProbeKind::Content => content::check(client.as_mut(), &self.ledger).await,
        };
        match answered {
            Ok(None) => Ok(()),
            Ok(Some(wrong)) => Err(wrong),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// An answer that came too late is no answer. The timer alone does not ensure that, because it is checked only while there is no
/// answer yet. From here on `ok` says everything that matters about a probe.
fn in_time(answer: Result<(), String>, took_s: f64, within: Duration) -> Result<(), String> {
    if answer.is_ok() && took_s > within.as_secs_f64() {
        return Err(format!("answered after {took_s:.2} s, later than {within:?}"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_came_too_late_is_none() {
        let within = Duration::from_secs(2);
        assert_eq!(in_time(Ok(()), 2.0, within), Ok(()));
        let late = in_time(Ok(()), 2.04, within).expect_err("too late");
        assert_eq!(late, "answered after 2.04 s, later than 2s");
        assert_eq!(in_time(Err("refused".to_owned()), 2.5, within), Err("refused".to_owned()));
    }
}
