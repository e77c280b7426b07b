//! Changes to a bindings file, by what is in it and not by how it is laid out.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use lifeboat_core::document;
use serde_json::Value;

/// Writes to `to` what `change` makes of the targets in `from`.
pub fn changed(from: &Path, to: &Path, change: impl FnOnce(&mut Value)) -> Result<()> {
    let mut bindings: Value = serde_yaml::from_str(&fs::read_to_string(from)?)?;
    change(bindings.get_mut("targets").context("targets")?);
    Ok(fs::write(to, document::write(&bindings))?)
}

/// The bindings with a work folder on the machine `recovery` that has so long a path that no socket fits into it.
pub fn with_long_work_folder(from: &Path, to: &Path, long: &str) -> Result<()> {
    changed(from, to, |targets| targets["recovery"]["folders"]["work"]["path"] = long.into())
}
