//! A place where a testbed runs programs: this machine as the server's user, or a container.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncWriteExt, process::Child};

use super::{error::TestbedError, options::Unavailable};

/// The last so many bytes of a failed program's messages are shown.
const MESSAGE_BYTES: usize = 2000;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The user that servers must run as: PostgreSQL refuses to run as root, so root steps down to `postgres`; anyone
    /// else runs them as he is.
    pub(super) fn of_servers() -> Result<Option<Self>, Unavailable> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        users
            .lines()
            .find_map(|line| Self::parse(line).filter(|account| account.name == "postgres"))
            .map(Some)
            .ok_or_else(|| Unavailable {
                reason: "PostgreSQL does not run as root, and there is no user `postgres` to run it as".into(),
            })
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        Some(Self { name, uid, gid: fields.next()?.parse().ok()? })
    }
}

/// A place where programs run.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// This machine, as that user or as this process's own.
    Local(Option<Account>),
    /// A container, as its user `postgres`.
    Container {
        /// The engine's command line.
        engine: String,
        /// Name of the container.
        name: String,
    },
}

/// What a program is run with.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) arguments: &'a [&'a str],
    /// Handed over in the environment, never on a command line that other users can read.
    pub(super) password: Option<&'a str>,
    pub(super) stdin: &'a [u8],
}

impl<'a> Call<'a> {
    pub(super) fn new(arguments: &'a [&'a str]) -> Self {
        Self { arguments, ..Self::default() }
    }
}

impl Place {
    /// Runs a program to its end and returns what it printed. It runs in a process group of its own: Ctrl-C at the terminal is
    /// for this process to answer. Dropped before that, it is killed with everything that it started.
    ///
    /// # Errors
    /// Where it cannot be run, or ends with another code than 0.
    pub(super) async fn run(&self, program: &str, call: Call<'_>) -> Result<String, TestbedError> {
        let failed = |message: String| TestbedError::Program { program: program.to_owned(), message };
        let mut command = tokio::process::Command::from(self.command(program, &call));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let group = Group::of(&child);
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ends without reading says why by its exit code.
            stdin.write_all(call.stdin).await.ok();
        }
        let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
        group.has_ended();
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].concat();
        let tail = &said[said.len().saturating_sub(MESSAGE_BYTES)..];
        Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(tail).trim())))
    }

    fn command(&self, program: &str, call: &Call<'_>) -> Command {
        let mut command = match self {
            Self::Local(account) => {
                let mut command = Command::new(program);
                // The caller's folder may be closed to the other user.
                command.current_dir("/");
                if let Some(account) = account {
                    command.uid(account.uid).gid(account.gid);
                }
                command
            }
            Self::Container { engine, name } => {
                let mut command = Command::new(engine);
                command.args(["exec", "-i", "-u", "postgres", "-e", "PGPASSWORD", name, program]);
                command
            }
        };
        command.process_group(0);
        command.args(call.arguments).env("PGPASSWORD", call.password.unwrap_or_default());
        command
    }

    /// Writes a file of mode 0600.
    pub(super) async fn write(&self, path: &str, content: &str) -> Result<(), TestbedError> {
        let arguments = ["-c", "umask 077; cat > \"$0\"", path];
        self.run("sh", Call { stdin: content.as_bytes(), ..Call::new(&arguments) }).await.map(drop)
    }
}

/// The process group of a running program. Dropped, it is killed as a whole.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Its number may belong to others from now on.
    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has just ended is fine.
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, task::Poll};

    use super::*;

    fn status(pid: &str) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    }

    #[tokio::test]
    async fn a_program_is_out_of_reach_of_ctrl_c() {
        let script = "cut -d ' ' -f 5 /proc/$$/stat; echo $$";
        let said = Place::Local(None).run("sh", Call::new(&["-c", script])).await.unwrap();
        let (group, leader) = said.trim().split_once('\n').unwrap();
        assert_eq!(group, leader);
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_ends_with_what_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("child");
        let script = "sleep 1000 & echo $! >\"$0.part\"; mv \"$0.part\" \"$0\"; wait";
        let path = file.to_string_lossy().into_owned();
        let arguments = ["-c", script, &path];
        let place = Place::Local(None);
        let mut running = Box::pin(place.run("sh", Call::new(&arguments)));
        let child = loop {
            let ended = std::future::poll_fn(|context| Poll::Ready(running.as_mut().poll(context).is_ready())).await;
            assert!(!ended, "it waits for its child");
            if let Ok(pid) = fs::read_to_string(&file) {
                break pid.trim().to_owned();
            }
            tokio::task::yield_now().await;
        };
        assert!(status(&child).is_some_and(|state| state != 'Z'));
        drop(running);
        // Whoever reaps it may take his time.
        while status(&child).is_some_and(|state| state != 'Z') {
            tokio::task::yield_now().await;
        }
    }
}
