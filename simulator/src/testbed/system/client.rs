//! A login of the application on its path through a switch, for runbooks that look at the service as the application does.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use lifeboat_core::{
    document::{Object, Shape, required},
    types::TargetKind,
};
use lifeboat_present::drill::{Fidelity, SystemInfo};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Order, System, SystemKind, SystemPart};
use crate::testbed::{error::TestbedError, roles, secrets::Secrets};

pub(super) const KIND: SystemKind = SystemKind {
    name: "client",
    parameters: &Object {
        what: "the system `client`",
        one_of: &[],
        fields: &[required("through", "The switch by which it reaches the application's server.", Shape::Name)],
    },
    names: &[("through", &["switch"])],
    target: TargetKind::Postgres,
    part: SystemPart::None,
    build: |order| Box::pin(build(order)),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    through: String,
}

#[derive(Debug)]
struct Client {
    name: String,
    through: String,
    switch: SocketAddr,
    password: PathBuf,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { through } = order.parameters()?;
    let switch = order.switch(&through)?;
    let password = Secrets::write(
        &order.site.ground.layout,
        &format!("{}-password", order.name),
        &order.site.secrets.application,
    )?;
    Ok(Arc::new(Client { name: order.name.to_owned(), through, switch, password }))
}

#[async_trait]
impl System for Client {
    fn info(&self) -> SystemInfo {
        SystemInfo {
            role: self.name.clone(),
            kind: KIND.name.to_owned(),
            region: None,
            version: format!("lifeboat {}", env!("CARGO_PKG_VERSION")),
            fidelity: Fidelity::Real,
            origin: format!("a login through {}", self.through),
        }
    }

    fn binding(&self) -> Option<Value> {
        Some(json!({
            "kind": KIND.target.as_str(),
            "access": "write",
            "host": self.switch.ip().to_string(),
            "port": self.switch.port(),
            "database": roles::DATABASE,
            "user": roles::APPLICATION,
            "password": format!("file:{}", self.password.display()),
            "tls": "disable",
        }))
    }
}
