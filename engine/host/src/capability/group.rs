//! A program with everything that it starts. It has a process group of its own: a terminal's Ctrl-C reaches the engine alone,
//! which then ends the whole group, and nobody else does.

use std::process::ExitStatus;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// Makes the program that the command starts the first one of a group.
pub(super) fn first_of_its_own(command: &mut Command) {
    command.process_group(0).kill_on_drop(true);
}

/// A program that is the first one of its group. Dropped, it ends with all the others.
pub(super) struct Group(Child);

impl Group {
    /// The group of a program that was started as [`first_of_its_own`].
    pub(super) fn of(child: Child) -> Self {
        Self(child)
    }

    /// Waits for the end of the first program.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// Whether the first program has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }

    /// Ends all of it by force; nothing happens where the first program has been waited for.
    pub(super) fn kill(&mut self) {
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
