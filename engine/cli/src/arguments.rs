//! The command line: what all commands share.

use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, ValueEnum};
use lifeboat_core::{
    name::{NameError, StepId},
    plan::Variant,
};

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Folder of runs, leases and compiled plugins [default: the platform's state folder]
    #[arg(long, global = true, env = "LIFEBOAT_HOME", hide_env_values = true, value_name = "FOLDER")]
    pub(crate) home: Option<PathBuf>,
    /// Whether to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
}

/// Whether to use colours.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    /// If the output is a terminal and `NO_COLOR` is not set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// Makes the choice for the whole process.
    pub(crate) fn apply(self) {
        let choice = match self {
            Self::Auto => ColorChoice::Auto,
            Self::Always => ColorChoice::Always,
            Self::Never => ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// A variant of a runbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VariantArgument {
    /// The planned switch: nothing is broken
    Planned,
    /// The disaster: a system is lost
    Disaster,
}

impl From<VariantArgument> for Variant {
    fn from(argument: VariantArgument) -> Self {
        match argument {
            VariantArgument::Planned => Self::Planned,
            VariantArgument::Disaster => Self::Disaster,
        }
    }
}

/// A step of a run, as it is written on the command line.
pub(crate) fn step(text: &str) -> Result<StepId, NameError> {
    StepId::parse(text)
}

/// `NAME=VALUE`, as evidence is written.
pub(crate) fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
