//! The commands, one file each: arguments and what they do.

pub(crate) mod abort;
pub(crate) mod approve;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod confine;
pub(crate) mod copies;
pub(crate) mod coverage;
pub(crate) mod drill;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod leases;
pub(crate) mod pause;
pub(crate) mod plan;
pub(crate) mod plugins;
pub(crate) mod report;
pub(crate) mod resolve;
pub(crate) mod resume;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod skip;
pub(crate) mod status;
pub(crate) mod test;
mod test_junit;
mod test_report;
pub(crate) mod verify_journal;
