//! The host of a server dies: nothing answers any more, not even with a refused connection. Its disk stays as the server wrote it: unlike
//! a real host, this one does not lose cached data for which `fsync` was never called.

use async_trait::async_trait;
use lifeboat_core::document::{Object, Shape, required};
use serde::Deserialize;

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Scene, Struck, Wanted, parameters},
    way::InTheWay,
};
use crate::{
    proxy::Verdict,
    testbed::{Hindrance, Server, Side},
};

pub(super) const KIND: FaultKind = FaultKind {
    name: "host-crash",
    parameters: &Object {
        what: "the fault `host-crash`",
        one_of: &[],
        fields: &[required("system", "The server that runs on the host.", Shape::Name)],
    },
    systems: &[("system", &["postgres", "standby"])],
    regions: &[],
    told: &[],
    known: &[],
    make: |value| Ok(Box::new(HostCrash { parameters: parameters(value)?, in_the_way: InTheWay::default() })),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    system: String,
}

#[derive(Debug)]
struct HostCrash {
    parameters: Parameters,
    in_the_way: InTheWay,
}

impl HostCrash {
    fn server<'s>(&self, scene: &'s Scene<'_>) -> Result<&'s Server, FaultError> {
        scene.testbed.server(&self.parameters.system).ok_or(FaultError::NoServer)
    }
}

#[async_trait]
impl Fault for HostCrash {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        let name = &self.parameters.system;
        let server = self.server(scene)?;
        let no_effect = |seen| FaultError::NoEffect { kind: KIND.name, seen };
        if !server.runs().await {
            return Err(no_effect(format!("the server of {name} was not running before it")));
        }
        (scene.say)(format!("crashing the host of {name}"));
        let began = scene.clock.now();
        // The network first: a dead host closes no connections, and data in transit is lost.
        let gone = Hindrance::between(&Side::System(name.clone()), &Side::Anywhere, Verdict::BlackHole);
        self.in_the_way.put(scene.testbed.network(), gone);
        server.kill().await?;
        let ended = scene.clock.now();
        if server.runs().await {
            return Err(no_effect(format!("the server of {name} is still running")));
        }
        let bite = vec![Bite {
            what: "server that ran before and no longer does".to_owned(),
            count: 1,
            wanted: Wanted::Exactly(1),
        }];
        Ok(Struck::without_damage(KIND.name, began, ended, bite, format!("the host of {name} is gone")))
    }

    /// The host starts again, and the server with it. A server that the fault did not kill in time is still running.
    async fn heal(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        self.in_the_way.clear(scene.testbed.network());
        let server = self.server(scene)?;
        if !server.runs().await {
            server.start().await?;
        }
        Ok(())
    }
}
