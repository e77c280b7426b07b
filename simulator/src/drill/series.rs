//! Reports on disk: of one run in its own folder, of several runs beside theirs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::to_vec_pretty;

use super::error::DrillError;
use crate::report::{self, DrillReport};

/// Keeps the report over several runs of a drill beside them, in a folder named after the last one with the suffix `-series`,
/// which no run name has.
///
/// # Errors
/// If it cannot be written.
pub fn save_series(runs: &Path, last: &str, report: &DrillReport) -> Result<PathBuf, DrillError> {
    let folder = runs.join(format!("{last}-series"));
    fs::create_dir_all(&folder).map_err(DrillError::file(&folder, "written"))?;
    save(&folder, report)?;
    Ok(folder)
}

/// Leaves `report.json` and `report.html` in the folder.
pub(super) fn save(folder: &Path, report: &DrillReport) -> Result<(), DrillError> {
    let json = folder.join("report.json");
    let text = to_vec_pretty(report).map_err(|error| DrillError::file(&json, "written")(error.into()))?;
    fs::write(&json, text).map_err(DrillError::file(&json, "written"))?;
    let html = folder.join("report.html");
    fs::write(&html, report::render(report)).map_err(DrillError::file(&html, "written"))
}
