//! `lifeboat metrics`: rehearsals and verified backups for monitoring.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use lifeboat_present::metrics::LABELS;
use lifeboat_simulator::rehearsed::{self, is_textfile, replace};

use super::coverage::told;
use crate::{
    arguments::{Global, named_value},
    engine,
    exit::Exit,
    output::data_as_is,
    problem::Problem,
};

/// Write metrics about drills and verified backups, in the text format of Prometheus
///
/// The file is for the textfile collector of the node exporter. It is replaced as a whole, so that the collector never reads half of
/// one. Write it regularly, for example each hour, and alert on the age of `lifeboat_metrics_written_timestamp`: the collector goes on
/// telling an old file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat metrics\n  \
    lifeboat metrics --textfile /var/lib/node_exporter/lifeboat.prom\n  \
    lifeboat metrics drills/*.yaml --label cluster=eu --textfile /var/lib/node_exporter/lifeboat-eu.prom")]
pub(crate) struct Arguments {
    /// Drill files beside the drills in this binary
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Replace this file instead of printing; its name ends in `.prom`
    #[arg(long, value_name = "PATH")]
    textfile: Option<PathBuf>,
    /// Add a label to each metric: what two state folders of one machine tell must differ in one
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
}

/// A label that no metric has already.
fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = named_value(text)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_part);
    if !is_name {
        return Err("a label is named with letters, digits and `_`, and begins with a lower-case letter".to_owned());
    }
    if LABELS.contains(&name.as_str()) || ["instance", "job"].contains(&name.as_str()) {
        return Err(format!("`{name}` is a label already"));
    }
    Ok((name, value))
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let twice = |(place, (name, _)): (usize, &(String, String))| {
        arguments.labels[..place].iter().any(|(other, _)| other == name).then(|| name.clone())
    };
    if let Some(name) = arguments.labels.iter().enumerate().find_map(twice) {
        return Err(Problem::usage(format!("the label `{name}` is given twice")).into());
    }
    let home = engine::home_to_read(global)?;
    let text = told(rehearsed::metrics(&home, &arguments.files, &arguments.labels, Timestamp::now()))?;
    match &arguments.textfile {
        Some(path) if !is_textfile(path) => {
            let problem = Problem::usage(format!("the textfile collector does not read `{}`", path.display()));
            return Err(problem.hint("it reads files whose names end in `.prom`").into());
        }
        Some(path) => replace(path, &text).with_context(|| format!("`{}` cannot be written", path.display()))?,
        None => data_as_is(text),
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_name_of_its_own() {
        assert_eq!(label("cluster=eu=1"), Ok(("cluster".to_owned(), "eu=1".to_owned())));
        for wrong in ["cluster", "=eu", "Cluster=eu", "a-b=1", "drill=x", "job=x", "__name__=x"] {
            assert!(label(wrong).is_err(), "{wrong}");
        }
    }
}
