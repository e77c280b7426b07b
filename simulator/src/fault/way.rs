//! The direction that a network fault affects: from one region to another, or both.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lifeboat_core::document::{Field, Shape, optional, required};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{error::FaultError, fault::Scene};
use crate::{
    proxy::Verdict,
    testbed::{Hindrance, Imposed, Network, Side},
};

/// Asks a PostgreSQL server whether it supports TLS; it answers with one byte, before any login.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// A slower answer counts as no answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const QUESTIONS_AT_ONCE: usize = 3;

pub(super) const FROM: Field = required("from", "A region, or `outside`.", Shape::Name);
pub(super) const TO: Field = required("to", "A region, or `outside`.", Shape::Name);
pub(super) const ONE_WAY: Field =
    optional("one_way", "Only traffic from `from` to `to`; by default both directions.", Shape::Bool);
pub(super) const REGIONS: &[&str] = &["from", "to"];

/// The parameters that all network faults have.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Way {
    from: String,
    to: String,
    #[serde(default)]
    one_way: bool,
}

/// The current obstacles, to be removed again.
#[derive(Debug, Default)]
pub(super) struct InTheWay(Mutex<Vec<Imposed>>);

impl InTheWay {
    /// Adds an obstacle.
    pub(super) fn put(&self, network: &Network, hindrances: impl IntoIterator<Item = Hindrance>) {
        let imposed = network.impose(hindrances);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(imposed);
    }

    /// Removes all obstacles.
    pub(super) fn clear(&self, network: &Network) {
        for imposed in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            network.lift(imposed);
        }
    }
}

impl Way {
    fn sides(&self) -> [Side; 2] {
        [&self.from, &self.to].map(|name| Side::Region(name.clone()))
    }

    /// The obstacle to add.
    pub(super) fn hindrances(&self, verdict: Verdict) -> Vec<Hindrance> {
        let [from, to] = self.sides();
        match self.one_way {
            true => vec![Hindrance { from, to, verdict }],
            false => Hindrance::between(&from, &to, verdict).into(),
        }
    }

    /// How many times the obstacle affects a question with its answer.
    pub(super) fn passes(&self) -> u32 {
        if self.one_way { 1 } else { 2 }
    }

    /// The listening addresses of the affected paths.
    ///
    /// # Errors
    /// If there is no such path: then the fault would have no effect.
    pub(super) fn paths(&self, kind: &'static str, scene: &Scene<'_>) -> Result<Vec<SocketAddr>, FaultError> {
        let [from, to] = self.sides();
        let paths = scene.testbed.network().addresses_between(&from, &to);
        if paths.is_empty() {
            let seen = format!("no path connects {} and {}", self.from, self.to);
            return Err(FaultError::NoEffect { kind, seen });
        }
        Ok(paths)
    }

    /// For people: `from east to west`.
    pub(super) fn words(&self) -> String {
        match self.one_way {
            true => format!("from {} to {}", self.from, self.to),
            false => format!("between {} and {}", self.from, self.to),
        }
    }
}

/// The round-trip time of a question to a server on a path; `None`: no answer within `added` and the usual time.
pub(super) async fn round_trip(path: SocketAddr, added: Duration) -> Option<Duration> {
    let begun = Instant::now();
    let asking = async {
        let mut stream = TcpStream::connect(path).await?;
        stream.write_all(&TLS_REQUEST).await?;
        stream.read_u8().await.map(drop)
    };
    let answered: Result<io::Result<()>, _> = timeout(ANSWER_WITHIN + added, asking).await;
    matches!(answered, Ok(Ok(()))).then(|| begun.elapsed())
}

/// The shortest of several round trips at the same time. A busy machine makes some of them longer, but seldom all.
pub(super) async fn fastest(path: SocketAddr, added: Duration) -> Option<Duration> {
    let asked = (0..QUESTIONS_AT_ONCE).map(|_| round_trip(path, added));
    futures::future::join_all(asked).await.into_iter().flatten().min()
}
