//! `pg/check-history`: the archive knows how a promoted server came to its timeline.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome, machine::Error};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::Capabilities,
    standby::{lsn, milliseconds},
    wal::{
        archive::ARCHIVE,
        cluster,
        timeline::{self, Chain},
    },
};

const WITHIN: &str = "1m";
const PAUSE_MS: u64 = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    fork: String,
    archive: Option<String>,
    within: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "check-history",
        Effect::Read,
        "Waits until the archive has the history file of a promoted server's timeline, and holds it against where the \
         server was promoted. Without it no copy can be restored across the promotion; another one under the same name is \
         that of a server that was promoted too.",
    )
    .parameter("server", "target<postgres:read>", "The promoted server.")
    .parameter("machine", "target<machine:read>", "Where its archive lies.")
    .parameter("fork", "string", "Where its timeline begins: that of `pg/promote`.")
    .optional("archive", "string", "Folder of the binding with the WAL archive (`archive`).")
    .optional("within", "duration", "How long to wait for it (1m).")
    .output("history", "string", "The file.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let fork = lsn(&parameters.fork)?;
    let within = parameters.within.as_deref().unwrap_or(WITHIN);
    let timeline = cluster::facts(&caps.open(&parameters.server)?)?.timeline;
    let folder = caps.folder(machine, parameters.archive.as_deref().unwrap_or(ARCHIVE))?;
    let path = format!("{folder}/{}", timeline::history_file(timeline));
    let end_ms = caps.now_ms().saturating_add(milliseconds(within)?);
    let text = loop {
        match caps.read_file(machine, &path) {
            Ok(content) => break String::from_utf8_lossy(&content).into_owned(),
            Err(Error::NotFound(_)) if caps.now_ms() < end_ms && caps.sleep_ms(PAUSE_MS) => {}
            Err(Error::NotFound(_)) => {
                let message = format!("{path} is not there {within} after the promotion: see the server's log");
                return Err(Failure::transient("pg-history-not-archived", message));
            }
            Err(error) => return Err(error.into()),
        }
    };
    let found = Chain::parse(timeline, &text).map(|chain| chain.begin());
    if found != Some(fork) {
        let begins = found.map_or("is damaged".to_owned(), |begin| format!("says that it begins at {begin}"));
        let message = format!("{path} {begins}, and the server was promoted at {fork}: another one archives there");
        return Err(Failure::permanent("pg-history-foreign", message));
    }
    Outcome::new(json!({ "history": path }), format!("{path} says that timeline {timeline} begins at {fork}"))
}
