//! The client end of the control socket: sends requests to a live run.

use std::{io, path::Path, time::Duration};

use jiff::Timestamp;
use lifeboat_core::{
    name::RunId,
    operator::{Command, Refusal},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    protocol::{Answer, Call, Reply, VERSION},
    socket,
};
use crate::holder::Holder;

/// What came of asking.
#[derive(Debug)]
pub enum Sent {
    /// The engine answered.
    Answered(Answer),
    /// No engine listens.
    Nobody,
    /// An engine owns the run and does not answer; which one, where that is known. What was asked for has expired.
    Silent(Option<Holder>),
}

/// An engine that takes a request in the last moment has so long to write it down and to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

/// Asks the engine that works on the run in that folder. It does what is asked within the patience, or never: the client has gone by
/// then, and may have found another way.
pub(crate) async fn send(folder: &Path, run: &RunId, command: &Command, patience: Duration) -> io::Result<Sent> {
    let expires = Timestamp::now().checked_add(patience).unwrap_or(Timestamp::MAX);
    let asked = ask(folder, run, command, expires);
    tokio::time::timeout(patience + ANSWERED_WITHIN, asked).await.unwrap_or(Ok(Sent::Silent(None)))
}

async fn ask(folder: &Path, run: &RunId, command: &Command, expires: Timestamp) -> io::Result<Sent> {
    let Some(mut stream) = socket::connect(folder).await? else { return Ok(Sent::Nobody) };
    let call = Call {
        lifeboat: VERSION.to_owned(),
        run: run.clone(),
        sudo_user: std::env::var("SUDO_USER").ok(),
        expires: Some(expires),
        command: command.clone(),
    };
    let mut line = serde_json::to_vec(&call)?;
    line.push(b'\n');
    if stream.write_all(&line).await.is_err() {
        return Ok(Sent::Nobody);
    }
    let mut answer = Vec::new();
    // The engine may be killed at any moment.
    let read = stream.read_to_end(&mut answer).await;
    if read.is_err() || !answer.ends_with(b"\n") {
        let message = "the engine ended before it answered; use `lifeboat status` to see whether the request was \
             recorded";
        return Ok(Sent::Answered(Err(Refusal::new("run-control", message))));
    }
    let reply: Reply = serde_json::from_slice(&answer)?;
    Ok(Sent::Answered(reply.into_answer()))
}
