//! Stands in for the people on call: a webhook that records what it receives.

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use lifeboat_core::{document::Object, types::TargetKind};
use lifeboat_present::drill::{Fidelity, SystemInfo};
use serde_json::{Value, json};

use super::{Notification, Order, System, SystemKind, SystemPart, inbox::Inbox};
use crate::testbed::{error::TestbedError, secrets::Secrets};

pub(super) const KIND: SystemKind = SystemKind {
    name: "webhook",
    parameters: &Object { what: "the system `webhook`", one_of: &[], fields: &[] },
    names: &[],
    target: TargetKind::Notify,
    part: SystemPart::None,
    build: |order| Box::pin(build(order)),
};

#[derive(Debug)]
struct Webhook {
    name: String,
    inbox: Inbox,
    key: PathBuf,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let key = &order.site.secrets.webhook;
    let inbox = Inbox::start(key).await;
    let inbox = inbox.map_err(|source| TestbedError::Resource { what: "the webhook", source })?;
    let key = Secrets::write(&order.site.ground.layout, &format!("{}-key", order.name), key)?;
    Ok(Arc::new(Webhook { name: order.name.to_owned(), inbox, key }))
}

#[async_trait]
impl System for Webhook {
    fn info(&self) -> SystemInfo {
        SystemInfo {
            role: self.name.clone(),
            kind: KIND.target.as_str().to_owned(),
            region: None,
            version: format!("lifeboat {}", env!("CARGO_PKG_VERSION")),
            fidelity: Fidelity::Emulated,
            origin: "a webhook in the simulator".to_owned(),
        }
    }

    fn binding(&self) -> Option<Value> {
        Some(json!({
            "kind": KIND.target.as_str(),
            "access": "write",
            "channel": "webhook",
            "url": self.inbox.url(),
            "secret": format!("file:{}", self.key.display()),
        }))
    }

    fn notifications(&self) -> Vec<Notification> {
        self.inbox.notifications()
    }
}
