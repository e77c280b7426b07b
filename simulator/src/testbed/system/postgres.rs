//! A PostgreSQL server that archives its WAL.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lifeboat_core::{
    document::{Object, Shape, optional, required},
    types::TargetKind,
};
use lifeboat_present::drill::{Fidelity, SystemInfo};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_postgres::Config;

use super::{Door, Order, System, SystemKind, SystemPart};
use crate::{
    clock::{At, Clock},
    store::{
        Endpoint,
        postgres::{PostgresEndpoint, connect},
    },
    testbed::{
        error::TestbedError,
        network::End,
        options::Backend,
        roles::{self, Identity},
        secrets::Secrets,
        server::{Reach, Server},
        site::{Room, Site, Use},
        spec::ArchiveSpec,
    },
};

const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(200);

pub(super) const KIND: SystemKind = SystemKind {
    name: "postgres",
    parameters: &Object {
        what: "the system `postgres`",
        one_of: &[],
        fields: &[
            optional("region", "The region of the server.", Shape::Name),
            required("archive", "How often it archives its WAL.", Shape::Object(&ARCHIVE)),
        ],
    },
    names: &[],
    target: TargetKind::Postgres,
    part: SystemPart::Store,
    build: |order| Box::pin(build(order)),
};

pub(super) static ARCHIVE: Object = Object {
    what: "the block `archive`",
    one_of: &[],
    fields: &[
        required("interval", "The longest time until a segment is archived.", Shape::Period),
        required("in_production", "The interval in production.", Shape::Period),
    ],
};

#[derive(Debug, Deserialize)]
struct Parameters {
    region: Option<String>,
    archive: ArchiveSpec,
}

/// A server with its logins and the paths to it.
#[derive(Debug)]
pub(super) struct Postgres {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) server: Server,
    pub(super) secrets: Arc<Secrets>,
    /// Its address for the application.
    pub(super) application: (String, u16),
    /// Its address for the engine.
    engine: (String, u16),
    identity: Identity,
    origin: String,
    password: std::path::PathBuf,
}

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { region, archive } = order.parameters()?;
    let (server, origin) = server(&order, region, archive.seconds()).await?;
    let (options, secrets) = (order.site.options, &order.site.secrets);
    options.go_on()?;
    server.initialise(secrets).await?;
    options.go_on()?;
    server.start().await?;
    options.go_on()?;
    roles::create(&server.direct, secrets).await?;
    Ok(Arc::new(Postgres::of(&order, KIND.name, server, origin, secrets).await?))
}

/// A server in its own room, without data yet; and the origin of its programs.
pub(super) async fn server(
    order: &Order<'_>,
    region: Option<String>,
    archive_timeout_s: u32,
) -> Result<(Server, String), TestbedError> {
    let site = order.site;
    let room = site.room(order.end(region), &["archive", "sockets"], &[], Use::Server).await?;
    let origin = room.origin.clone();
    Ok((in_room(site, room, order.name, archive_timeout_s), origin))
}

fn in_room(site: &Site<'_>, room: Room, name: &str, archive_timeout_s: u32) -> Server {
    let (there, here) = room.ports.first().copied().unwrap_or_default();
    let reach = match site.options.backend {
        Backend::Process => Reach::Loopback(room.near.clone()),
        Backend::Container => Reach::Network,
    };
    Server {
        folder: room.path(name),
        near: (room.near, there),
        direct: (room.here, here),
        place: room.place,
        bin: room.bin,
        end: room.end,
        reach,
        archive_timeout_s,
        wal_segment_mib: site.options.wal_segment_mib,
    }
}

impl Postgres {
    /// A server that serves.
    pub(super) async fn of(
        order: &Order<'_>,
        kind: &'static str,
        server: Server,
        origin: String,
        secrets: &Arc<Secrets>,
    ) -> Result<Self, TestbedError> {
        let site = order.site;
        let application = site.path(&End::users(), &server).await?;
        // A client outside all regions reaches a server without a region directly, so no network fault can affect it.
        let engine = if server.end.region.is_some() { application.clone() } else { server.direct.clone() };
        let identity = roles::identify(&server.direct, secrets).await?;
        let file = format!("{}-password", order.name);
        let password = Secrets::write(&site.ground.layout, &file, &secrets.engine)?;
        let (name, secrets) = (order.name.to_owned(), Arc::clone(secrets));
        Ok(Self { name, kind, server, secrets, application, engine, identity, origin, password })
    }

    /// Waits until the archive has the WAL up to the current position.
    async fn archived(&self) -> Result<(), String> {
        let text = |error: tokio_postgres::Error| error.to_string();
        let client = connect(&self.observer(), CONNECT_WITHIN).await.map_err(|error| error.to_string())?;
        let row = client.query_one("SELECT pg_walfile_name(pg_current_wal_lsn() - 1)", &[]).await.map_err(text)?;
        let segment: String = row.get(0);
        const DONE: &str = "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver";
        while !client.query_one(DONE, &[&segment]).await.map_err(text)?.get::<_, bool>(0) {
            sleep(POLL).await;
        }
        Ok(())
    }

    pub(super) fn observer(&self) -> Config {
        let (host, port) = &self.server.direct;
        roles::login(host, *port, roles::OBSERVER, &self.secrets.observer)
    }
}

#[async_trait]
impl System for Postgres {
    fn info(&self) -> SystemInfo {
        SystemInfo {
            role: self.name.clone(),
            kind: self.kind.to_owned(),
            region: self.server.end.region.clone(),
            version: format!("PostgreSQL {}", self.identity.version),
            fidelity: Fidelity::Real,
            origin: self.origin.clone(),
        }
    }

    fn binding(&self) -> Option<Value> {
        Some(json!({
            "kind": KIND.target.as_str(),
            "access": "write",
            "host": self.engine.0,
            "port": self.engine.1,
            "database": roles::DATABASE,
            "user": roles::ENGINE,
            "password": format!("file:{}", self.password.display()),
            "tls": "disable",
            "system_identifier": self.identity.system_identifier,
            "archive_interval": format!("{}s", self.server.archive_timeout_s),
        }))
    }

    fn endpoint(&self, door: Door) -> Option<Arc<dyn Endpoint>> {
        Some(Arc::new(PostgresEndpoint(self.login(door)?)))
    }

    /// One that does not run protects nothing, and has nothing to protect.
    async fn protected(&self, clock: &Clock) -> Result<Option<At>, String> {
        if !self.server.runs().await {
            return Ok(None);
        }
        let patience = Duration::from_secs(u64::from(self.server.archive_timeout_s) * 2 + 5);
        match timeout(patience, self.archived()).await {
            Ok(archived) => archived.map(|()| Some(clock.now())),
            Err(_elapsed) => Err(format!("the WAL did not reach the archive within {patience:?}")),
        }
    }

    fn server(&self) -> Option<&Server> {
        Some(&self.server)
    }

    fn login(&self, door: Door) -> Option<Config> {
        let application = |host: &str, port| roles::login(host, port, roles::APPLICATION, &self.secrets.application);
        Some(match door {
            Door::Observer => self.observer(),
            Door::Application => application(&self.application.0, self.application.1),
            Door::Through(switch) => application(&switch.ip().to_string(), switch.port()),
        })
    }
}
