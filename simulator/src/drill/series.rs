//! Reports on disk: of one run in its own folder, of several runs beside theirs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lifeboat_present::drill::{junit, markdown};
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

/// Leaves the report in the folder, for programs and for people.
pub(super) fn save(folder: &Path, report: &DrillReport) -> Result<(), DrillError> {
    let json = to_vec_pretty(report).map_err(|error| {
        let path = folder.join("report.json");
        DrillError::file(&path, "written")(error.into())
    })?;
    let files = [
        ("report.json", json),
        ("report.html", report::render(report).into_bytes()),
        ("report.md", markdown(report).into_bytes()),
        ("junit.xml", junit(report).into_bytes()),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(DrillError::file(&path, "written"))?;
    }
    Ok(())
}
