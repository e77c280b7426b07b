//! `lifeboat completions`: a completion script for a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::{exit::Exit, output::data_as_is};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lifeboat completions bash > /etc/bash_completion.d/lifeboat")]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

/// `line` is the whole command line.
pub(crate) fn execute(arguments: &Arguments, mut line: Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut line, "lifeboat", &mut script);
    data_as_is(String::from_utf8_lossy(&script));
    Exit::Done
}
