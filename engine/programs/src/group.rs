//! A program with everything that it starts. It has a process group of its own: Ctrl-C at a terminal reaches only this process,
//! which then ends the whole group.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// A program that leads its process group. When this is dropped, the whole group ends.
pub struct Group(Child);

impl Group {
    /// Makes the program that the command starts the leader of a group.
    pub fn lead(command: &mut Command) {
        command.process_group(0).kill_on_drop(true);
    }

    /// The group of a program whose command was prepared with [`Group::lead`].
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// Waits until the leader ends.
    ///
    /// # Errors
    /// The operating system cannot say how it ended.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Whether the leader has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Kills the group. Does nothing after the leader was waited for, because its number may belong to others then.
    pub fn kill(&mut self) {
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _gone_already = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}
