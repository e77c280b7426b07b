//! The two lines that go over the socket. Fields are added, never renamed; what another version asks for is refused by name.

use jiff::Timestamp;
use lifeboat_core::{
    name::RunId,
    operator::{Command, Refusal},
};
use serde::{Deserialize, Serialize};

use crate::journal::Recorded;

/// The version that this engine speaks.
pub(super) const VERSION: &str = "control/1";
/// The longest line that is read; evidence is the longest thing that is handed in.
pub(super) const LINE_BYTES_MAX: u64 = 1 << 20;

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Call {
    /// [`VERSION`].
    pub(super) lifeboat: String,
    /// The run that is meant.
    pub(super) run: RunId,
    /// Behind `sudo`, who called it. Believed of root alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sudo_user: Option<String>,
    /// When it must no longer be carried out, because no client waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<Timestamp>,
    /// What is wanted.
    pub(super) command: Command,
}

/// What comes back: exactly one of the two.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    /// [`VERSION`].
    pub(super) lifeboat: String,
    /// The records that it led to, on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) accepted: Option<Vec<Recorded>>,
    /// Why nothing was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<Refusal>,
}

/// What became of a request.
pub type Answer = Result<Vec<Recorded>, Refusal>;

impl Reply {
    pub(super) fn new(answer: Answer) -> Self {
        let lifeboat = VERSION.to_owned();
        match answer {
            Ok(records) => Self { lifeboat, accepted: Some(records), refused: None },
            Err(refusal) => Self { lifeboat, accepted: None, refused: Some(refusal) },
        }
    }

    pub(super) fn into_answer(self) -> Answer {
        let not_one =
            || Refusal::new("run-control", "the engine gave an answer that this version of Lifeboat cannot read");
        match (self.accepted, self.refused) {
            (Some(records), None) => Ok(records),
            (None, Some(refusal)) => Err(refusal),
            _ => Err(not_one()),
        }
    }
}

/// Reads a client's request to this run, in this version.
pub(super) fn read_call(line: &[u8], run: &RunId) -> Result<Call, Refusal> {
    /// What stands in the line of every version.
    #[derive(Deserialize)]
    struct Head {
        lifeboat: String,
    }
    let unreadable = |error: serde_json::Error| Refusal::new("run-control", format!("this is not a request: {error}"));
    let Head { lifeboat } = serde_json::from_slice(line).map_err(unreadable)?;
    if lifeboat != VERSION {
        let message =
            format!("the engine speaks {VERSION}, not `{lifeboat}`; use the version of Lifeboat that runs it");
        return Err(Refusal::new("run-control", message));
    }
    let call: Call = serde_json::from_slice(line).map_err(unreadable)?;
    if call.run == *run {
        return Ok(call);
    }
    Err(Refusal::new("run-control", format!("this is the run `{run}`, not `{}`", call.run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<(), &str>) {
        let run = RunId::new("dr-003-a").unwrap();
        let read = read_call(line.as_bytes(), &run).map(|_| ()).map_err(|refusal| refusal.message);
        match expected {
            Ok(()) => assert_eq!(read, Ok(()), "{line}"),
            Err(part) => assert!(read.as_ref().is_err_and(|message| message.contains(part)), "{line}: {read:?}"),
        }
    }

    #[test]
    fn a_line_is_read_or_refused_in_words() {
        let pause = r#"{"do": "pause"}"#;
        check(&format!(r#"{{"lifeboat": "control/1", "run": "dr-003-a", "command": {pause}}}"#), Ok(()));
        check(&format!(r#"{{"lifeboat": "control/2", "run": 7, "command": {pause}}}"#), Err("speaks control/1"));
        check(&format!(r#"{{"lifeboat": "control/1", "run": "dr-003-b", "command": {pause}}}"#), Err("`dr-003-a`"));
        check(r#"{"lifeboat": "control/1", "run": "dr-003-a", "command": {"do": "dance"}}"#, Err("not a request"));
        check("GET / HTTP/1.1", Err("not a request"));
    }
}
