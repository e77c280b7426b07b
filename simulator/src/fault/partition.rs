//! Two regions, or a region and the outside, can no longer reach each other: what is sent is accepted and never arrives.

use std::time::Duration;

use async_trait::async_trait;
use lifeboat_core::document::Object;

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
    way::{FROM, InTheWay, ONE_WAY, REGIONS, TO, Way, round_trip},
};
use crate::proxy::Verdict;

pub(super) const KIND: FaultKind = FaultKind {
    name: "partition",
    parameters: &Object { what: "the fault `partition`", one_of: &[], fields: &[FROM, TO, ONE_WAY] },
    systems: &[],
    regions: REGIONS,
    told: &[],
    known: &[],
    make: |value| Ok(Box::new(Partition { way: parameters(value)?, in_the_way: InTheWay::default() })),
};

#[derive(Debug)]
struct Partition {
    way: Way,
    in_the_way: InTheWay,
}

#[async_trait]
impl Fault for Partition {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let paths = self.way.paths(KIND.name, scene)?;
        (scene.say)(format!("cutting the network {}", self.way.words()));
        for path in &paths {
            if round_trip(*path, Duration::ZERO).await.is_none() {
                let seen = "a path gave no answer before it".to_owned();
                return Err(FaultError::NoEffect { kind: KIND.name, seen });
            }
        }
        let began = scene.clock.now();
        self.in_the_way.put(scene.testbed.network(), self.way.hindrances(Verdict::BlackHole));
        let ended = scene.clock.now();
        for path in &paths {
            if let Some(took) = round_trip(*path, Duration::ZERO).await {
                let seen = format!("an answer came within {took:?}");
                return Err(FaultError::NoEffect { kind: KIND.name, seen });
            }
        }
        let count = paths.len() as u64;
        let bite =
            vec![Bite { what: "paths that answered before and no longer do".to_owned(), count, wanted: Wanted::Some }];
        let story = format!("no traffic arrives {} ({count} paths)", self.way.words());
        Ok(Struck::without_damage(KIND.name, began, ended, bite, story))
    }

    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.in_the_way.clear(scene.testbed.network());
        Ok(())
    }
}
