//! A started program: its pipes, the end of its errors, its exit, and that nothing of it stays behind.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use lifeboat_core::bindings::Via;
use lifeboat_programs::Group;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{ChildStderr, ChildStdin, ChildStdout},
    task::JoinHandle,
};

use super::{
    command::{self, Stdin},
    denied, failed,
    place::Place,
    start::{self, NotStarted},
};
use crate::{
    call::CallContext,
    wit::lifeboat::machine::machine::{Error, Reason},
};

/// What is kept of a stream that only people read.
const TAIL_BYTES_MAX: usize = 1 << 20;
/// How long a program may take to end after its standard input was closed.
const CLOSING_MAX: Duration = Duration::from_secs(2);
/// A program is given this much longer on its machine than the engine waits for it, so that the engine is first.
const MARGIN: Duration = Duration::from_secs(5);

/// A program on its machine.
pub(super) struct Running {
    /// Held open: the program ends when it is closed.
    lifeline: Option<ChildStdin>,
    group: Group,
    stderr: Option<JoinHandle<Vec<u8>>>,
    remote: bool,
}

/// How a program ended.
pub(super) struct Exit {
    /// Exit code; 128 + n for an end by signal n.
    pub(super) code: i32,
    /// The last 1 MiB of standard error.
    pub(super) stderr: String,
}

/// Starts the words on the machine. Standard input is the given bytes, or the lifeline.
pub(super) fn start(
    context: &CallContext,
    place: &Place<'_>,
    words: &[String],
    input: Option<Vec<u8>>,
) -> Result<(Running, ChildStdout), Error> {
    let longest = context.left() + MARGIN;
    let stdin = if input.is_some() { Stdin::Data } else { Stdin::Lifeline };
    let broken = |problem: String| failed("machine-command", format!("on `{}`: {problem}", place.role));
    let mut command = command::on((place.machine, place.as_root), words, stdin, longest).map_err(broken)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        broken(format!("`{}` cannot be started: {error}", command.as_std().get_program().display()))
    })?;
    let no_pipe = || broken("the program has no pipe".to_owned());
    let mut lifeline = child.stdin.take();
    let stdout = child.stdout.take().ok_or_else(no_pipe)?;
    let stderr = child.stderr.take().ok_or_else(no_pipe)?;
    if let (Some(input), Some(mut pipe)) = (input, lifeline.take_if(|_| stdin == Stdin::Data)) {
        // A program that ends without reading everything says in its exit code what went wrong.
        tokio::spawn(async move { pipe.write_all(&input).await });
    }
    let stderr = Some(tokio::spawn(errors(stderr)));
    Ok((Running { lifeline, group: Group::of(child), stderr, remote: place.machine.via != Via::Local }, stdout))
}

async fn errors(stderr: ChildStderr) -> Vec<u8> {
    tail(stderr, TAIL_BYTES_MAX).await
}

/// The last bytes of a stream.
pub(super) async fn tail(mut stream: impl AsyncRead + Unpin, max: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    while let Ok(count @ 1..) = stream.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..count]);
        if kept.len() > 2 * max {
            kept.drain(..kept.len() - max);
        }
    }
    kept.drain(..kept.len().saturating_sub(max));
    kept
}

impl Running {
    /// Waits for the end.
    pub(super) async fn exit(&mut self) -> Result<Exit, Error> {
        let status = self.group.wait().await.map_err(|error| failed("machine-command", error.to_string()))?;
        self.lifeline = None;
        let stderr = match self.stderr.take() {
            Some(reading) => reading.await.unwrap_or_default(),
            None => Vec::new(),
        };
        tracing::trace!(exit = code(status), "the program has ended");
        let exit = Exit { code: code(status), stderr: String::from_utf8_lossy(&stderr).into_owned() };
        self.judged(exit)
    }

    /// Ends the program: gently by its lifeline, then by force.
    pub(super) async fn end(&mut self) {
        self.lifeline = None;
        if tokio::time::timeout(CLOSING_MAX, self.group.wait()).await.is_err() {
            self.group.kill();
            let _reaped = self.group.wait().await;
        }
    }

    /// A full disk, and a machine that cannot be reached, told apart from a program that failed.
    fn judged(&self, exit: Exit) -> Result<Exit, Error> {
        if exit.code == 0 {
            return Ok(exit);
        }
        match start::not_started(exit.code, &exit.stderr) {
            Some(NotStarted::Outside(path)) => {
                return Err(denied("machine-path", format!("`{path}` leads out of its folder by a link")));
            }
            Some(NotStarted::NoFolder(path)) => {
                return Err(failed(
                    "machine-command",
                    format!("programs start in {path}, but that folder does not exist"),
                ));
            }
            None => {}
        }
        let last = exit.stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
        if exit.stderr.contains("No space left on device") {
            return Err(Error::NoSpace(last));
        }
        const GONE: &[&str] = &[
            "Error response from daemon",
            "No such container",
            "Cannot connect to the Docker daemon",
            "is not running",
        ];
        let unreachable = self.remote
            && (exit.code == 255
                || GONE.iter().any(|text| exit.stderr.starts_with("Error") && exit.stderr.contains(text))
                || exit.stderr.contains("Cannot connect to the Docker daemon"));
        if unreachable {
            return Err(Error::Unreachable(Reason { code: "machine-unreachable".to_owned(), message: last }));
        }
        Ok(exit)
    }
}

pub(super) fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
}
