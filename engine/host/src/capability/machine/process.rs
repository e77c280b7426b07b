//! Programs: run to the end, or read while they run.

use std::collections::VecDeque;

use lifeboat_core::action::Effect;
use tracing::{Instrument, Span};

use super::{
    cut, failed,
    lines::{self, Lines},
    place::Place,
    running::{self, Running},
};
use crate::{
    call::CallContext,
    wit::lifeboat::machine::machine::{Error, Output},
};

const STDOUT_BYTES_MAX: usize = 1 << 20;

/// A program that a guest reads while it runs.
#[expect(unreachable_pub, reason = "the generated bindings re-export it from public modules of a private one")]
pub struct Process {
    running: Running,
    lines: Lines,
    ready: VecDeque<String>,
    over: bool,
    effect: Effect,
    name: String,
    /// Open as long as the guest holds the program.
    _span: Span,
}

/// What operators debug with. Arguments can hold secrets and are left out.
fn span(machine: &str, program: &str) -> Span {
    tracing::debug_span!("program", machine, program)
}

/// The words of the command, where the binding allows program and arguments.
async fn prepare<'a>(
    context: &'a CallContext,
    machine: &'a str,
    program: &str,
    arguments: &[String],
) -> Result<(Place<'a>, Vec<String>, Effect), Error> {
    let runnable = Place::of(context, machine, Effect::Read)?.program(program)?;
    let place = Place::enter(context, machine, runnable.effect).await?;
    let words = place.words(program, &runnable, arguments)?;
    Ok((place, words, runnable.effect))
}

/// Runs a program to its end.
pub(super) async fn run(
    context: &CallContext,
    machine: &str,
    program: &str,
    arguments: &[String],
    stdin: Option<String>,
) -> Result<Output, Error> {
    let (place, words, effect) = prepare(context, machine, program, arguments).await?;
    let (mut running, stdout) = running::start(context, &place, &words, stdin.map(String::into_bytes))?;
    let work = async {
        let (stdout, exit) = tokio::join!(running::tail(stdout, STDOUT_BYTES_MAX), running.exit());
        exit.map(|exit| Output {
            exit: exit.code,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: exit.stderr,
        })
    };
    match context.bounded(work.instrument(span(machine, program))).await {
        Ok(output) => output,
        Err(why) => {
            running.end().await;
            Err(cut(context, why, effect, program))
        }
    }
}

/// Starts a program whose output the guest will read.
pub(super) async fn spawn(
    context: &CallContext,
    machine: &str,
    program: &str,
    arguments: &[String],
    keep: &[Vec<String>],
) -> Result<Process, Error> {
    let (place, words, effect) = prepare(context, machine, program, arguments).await?;
    let (running, stdout) = running::start(context, &place, &words, None)?;
    let lines = lines::stream(stdout, lines::Keep::new(keep));
    Ok(Process {
        running,
        lines,
        ready: VecDeque::new(),
        over: false,
        effect,
        name: program.to_owned(),
        _span: span(machine, program),
    })
}

impl Process {
    /// The next lines, at least one; none at the end of the output.
    pub(super) async fn read_lines(&mut self, context: &CallContext, max: usize) -> Result<Vec<String>, Error> {
        if self.ready.is_empty() && !self.over {
            match context.bounded(self.lines.next()).await {
                Ok(Ok(Some(lines))) => self.ready.extend(lines),
                Ok(Ok(None)) => self.over = true,
                Ok(Err(error)) => {
                    self.running.end().await;
                    let message = format!("cannot read the output of `{}` to its end: {error}", self.name);
                    return Err(failed("machine-command", message));
                }
                Err(why) => {
                    self.running.end().await;
                    return Err(cut(context, why, self.effect, &self.name));
                }
            }
        }
        let count = self.ready.len().min(max.max(1));
        Ok(self.ready.drain(..count).collect())
    }

    /// Exit code and standard error.
    pub(super) async fn wait(&mut self, context: &CallContext) -> Result<Output, Error> {
        if !self.over {
            self.lines.close();
            self.running.end().await;
        }
        match context.bounded(self.running.exit()).await {
            Ok(exit) => exit.map(|exit| Output { exit: exit.code, stdout: String::new(), stderr: exit.stderr }),
            Err(why) => {
                self.running.end().await;
                Err(cut(context, why, self.effect, &self.name))
            }
        }
    }
}
