//! The machine that a server runs on, for runbooks that stop the server and touch its files. It is the server's own place, and not another
//! one.

use std::sync::Arc;

use async_trait::async_trait;
use lifeboat_core::{
    document::{Object, Shape, required},
    types::TargetKind,
};
use lifeboat_present::drill::{Fidelity, SystemInfo};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Order, System, SystemKind, SystemPart,
    programs::{binding_of, identify, version},
};
use crate::testbed::{error::TestbedError, place::Call};

/// The folder of the server in which the engine works.
const WORK: &str = "work";

pub(super) const KIND: SystemKind = SystemKind {
    name: "host",
    parameters: &Object {
        what: "the system `host`",
        one_of: &[],
        fields: &[required("of", "The server that runs on it.", Shape::Name)],
    },
    names: &[("of", &["postgres", "standby"])],
    target: TargetKind::Machine,
    part: SystemPart::None,
    build: |order| Box::pin(build(order)),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    of: String,
}

#[derive(Debug)]
struct ServerHost {
    info: SystemInfo,
    binding: Value,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { of } = order.parameters()?;
    let server = order.server(&of)?;
    let work = server.path(WORK);
    server.place.run("mkdir", Call::new(&["-m", "700", &work])).await?;
    let identity = identify(&server.place, &work, order.name).await?;
    let folder = |name: &str, path: String| (name.to_owned(), json!({ "path": path, "access": "destroy" }));
    let folders = Map::from_iter([folder("work", work), folder("data", server.path("data"))]);
    let mut binding = binding_of(&server.place, &server.bin, folders, &identity);
    binding["programs"] = json!({ "dd": { "path": "/bin/dd", "access": "destroy" } });
    let info = info(order.name, &of, server.end.region.clone(), version(&server.place).await?);
    Ok(Arc::new(ServerHost { info, binding }))
}

fn info(name: &str, of: &str, region: Option<String>, version: String) -> SystemInfo {
    SystemInfo {
        role: name.to_owned(),
        kind: KIND.name.to_owned(),
        region,
        version,
        fidelity: Fidelity::Real,
        origin: format!("where {of} runs"),
    }
}

#[async_trait]
impl System for ServerHost {
    fn info(&self) -> SystemInfo {
        self.info.clone()
    }

    fn binding(&self) -> Option<Value> {
        Some(self.binding.clone())
    }
}
