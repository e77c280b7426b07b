//! `lifeboat confine`: not for people. The engine starts a restored server by it, behind the wall `landlock`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use lifeboat_host::confine::{Confined, become_confined};

use crate::{exit::Exit, problem::Problem};

/// Execute a program that can access only the given files and folders
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A folder or file that it may write
    #[arg(long, value_name = "PATH")]
    write: Vec<PathBuf>,
    /// A folder or file that it may read
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// The numeric ids of the user and the group to run it as
    #[arg(long, value_name = "UID:GID", value_parser = numbers)]
    user: Option<(u32, u32)>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

fn numbers(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once(':').and_then(|(user, group)| Some((user.parse().ok()?, group.parse().ok()?)));
    parts.ok_or_else(|| "write it as UID:GID".to_owned())
}

/// Comes back only where it fails.
pub(crate) fn execute(arguments: Arguments) -> Exit {
    let Arguments { write, read, user, program } = arguments;
    Problem::new(Exit::Failed, become_confined(&Confined { write, read, user, program })).print();
    Exit::Failed
}
