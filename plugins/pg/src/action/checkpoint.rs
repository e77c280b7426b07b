//! `pg/checkpoint`: a checkpoint, and the proof that the control file knows the timeline.

use lifeboat_plugin::{Action, Call, Connection, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{server::Capabilities, wal::cluster};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
}

pub(super) fn action() -> Action {
    Action::new(
        "checkpoint",
        Effect::Mutate,
        "Writes a checkpoint. After a promotion it is what lets `pg_rewind` see the new timeline, and what lets \
         `archive_timeout` begin to work. Needs the right to run CHECKPOINT.",
    )
    .parameter("server", "target<postgres:write>", "The server.")
    .output("timeline", "int", "The timeline in the control file.")
    .output("redo", "string", "Where a recovery from this checkpoint would begin.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let connection = caps.open(&parameters.server)?;
    connection.execute("CHECKPOINT", &[])?;
    let rows = connection
        .query("SELECT timeline_id::bigint AS timeline, redo_lsn::text AS redo FROM pg_control_checkpoint()", &[])?;
    let row = rows.one()?;
    let (timeline, redo): (u32, String) = (row.get("timeline")?, row.get("redo")?);
    let written = cluster::facts(&connection)?.timeline;
    if timeline != written {
        let message = format!("the control file is on timeline {timeline}, and the server writes on {written}");
        return Err(Failure::transient("pg-checkpoint-late", message));
    }
    Outcome::new(json!({ "timeline": timeline, "redo": redo }), format!("checkpoint on timeline {timeline} at {redo}"))
}
