//! A place where programs run and files lie.

pub(crate) mod fake;
mod files;

use super::declare::{capability, handle};
pub use crate::bindings::lifeboat::machine::machine::{
    Entry, EntryKind, Error, Fetched, Link, Output, Server, Tree, Wall,
};
use crate::failure::Failure;

capability! {
    /// Programs and files of the machines that the bindings name. Paths are absolute and below an allowed folder.
    machine: trait Machine<
        /// A program that runs.
        Process
    > {
        /// Absolute path of a folder of the binding.
        fn folder(&self, machine: &str, name: &str) -> Result<String, Error>;
        /// The ports on which instances may be started.
        fn ports(&self, machine: &str) -> Result<Vec<u16>, Error>;
        /// The address an instance must listen on so that the engine reaches it.
        fn listen_address(&self, machine: &str) -> Result<String, Error>;
        /// Runs a program of the allow-list to its end, whatever its exit code.
        fn run(&self, machine: &str, program: &str, arguments: &[String], stdin: Option<&str>) -> Result<Output, Error>;
        /// Starts a program to read what it prints. A line is delivered where `keep` is empty, or where all texts of at least
        /// one list of `keep` occur in it.
        fn spawn(
            &self,
            machine: &str,
            program: &str,
            arguments: &[String],
            keep: &[Vec<String>],
        ) -> Result<Self::Process, Error>;
        /// A file's content, at most 16 MiB.
        fn read_file(&self, machine: &str, path: &str) -> Result<Vec<u8>, Error>;
        /// `length` bytes from `offset` on of each of these files of a folder, in this order; all together at most 16 MiB. Fails where
        /// one is no file, cannot be read, or ends before, and names it.
        fn read_parts(
            &self,
            machine: &str,
            folder: &str,
            names: &[String],
            offset: u64,
            length: u32,
        ) -> Result<Vec<Vec<u8>>, Error>;
        /// Writes a file so that readers see the old content or the new one, never a part.
        fn write_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), Error>;
        /// As [`Machine::write_file`], but denied with `machine-exists` where something is there already.
        fn create_file(&self, machine: &str, path: &str, content: &[u8]) -> Result<(), Error>;
        /// What lies in a folder, by name.
        fn list_folder(&self, machine: &str, path: &str) -> Result<Vec<Entry>, Error>;
        /// Makes a folder and its parents.
        fn create_folder(&self, machine: &str, path: &str) -> Result<(), Error>;
        /// Removes a file, or a folder with all that is in it; not there is fine.
        fn remove(&self, machine: &str, path: &str) -> Result<(), Error>;
        /// Looks through a folder without following a link.
        fn survey(&self, machine: &str, path: &str) -> Result<Tree, Error>;
        /// Empties parts of a folder: names that end with `/` are folders, which are there and empty afterwards; others are files,
        /// which are gone.
        fn clear(&self, machine: &str, path: &str, names: &[String]) -> Result<(), Error>;
        /// Which wall a server would be started behind: the strongest that the machine offers, or the one that is wanted.
        fn find_wall(&self, machine: &str, server: &Server, wanted: Option<&str>) -> Result<Wall, Error>;
        /// Starts a server behind a wall that [`Machine::find_wall`] has named; comes back when it runs or has ended.
        fn start_server(&self, machine: &str, server: &Server, wall: &str) -> Result<(), Error>;
        /// Whether a server runs in this data folder.
        fn server_runs(&self, machine: &str, data: &str) -> Result<bool, Error>;
        /// Ends the server in this data folder at once, and no other; one that does not run is fine.
        fn stop_server(&self, machine: &str, data: &str) -> Result<(), Error>;
        /// Whether nothing listens on a TCP port there.
        fn port_is_free(&self, machine: &str, port: u16) -> Result<bool, Error>;
        /// Whether files of a folder of the binding are fetched by its `restore_command`.
        fn is_fetched(&self, machine: &str, folder: &str) -> Result<bool, Error>;
        /// Fetches files of such a folder: into a folder that is there, or into one of the call's own, which is gone when the call ends.
        fn fetch(&self, machine: &str, folder: &str, names: &[String], into: Option<&str>) -> Result<Fetched, Error>;
        /// Removes files from the call's own folder of fetched ones.
        fn discard(&self, machine: &str, names: &[String]) -> Result<(), Error>;
        /// Free bytes where the path lies.
        fn free_space(&self, machine: &str, path: &str) -> Result<u64, Error>;
    }
}

handle! {
    /// A program that runs. Dropping it ends it.
    machine: trait Process {
        /// At least one line and at most `max`, without newlines; none when the output is over.
        fn read_lines(&self, max: u32) -> Result<Vec<String>, Error>;
        /// Exit code and standard error.
        fn wait(&self) -> Result<Output, Error>;
    }
}

// The code of a machine without space.
const NO_SPACE_CODE: &str = "machine-no-space";
// The code of a file or folder that is not there.
const NOT_FOUND_CODE: &str = "machine-not-found";
// The code of a program or file operation that took too long.
const TIMED_OUT_CODE: &str = "machine-timed-out";

impl From<Error> for Failure {
    /// Time-outs are interruptions: the program was ended, and how far it came is unknown.
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(reason) => Self::Denied(reason),
            Error::Unreachable(reason) => Self::Transient(reason),
            Error::NotFound(what) => Self::permanent(NOT_FOUND_CODE, format!("not found: {what}")),
            Error::NoSpace(what) => Self::permanent(NO_SPACE_CODE, format!("no space left: {what}")),
            Error::TimedOut(what) => Self::interrupted(TIMED_OUT_CODE, format!("timed out: {what}")),
            Error::Failed(reason) => Self::Permanent(reason),
        }
    }
}

impl Output {
    /// Whether the program ended with 0.
    pub fn succeeded(&self) -> bool {
        self.exit == 0
    }

    /// The last `count` lines of standard error (of standard output where it is empty), for messages.
    pub fn last_lines(&self, count: usize) -> String {
        let text = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        let lines: Vec<&str> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}
