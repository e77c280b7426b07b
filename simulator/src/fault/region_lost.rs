//! A whole region is lost: its servers die, nothing answers for it any more on any path, and what was on its way to or from it is gone.
//! The disks stay as the servers wrote them. What of a region is reached without a path, such as the machine behind the role of a
//! host, stays in reach: it stands for a platform that is not in the region.

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
    way::{InTheWay, round_trip},
};
use crate::{
    proxy::Verdict,
    testbed::{Hindrance, Server, Side},
};

pub(super) const KIND: FaultKind = FaultKind {
    name: "region-lost",
    parameters: &Object {
        what: "the fault `region-lost`",
        one_of: &[],
        fields: &[required("region", "The region.", Shape::Name)],
    },
    systems: &[],
    regions: &["region"],
    told: &[],
    known: &[],
    make: |value| Ok(Box::new(RegionLost { parameters: parameters(value)?, in_the_way: InTheWay::default() })),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    region: String,
}

#[derive(Debug)]
struct RegionLost {
    parameters: Parameters,
    in_the_way: InTheWay,
}

impl RegionLost {
    fn side(&self) -> Side {
        Side::Region(self.parameters.region.clone())
    }

    fn servers<'s>(&'s self, scene: &'s Scene<'_>) -> Vec<&'s Server> {
        scene.testbed.servers_in(&self.parameters.region).collect()
    }
}

fn no_effect(seen: impl Into<String>) -> FaultError {
    FaultError::NoEffect { kind: KIND.name, seen: seen.into() }
}

/// How many of the paths answer.
async fn answering(paths: &[SocketAddr]) -> usize {
    join_all(paths.iter().map(|path| round_trip(*path, Duration::ZERO))).await.into_iter().flatten().count()
}

async fn running(servers: &[&Server]) -> usize {
    join_all(servers.iter().map(|server| server.runs())).await.into_iter().filter(|runs| *runs).count()
}

#[async_trait]
impl Fault for RegionLost {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let region = &self.parameters.region;
        let (servers, network) = (self.servers(scene), scene.testbed.network());
        let paths = network.addresses_between(&self.side(), &Side::Anywhere);
        let (ran, answered) = (running(&servers).await, answering(&paths).await);
        if ran == 0 || ran < servers.len() || answered < paths.len() {
            return Err(no_effect(format!(
                "{ran} of {} servers of {region} were running before it, and {answered} of {} paths answered",
                servers.len(),
                paths.len()
            )));
        }
        (scene.say)(format!("losing the region {region}"));
        let began = scene.clock.now();
        // The network first: what is lost closes no connections.
        self.in_the_way.put(network, Hindrance::between(&self.side(), &Side::Anywhere, Verdict::Vanish));
        try_join_all(servers.iter().map(|server| server.kill())).await?;
        let ended = scene.clock.now();
        let (runs, answers) = (running(&servers).await, answering(&paths).await);
        if runs > 0 || answers > 0 {
            return Err(no_effect(format!("{runs} servers of {region} still run, and {answers} paths answer")));
        }
        let bite = [
            ("servers that ran before and no longer do", servers.len()),
            ("paths that answered before and no longer do", paths.len()),
        ];
        let bite = bite.map(|(what, count)| Bite { what: what.to_owned(), count: count as u64, wanted: Wanted::Some });
        let story = format!("the region {region} is gone ({ran} servers, {answered} paths)");
        Ok(Struck::without_damage(KIND.name, began, ended, bite.into(), story))
    }

    fn may_lose_writes(&self) -> bool {
        true
    }

    /// The region comes back as it went: its hosts start, and their servers with them.
    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.in_the_way.clear(scene.testbed.network());
        for server in self.servers(scene) {
            if !server.runs().await {
                server.start().await?;
            }
        }
        Ok(())
    }
}
