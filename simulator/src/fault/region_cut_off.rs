//! A region is cut off from everybody but its own clients, and goes on: whoever is inside still writes to the server there.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;
use tokio::{task::JoinHandle, time::sleep};

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
    way::{InTheWay, round_trip},
};
use crate::{
    proxy::Verdict,
    testbed::{Door, Hindrance, Side},
};

/// The lane of the beats that clients in the region write.
const LANE: &str = "inside the region";
const PAUSE: Duration = Duration::from_millis(20);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// So many writes from inside show that the region goes on.
const WRITES_AT_LEAST: usize = 3;
const LOOKS: usize = 250;

pub(super) const KIND: FaultKind = FaultKind {
    name: "region-cut-off",
    parameters: &Object {
        what: "the fault `region-cut-off`",
        one_of: &[],
        fields: &[
            required("region", "The region.", Shape::Name),
            required("system", "The server in it to which clients inside go on writing.", Shape::Name),
        ],
    },
    systems: &[("system", &["postgres"])],
    regions: &["region"],
    told: &[],
    known: &[],
    make: |value| {
        Ok(Box::new(CutOff {
            parameters: parameters(value)?,
            in_the_way: InTheWay::default(),
            client: Mutex::default(),
        }))
    },
};

#[derive(Debug, Deserialize)]
struct Parameters {
    region: String,
    system: String,
}

#[derive(Debug)]
struct CutOff {
    parameters: Parameters,
    in_the_way: InTheWay,
    client: Mutex<Option<JoinHandle<()>>>,
}

impl CutOff {
    fn end_client(&self) {
        if let Some(client) = self.client.lock().unwrap_or_else(PoisonError::into_inner).take() {
            client.abort();
        }
    }

    /// A client that is in the region: no path leads to it, and none is cut.
    fn start_client(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        let endpoint = scene.testbed.endpoint(&self.parameters.system, Door::Observer).ok_or(FaultError::NoServer)?;
        let (clock, inside) = (*scene.clock, scene.inside.clone());
        let client = tokio::spawn(async move {
            let mut client = None;
            loop {
                if client.is_none() {
                    client = endpoint.connect(CONNECT_WITHIN).await.ok();
                }
                if let Some(connected) = &mut client {
                    match connected.beat(LANE, clock.now()).await {
                        Ok(()) => inside.acknowledged(clock.now()),
                        Err(_) => client = None,
                    }
                }
                sleep(PAUSE).await;
            }
        });
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(())
    }
}

#[async_trait]
impl Fault for CutOff {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let (region, network) = (&self.parameters.region, scene.testbed.network());
        let side = Side::Region(region.clone());
        let paths = network.addresses_between(&side, &Side::Anywhere);
        let answered = async || join_all(paths.iter().map(|path| round_trip(*path, Duration::ZERO))).await;
        let no_effect = |seen: String| FaultError::NoEffect { kind: KIND.name, seen };
        if paths.is_empty() || answered().await.iter().any(Option::is_none) {
            return Err(no_effect(format!("not each of {} paths of {region} answered before it", paths.len())));
        }
        (scene.say)(format!("cutting the region {region} off from everybody but its own clients"));
        let began = scene.clock.now();
        self.in_the_way.put(network, Hindrance::between(&side, &Side::Anywhere, Verdict::BlackHole));
        self.start_client(scene)?;
        let ended = scene.clock.now();
        if answered().await.iter().any(Option::is_some) {
            return Err(no_effect(format!("a path of {region} still answers")));
        }
        for _ in 0..LOOKS {
            if scene.inside.count() >= WRITES_AT_LEAST {
                break;
            }
            sleep(PAUSE).await;
        }
        let writes = scene.inside.count() as u64;
        let bite = vec![
            Bite {
                what: "paths that answered before and no longer do".to_owned(),
                count: paths.len() as u64,
                wanted: Wanted::Some,
            },
            Bite { what: "writes that were acknowledged inside".to_owned(), count: writes, wanted: Wanted::Some },
        ];
        let story = format!("the region {region} is cut off ({} paths), and clients inside go on writing", paths.len());
        Ok(Struck::without_damage(KIND.name, began, ended, bite, story))
    }

    fn may_lose_writes(&self) -> bool {
        true
    }

    /// The network is back. Its servers never went down, unless somebody stopped them.
    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.end_client();
        self.in_the_way.clear(scene.testbed.network());
        Ok(())
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        self.end_client();
    }
}
