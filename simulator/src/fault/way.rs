//! The way that a fault of the network is about: from one region to another, or both ways.

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

/// Asks a PostgreSQL server whether it speaks TLS, which it answers with one byte before anybody has logged in.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

pub(super) const FROM: Field = required("from", "A region, or `outside`.", Shape::Name);
pub(super) const TO: Field = required("to", "A region, or `outside`.", Shape::Name);
pub(super) const ONE_WAY: Field =
    optional("one_way", "Only traffic from `from` to `to`; by default both directions.", Shape::Bool);
pub(super) const REGIONS: &[&str] = &["from", "to"];

/// The parameters that all faults of the network have.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Way {
    from: String,
    to: String,
    #[serde(default)]
    one_way: bool,
}

/// What is in the way by now, to be taken away again.
#[derive(Debug, Default)]
pub(super) struct InTheWay(Mutex<Vec<Imposed>>);

impl InTheWay {
    /// Puts something in the way.
    pub(super) fn put(&self, network: &Network, hindrances: impl IntoIterator<Item = Hindrance>) {
        let imposed = network.impose(hindrances);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(imposed);
    }

    /// Takes all of it away.
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

    /// What is to be put in the way.
    pub(super) fn hindrances(&self, verdict: Verdict) -> Vec<Hindrance> {
        let [from, to] = self.sides();
        match self.one_way {
            true => vec![Hindrance { from, to, verdict }],
            false => Hindrance::between(&from, &to, verdict).into(),
        }
    }

    /// How often what is in the way counts for a question and its answer.
    pub(super) fn passes(&self) -> u32 {
        if self.one_way { 1 } else { 2 }
    }

    /// Where the paths listen that it is about.
    ///
    /// # Errors
    /// There is none: then a fault of it would be none.
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

/// How long a question to a server and its answer take on a path; `None`: there is no answer.
pub(super) async fn round_trip(path: SocketAddr) -> Option<Duration> {
    let begun = Instant::now();
    let asking = async {
        let mut stream = TcpStream::connect(path).await?;
        stream.write_all(&TLS_REQUEST).await?;
        stream.read_u8().await.map(drop)
    };
    let answered: Result<io::Result<()>, _> = timeout(ANSWER_WITHIN, asking).await;
    matches!(answered, Ok(Ok(()))).then(|| begun.elapsed())
}
