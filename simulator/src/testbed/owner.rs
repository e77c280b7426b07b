//! The owner of a testbed, which tells an abandoned testbed from one in use.
//!
//! A process number alone proves nothing, because numbers are reused: the start time, the boot and the host are needed too.

use std::{fmt, fs, str::FromStr};

use serde::{Deserialize, Serialize};

/// A process, named so that it cannot be confused with another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    host: String,
    boot: String,
    pid: u32,
    /// Clock ticks since the boot.
    started: u64,
}

impl Owner {
    /// This process.
    pub(super) fn current() -> Self {
        let pid = std::process::id();
        Self { host: kernel("hostname"), boot: kernel("random/boot_id"), pid, started: start_of(pid).unwrap_or(0) }
    }

    /// Whether it is known to have ended. That is never known of a process on another host.
    pub(super) fn is_gone(&self) -> bool {
        let here = Self::current();
        if self.host != here.host {
            return false;
        }
        self.boot != here.boot || start_of(self.pid) != Some(self.started)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.host, self.boot, self.pid, self.started)
    }
}

/// A text that names no owner.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnOwner;

impl FromStr for Owner {
    type Err = NotAnOwner;
    fn from_str(text: &str) -> Result<Self, NotAnOwner> {
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(NotAnOwner);
        let (host, boot) = (next()?.to_owned(), next()?.to_owned());
        let pid = next()?.parse().map_err(|_| NotAnOwner)?;
        let started = next()?.parse().map_err(|_| NotAnOwner)?;
        Ok(Self { host, boot, pid, started })
    }
}

fn kernel(name: &str) -> String {
    fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default().trim().to_owned()
}

/// Field 22 of `/proc/PID/stat`; the second field is the program's name in parentheses and may hold anything.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_that_ended_is_gone() {
        let current = Owner::current();
        let check = |owner: Owner, gone| assert_eq!(owner.is_gone(), gone, "{owner}");
        check(current.clone(), false);
        check(Owner { started: current.started + 1, ..current.clone() }, true);
        check(Owner { boot: "another".into(), ..current.clone() }, true);
        check(Owner { host: "another".into(), boot: "another".into(), ..current }, false);
    }

    #[test]
    fn text_and_back() {
        let owner = Owner::current();
        assert_eq!(owner.to_string().parse(), Ok(owner));
        assert_eq!("a/b/c/d".parse::<Owner>(), Err(NotAnOwner));
    }
}
