//! A standby that streams from a server in the same region or in another one.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::SignedDuration;
use lifeboat_core::{
    document::{Object, Shape, optional, required},
    types::TargetKind,
};
use lifeboat_present::drill::SystemInfo;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_postgres::Config;

use super::{
    Door, Order, System, SystemKind, SystemPart,
    postgres::{Postgres, server},
};
use crate::{
    clock::{At, Clock},
    proxy::Verdict,
    store::{Endpoint, postgres::connect},
    testbed::{
        error::TestbedError,
        network::{Hindrance, OUTSIDE, Side},
        roles::{self, Superuser},
        server::{Server, Upstream},
    },
};

/// A standby that does not stream after this time never will.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(60);
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);

pub(super) const KIND: SystemKind = SystemKind {
    name: "standby",
    parameters: &Object {
        what: "the system `standby`",
        one_of: &[],
        fields: &[
            required("of", "The server that it follows.", Shape::Name),
            optional("region", "The region of the standby.", Shape::Name),
            optional(
                "distance",
                "How long everything takes each way between its region and that of the server it follows.",
                Shape::Duration,
            ),
            required(
                "mode",
                "Whether a commit waits for it (`sync`) or not (`async`).",
                Shape::Word(&["async", "sync"]),
            ),
        ],
    },
    names: &[("of", &["postgres", "standby"])],
    target: TargetKind::Postgres,
    part: SystemPart::Standby { of: "of" },
    build: |order| Box::pin(build(order)),
};

#[derive(Debug, Deserialize)]
struct Parameters {
    of: String,
    region: Option<String>,
    distance: Option<SignedDuration>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Async,
    Sync,
}

#[derive(Debug)]
struct Standby(Postgres);

async fn build(order: Order<'_>) -> Result<Arc<dyn System>, TestbedError> {
    let Parameters { of, region, distance, mode } = order.parameters()?;
    let site = order.site;
    let primary = order.server(&of)?;
    let (server, origin) = server(&order, region, primary.archive_timeout_s).await?;
    let (host, port) = site.reach(&server.end, primary).await?;
    let upstream = Upstream { host, port, slot: order.name.replace('-', "_") };
    site.options.go_on()?;
    server.follow(&upstream, &site.secrets).await?;
    site.options.go_on()?;
    server.start().await?;
    let (host, port) = &primary.direct;
    let superuser = Superuser::connect(roles::DATABASE, host, *port, &site.secrets).await?;
    follows(&superuser, &upstream.slot, Mode::Async).await?;
    if mode == Mode::Sync {
        if superuser.holds("looking at the upstream server", "SELECT pg_is_in_recovery()").await? {
            let message =
                format!("`{of}` is a standby, for which no commit waits: only a primary has synchronous standbys");
            return Err(TestbedError::System { name: order.name.to_owned(), message });
        }
        make_synchronous(&superuser, &upstream.slot).await?;
    }
    if let Some(distance) = distance.and_then(|distance| Duration::try_from(distance).ok()) {
        let ends =
            [&primary.end, &server.end].map(|end| Side::Region(end.region.as_deref().unwrap_or(OUTSIDE).to_owned()));
        let [from, to] = &ends;
        site.network.impose(Hindrance::between(from, to, Verdict::Delay(distance)));
    }
    let postgres =
        Postgres::of(&order, KIND.name, server, format!("{origin}; base backup of {of}"), &site.secrets).await?;
    Ok(Arc::new(Standby(postgres)))
}

/// Commits wait for this standby too, and for those that they have waited for so far.
async fn make_synchronous(superuser: &Superuser, slot: &str) -> Result<(), TestbedError> {
    let named = superuser.text("reading the synchronous standbys", "SHOW synchronous_standby_names").await?;
    let mut all: Vec<&str> = named.split('"').skip(1).step_by(2).collect();
    all.push(slot);
    let list: Vec<String> = all.iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!("ALTER SYSTEM SET synchronous_standby_names = 'FIRST {} ({})'", list.len(), list.join(", "));
    superuser.execute("naming the synchronous standbys", &sql).await?;
    superuser.execute("reading the configuration again", "SELECT pg_reload_conf()").await?;
    for slot in all {
        follows(superuser, slot, Mode::Sync).await?;
    }
    Ok(())
}

/// Waits until the primary reports that it streams to the standby in that mode.
async fn follows(superuser: &Superuser, slot: &str, mode: Mode) -> Result<(), TestbedError> {
    let state = match mode {
        Mode::Async => "state = 'streaming'",
        Mode::Sync => "state = 'streaming' AND sync_state = 'sync'",
    };
    let sql = format!("SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '{slot}' AND {state}");
    let following = async {
        while !superuser.holds("looking for the standby", &sql).await? {
            sleep(POLL).await;
        }
        Ok(())
    };
    let late = |_elapsed| TestbedError::ServerStart {
        message: format!("the standby {slot} does not stream within {FOLLOWS_WITHIN:?}"),
    };
    timeout(FOLLOWS_WITHIN, following).await.map_err(late)?
}

#[async_trait]
impl System for Standby {
    fn info(&self) -> SystemInfo {
        self.0.info()
    }

    fn binding(&self) -> Option<Value> {
        self.0.binding()
    }

    fn endpoint(&self, door: Door) -> Option<Arc<dyn Endpoint>> {
        self.0.endpoint(door)
    }

    /// While it is a standby, it is the protection of another server, and has no archive of its own.
    async fn protected(&self, clock: &Clock) -> Result<Option<At>, String> {
        if !self.0.server.runs().await {
            return Ok(None);
        }
        let client = connect(&self.0.observer(), CONNECT_WITHIN).await.map_err(|error| error.to_string())?;
        let row = client.query_one("SELECT pg_is_in_recovery()", &[]).await.map_err(|error| error.to_string())?;
        if row.get(0) { Ok(None) } else { self.0.protected(clock).await }
    }

    fn server(&self) -> Option<&Server> {
        self.0.server()
    }

    fn login(&self, door: Door) -> Option<Config> {
        self.0.login(door)
    }
}
