//! What the capability keeps: for a run the leases of the servers that it changes, for a call the number of connections.

use std::{collections::BTreeMap, sync::atomic::AtomicUsize, time::Duration};

use lifeboat_core::{
    bindings::{Hold, Postgres},
    failure::Reason,
    name::RoleName,
};
use tokio::{sync::Mutex, time::timeout};

use super::lease::{self, ServerLease, Taken};
use crate::{
    call::CallContext,
    capability::lifetimes::{self, Changed},
    wit::lifeboat::postgres::postgres::Error,
};

/// How long the start of a run waits for a server that it is to hold: in a region that is lost, nothing refuses.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// For a call.
#[derive(Default)]
pub(crate) struct Own {
    /// Connections that the guest holds.
    pub(super) connections: AtomicUsize,
}

impl lifetimes::Own for Own {}

/// For a run: an advisory lock on each server that it changes, by host and port.
#[derive(Default)]
pub(crate) struct Session(Mutex<BTreeMap<(String, u16), Server>>);

/// How a server stands.
enum Server {
    Held(Box<ServerLease>),
    /// A pooler stands before it: nothing can be held.
    Pooled,
}

impl lifetimes::Session for Session {
    async fn hold(&self, context: &CallContext, target: Changed<'_>) -> Result<Option<Reason>, Reason> {
        let Hold::Server(server) = target.system.hold() else { return Ok(None) };
        let taking = timeout(ANSWERS_WITHIN, self.take(context, target.role.as_str(), server));
        // One that does not answer may be what the run is there to bring back: it is held before it is first changed.
        let Ok(taken) = taking.await else { return Ok(None) };
        match taken {
            Ok(Some(holder)) => Err(target.held(&format!("the server behind `{}`", target.role), &holder)),
            Ok(None) if self.is_pooled(server).await => {
                Ok(Some(target.unproved("a pooler gives out sessions for one transaction only")))
            }
            Ok(None) | Err(Error::Connection(_)) => Ok(None),
            Err(error) => Ok(Some(target.unproved(&lease::reason(error).message))),
        }
    }

    async fn let_go(&self) {
        self.0.lock().await.clear();
    }
}

impl Session {
    /// To be called before a server is changed: takes its lease, or takes it again where its connection was lost. An error where
    /// another run has it by now.
    pub(super) async fn on_server(&self, context: &CallContext, role: &str) -> Result<(), Error> {
        let system = RoleName::new(role).ok().and_then(|role| context.bindings.targets.get(&role));
        let Some(Hold::Server(server)) = system.map(|binding| binding.system.hold()) else { return Ok(()) };
        let refused = self.take(context, role, server).await?;
        refused.map_or(Ok(()), |holder| {
            let message = format!("this run lost the server behind `{role}`, which is now in use by {holder}");
            Err(Error::Denied(context.refuse(Reason::new("run-lease-lost", message)).into()))
        })
    }

    /// Who has the server, if it is another engine.
    async fn take(&self, context: &CallContext, role: &str, server: &Postgres) -> Result<Option<String>, Error> {
        let Some(holder) = context.sessions.holder() else { return Ok(None) };
        let mut servers = self.0.lock().await;
        match servers.get(&address(server)) {
            Some(Server::Pooled) => return Ok(None),
            Some(Server::Held(lease)) if !lease.is_lost() => return Ok(None),
            _ => {}
        }
        let now = match lease::take(context, role, server, &lease::sign(&holder)).await? {
            Taken::By(holder) => return Ok(Some(holder)),
            Taken::Held(lease) => Server::Held(lease),
            Taken::Pooled => Server::Pooled,
        };
        servers.insert(address(server), now);
        Ok(None)
    }

    async fn is_pooled(&self, server: &Postgres) -> bool {
        matches!(self.0.lock().await.get(&address(server)), Some(Server::Pooled))
    }
}

fn address(server: &Postgres) -> (String, u16) {
    (server.host.to_ascii_lowercase(), server.port)
}
