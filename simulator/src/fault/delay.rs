//! All traffic between two regions arrives later than before.

use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
    way::{FROM, InTheWay, ONE_WAY, REGIONS, TO, Way, fastest},
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
        let added = by * way.passes();
        let mut before = Vec::new();
        for path in &paths {
            before.push(fastest(*path, Duration::ZERO).await);
        }
        let began = scene.clock.now();
        self.in_the_way.put(scene.testbed.network(), way.hindrances(Verdict::Delay(by)));
        let ended = scene.clock.now();
        let mut least = Duration::MAX;
        for (path, before) in paths.iter().zip(before) {
            let after = fastest(*path, added).await;
            least =
                least.min(later(before, after, added).map_err(|seen| FaultError::NoEffect { kind: KIND.name, seen })?);
        }
        let what = format!("milliseconds by which answers came later on each of {} paths", paths.len());
        let count = u64::try_from(least.as_millis()).unwrap_or(u64::MAX);
        let bite = vec![Bite { what, count, wanted: Wanted::Some }];
        let story = format!("traffic {} arrives {by:?} later ({} paths)", way.words(), paths.len());
        Ok(Struck::without_damage(KIND.name, began, ended, bite, story))
    }

    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.in_the_way.clear(scene.testbed.network());
        Ok(())
    }
}

/// By how much answers come later than before; only a tenth of the added time may be missing, because no two questions take the
/// same time.
fn later(before: Option<Duration>, after: Option<Duration>, added: Duration) -> Result<Duration, String> {
    let before = before.ok_or_else(|| "no answer came before it".to_owned())?;
    let after = after.ok_or_else(|| "no answer came during it".to_owned())?;
    let later = after.saturating_sub(before);
    let is_shown = !later.is_zero() && later >= added * 9 / 10;
    is_shown.then_some(later).ok_or_else(|| format!("an answer came within {after:?}, and within {before:?} before it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_answer_shows_a_delay() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let added = Duration::from_millis(100);
        assert_eq!(later(ms(2), ms(103), added), Ok(Duration::from_millis(101)));
        assert!(later(ms(150), ms(160), added).is_err(), "a slow machine delays nothing");
        assert!(later(ms(2), ms(60), added).is_err());
        assert!(later(None, ms(103), added).is_err() && later(ms(2), None, added).is_err());
        assert!(later(ms(2), ms(2), Duration::ZERO).is_err(), "nothing was added");
    }
}
