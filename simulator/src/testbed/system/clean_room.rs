//! A new, empty PostgreSQL server with passwords of its own, for a recovery that must not reuse the old one: people have made it, and nobody
//! else knows it. It has the logins of the engine and the observer, and an empty database.

use std::sync::Arc;

use lifeboat_core::{
    document::{Object, Shape, optional, required},
    types::TargetKind,
};
use serde::Deserialize;

use super::{
    Order, System, SystemKind, SystemPart,
    postgres::{ARCHIVE, Postgres, server},
};
use crate::testbed::{error::TestbedError, roles, secrets::Secrets, spec::ArchiveSpec};

pub(super) const KIND: SystemKind = SystemKind {
    name: "clean-room",
    parameters: &Object {
        what: "the system `clean-room`",
        one_of: &[],
        fields: &[
            optional("region", "The region of the server.", Shape::Name),
            required("archive", "How often it archives its WAL.", Shape::Object(&ARCHIVE)),
        ],
    },
    names: &[],
    target: TargetKind::Postgres,
    part: SystemPart::None,
    build: |order| Box::pin(build(order)),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    region: Option<String>,
    archive: ArchiveSpec,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { region, archive } = order.parameters()?;
    let (server, origin) = server(&order, region, archive.seconds()).await?;
    let (options, secrets) = (order.site.options, Arc::new(Secrets::random()?));
    options.go_on()?;
    server.initialise(&secrets).await?;
    options.go_on()?;
    server.start().await?;
    options.go_on()?;
    roles::create_empty(&server.direct, &secrets).await?;
    Ok(Arc::new(Postgres::of(&order, KIND.name, server, origin, &secrets).await?))
}
