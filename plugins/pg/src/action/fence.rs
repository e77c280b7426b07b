//! `pg/fence`: the old primary can acknowledge nothing more, or nobody knows.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome, machine::Error};
use serde::Deserialize;
use serde_json::json;

use crate::{
    backup::control::{self, Control},
    repair::ServerFiles,
    server::Capabilities,
    wal::cluster,
};

/// A server that finds this file in its data folder starts as a standby. What is in it, PostgreSQL does not read.
const SIGNAL: &str = "standby.signal";
/// Begins the content of one that this action made.
const MARK: &str = "lifeboat fence";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    host: String,
    server: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "fence",
        Effect::Destroy,
        "Ends the old primary on its host and reads back that no process of it is left. Before that it gets a \
         `standby.signal`, so that it starts as a standby of nobody if the host or a service starts it again. A host that \
         cannot be reached, or is another one, proves nothing: then `proven` is false and a person must decide.",
    )
    .parameter("host", "target<machine:destroy>", "The host of the old primary; its data folder is the folder `data`.")
    .parameter("server", "target<postgres:read>", "The standby: a server of the same cluster.")
    .output("proven", "bool", "Whether it is certain that the old primary accepts no more writes.")
    .output("reason", "string", "What was read back, or why nothing is proven.")
    .output("was_running", "bool", "Whether it ran before.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let identifier = cluster::facts(&caps.open(&parameters.server)?)?.system_identifier;
    let fenced = fence(call, caps, &parameters.host, identifier);
    let (proven, was_running, reason) = match fenced {
        Ok(was_running) => {
            let before = if was_running { "it ran and was ended" } else { "it did not run" };
            (true, was_running, format!("no process of the old primary is left ({before}), and it starts as a standby"))
        }
        // What is not allowed is not a question of what can be reached.
        Err(failure @ (Failure::Denied(_) | Failure::InvalidInput(_))) => return Err(failure),
        Err(failure) => (false, false, format!("nothing is proven: {}", failure.reason().message)),
    };
    Outcome::new(json!({ "proven": proven, "was_running": was_running, "reason": reason }), reason)
}

/// Whether it ran. An error: nothing is known of it.
fn fence<C: Capabilities>(call: &Call, caps: &C, host: &str, identifier: u64) -> Result<bool, Failure> {
    let files = find(caps, host)?;
    let data = files.data.as_str();
    let control = control::read(caps, host, data)?;
    let is_ours = made_by_us(caps, host, data)?;
    check_primary(&control, data, identifier, is_ours)?;
    if !is_ours {
        // It ends for good only if nothing that starts it again makes a primary of it.
        let mark = format!("{MARK}, {}\n", call.key);
        caps.create_file(host, &format!("{data}/{SIGNAL}"), mark.as_bytes())?;
    }
    let was_running = caps.server_runs(host, data)?;
    caps.stop_server(host, data)?;
    if caps.server_runs(host, data)? {
        return Err(Failure::transient("pg-still-runs", format!("a server runs in {data} again")));
    }
    Ok(was_running)
}

/// A binding without the folder proves as little as a host that is gone, and must not hold up a failover.
fn find<'a, C: Capabilities>(caps: &'a C, host: &'a str) -> Result<ServerFiles<'a, C>, Failure> {
    let unbound = |failure: Failure| Failure::permanent("pg-fence-elsewhere", failure.reason().message.clone());
    ServerFiles::find(caps, host).map_err(unbound)
}

/// Whether the server of that host can only be a standby: it has the mark. PostgreSQL takes the file away when it is promoted.
pub(super) fn stands(caps: &impl Capabilities, host: &str) -> Result<bool, Failure> {
    made_by_us(caps, host, &find(caps, host)?.data)
}

/// Whether the folder has the mark of an earlier attempt.
fn made_by_us(caps: &impl Capabilities, host: &str, data: &str) -> Result<bool, Failure> {
    match caps.read_file(host, &format!("{data}/{SIGNAL}")) {
        Ok(content) => Ok(content.starts_with(MARK.as_bytes())),
        Err(Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The folder of a standby is never touched: it may be the one that is about to be promoted.
fn check_primary(control: &Control, data: &str, identifier: u64, is_ours: bool) -> Result<(), Failure> {
    if control.system_identifier() != Some(identifier) {
        let message = format!("{data} on that host is not of the cluster {identifier}");
        return Err(Failure::permanent("pg-fence-elsewhere", message));
    }
    let state = control.state().unwrap_or_default();
    if !is_ours && matches!(state, "" | "in archive recovery" | "shut down in recovery") {
        let message = format!("{data} on that host is that of a standby (`{state}`), not of the old primary");
        return Err(Failure::denied("pg-fence-standby", message));
    }
    Ok(())
}
