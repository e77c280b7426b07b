//! All traffic between two regions arrives later than before.

use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
    way::{FROM, InTheWay, ONE_WAY, REGIONS, TO, Way, round_trip},
};
use crate::proxy::Verdict;

pub(super) const KIND: FaultKind = FaultKind {
    name: "delay",
    parameters: &Object {
        what: "the fault `delay`",
        one_of: &[],
        fields: &[FROM, TO, ONE_WAY, required("by", "The added delay in each direction.", Shape::Duration)],
    },
    systems: &[],
    regions: REGIONS,
    told: &[],
    known: &[],
    make: |value| Ok(Box::new(Delay { parameters: parameters(value)?, in_the_way: InTheWay::default() })),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(flatten)]
    way: Way,
    by: SignedDuration,
}

#[derive(Debug)]
struct Delay {
    parameters: Parameters,
    in_the_way: InTheWay,
}

#[async_trait]
impl Fault for Delay {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let Parameters { way, by } = &self.parameters;
        let by = Duration::try_from(*by).unwrap_or_default();
        let paths = way.paths(KIND.name, scene)?;
        (scene.say)(format!("delaying traffic {} by {by:?}", way.words()));
        let began = scene.clock.now();
        self.in_the_way.put(scene.testbed.network(), way.hindrances(Verdict::Delay(by)));
        let ended = scene.clock.now();
        for path in &paths {
            // An answer that never comes is late enough.
            if let Some(took) = round_trip(*path).await.filter(|took| *took < by * way.passes()) {
                let seen = format!("an answer came within {took:?}");
                return Err(FaultError::NoEffect { kind: KIND.name, seen });
            }
        }
        let count = paths.len() as u64;
        let bite = vec![Bite { what: "paths with a later answer".to_owned(), count, wanted: Wanted::Some }];
        let story = format!("traffic {} arrives {by:?} later ({count} paths)", way.words());
        Ok(Struck::without_damage(KIND.name, began, ended, bite, story))
    }

    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.in_the_way.clear(scene.testbed.network());
        Ok(())
    }
}
