//! The application's endpoint, which directs its traffic to one server or another: a proxy with a control resource that stands in for
//! a load balancer's API.

use std::sync::Arc;

use async_trait::async_trait;
use lifeboat_core::{
    document::{Object, Shape, required},
    types::TargetKind,
};
use lifeboat_present::drill::{Fidelity, SystemInfo};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Order, System, SystemKind, SystemPart};
use crate::{proxy::Proxy, testbed::error::TestbedError};

pub(super) const KIND: SystemKind = SystemKind {
    name: "switch",
    parameters: &Object {
        what: "the system `switch`",
        one_of: &[],
        fields: &[required("to", "The server that gets the traffic at first.", Shape::Name)],
    },
    names: &[("to", &["postgres", "standby"])],
    target: TargetKind::Endpoint,
    part: SystemPart::Switch,
    build: |order| Box::pin(build(order)),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    to: String,
}

#[derive(Debug)]
struct Switch {
    name: String,
    proxy: Proxy,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { to } = order.parameters()?;
    // The same address as in the engine's bindings, so that a runbook that switches back restores it.
    let binding = order.built.get(&to).and_then(|server| server.binding()).unwrap_or_default();
    let host = binding["host"].as_str().unwrap_or_default();
    let proxy = Proxy::start(&format!("{host}:{}", binding["port"])).await;
    let proxy = proxy.map_err(|source| TestbedError::Resource { what: "the switch", source })?;
    Ok(Arc::new(Switch { name: order.name.to_owned(), proxy }))
}

#[async_trait]
impl System for Switch {
    fn info(&self) -> SystemInfo {
        SystemInfo {
            role: self.name.clone(),
            kind: KIND.name.to_owned(),
            region: None,
            version: format!("lifeboat {}", env!("CARGO_PKG_VERSION")),
            fidelity: Fidelity::Emulated,
            origin: "a proxy in the simulator".to_owned(),
        }
    }

    fn binding(&self) -> Option<Value> {
        Some(json!({ "kind": KIND.target.as_str(), "access": "write", "http": { "url": self.proxy.control_url() } }))
    }

    fn switch(&self) -> Option<&Proxy> {
        Some(&self.proxy)
    }
}
