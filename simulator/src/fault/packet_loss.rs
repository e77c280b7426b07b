//! Some of the traffic between two regions is lost and sent again, as TCP does: it arrives later, and what follows it waits.

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

/// The most questions that are asked until an answer is late. With 1 % loss in each direction, fewer than one drill in ten
/// thousand sees no late answer.
const QUESTIONS: usize = 500;

/// Questions before the fault, none of which may be late: otherwise a late one shows nothing.
const BEFORE: usize = 20;

pub(super) const KIND: FaultKind = FaultKind {
    name: "loss",
    parameters: &Object {
        what: "the fault `loss`",
        one_of: &[],
        fields: &[
            FROM,
            TO,
            ONE_WAY,
            required("percent", "The percentage of pieces that are lost.", Shape::Int(1, 90)),
            required("retransmit_after", "How long the sender waits before it sends a piece again.", Shape::Duration),
        ],
    },
    systems: &[],
    regions: REGIONS,
    told: &[],
    known: &[],
    make: |value| Ok(Box::new(Loss { parameters: parameters(value)?, in_the_way: InTheWay::default() })),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(flatten)]
    way: Way,
    percent: u8,
    retransmit_after: SignedDuration,
}

#[derive(Debug)]
struct Loss {
    parameters: Parameters,
    in_the_way: InTheWay,
}

#[async_trait]
impl Fault for Loss {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let Parameters { way, percent, retransmit_after } = &self.parameters;
        let retransmit_after = Duration::try_from(*retransmit_after).unwrap_or_default();
        let paths = way.paths(KIND.name, scene)?;
        (scene.say)(format!("losing {percent} % of the traffic {}", way.words()));
        for path in paths.iter().cycle().take(BEFORE) {
            if is_late(round_trip(*path, retransmit_after).await, retransmit_after) {
                let seen = format!("an answer took longer than {retransmit_after:?} before it");
                return Err(FaultError::NoEffect { kind: KIND.name, seen });
            }
        }
        let began = scene.clock.now();
        let verdict = Verdict::Lose { percent: *percent, retransmit_after };
        self.in_the_way.put(scene.testbed.network(), way.hindrances(verdict));
        let ended = scene.clock.now();
        let mut asked = 0;
        for path in paths.iter().cycle().take(QUESTIONS) {
            asked += 1;
            if is_late(round_trip(*path, retransmit_after).await, retransmit_after) {
                let what =
                    format!("late answer after {asked} questions; none was late among {BEFORE} before the fault");
                let late = Bite { what, count: 1, wanted: Wanted::Some };
                let story = format!("{percent} % of the traffic {} is lost; answer {asked} was late", way.words());
                return Ok(Struck::without_damage(KIND.name, began, ended, vec![late], story));
            }
        }
        Err(FaultError::NoEffect { kind: KIND.name, seen: format!("{asked} answers came in time") })
    }

    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.in_the_way.clear(scene.testbed.network());
        Ok(())
    }
}

/// Whether at least one piece of the question or its answer was sent again.
fn is_late(took: Option<Duration>, retransmit_after: Duration) -> bool {
    took.is_none_or(|took| took >= retransmit_after)
}
