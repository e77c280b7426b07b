//! `drill/write-metrics`: the metrics about drills, where monitoring reads them.

use std::{fs, path::PathBuf};

use jiff::Timestamp;
use lifeboat_core::{
    event::Mode,
    failure::{Failure, HELD_BACK, Reason},
    input::Done,
};
use lifeboat_runtime::{home::Home, invoke::Request};
use serde_json::json;

use super::outcome::of_error;
use crate::{
    drill::DrillError,
    rehearsed::{self, TEXTFILE_SUFFIX, is_textfile, replace},
};

pub(super) fn write_metrics(request: &Request, home: &Home) -> Result<Done, Failure> {
    let path = PathBuf::from(request.call.parameters["textfile"].as_str().unwrap_or_default());
    if !is_textfile(&path) || !path.is_absolute() {
        let message = format!(
            "`{}` is not the whole path of a file that the textfile collector reads: its name ends in `.{TEXTFILE_SUFFIX}`",
            path.display()
        );
        return Err(Failure::InvalidInput(Reason::new("drill-file", message)));
    }
    if request.mode == Mode::DryRun {
        return Err(Failure::Denied(Reason::new(HELD_BACK, format!("would write {}", path.display()))));
    }
    let text = rehearsed::metrics(home, &[], &[], Timestamp::now()).map_err(|error| of_error(&error))?;
    request.fence.check().map_err(Failure::Denied)?;
    let failed = |what| {
        let path = path.clone();
        move |source| of_error(&DrillError::File { path, what, source })
    };
    replace(&path, &text).map_err(failed("written"))?;
    // What monitoring will read, and not what was meant to be written.
    let read = fs::read_to_string(&path).map_err(failed("read"))?;
    let samples = read.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let summary = format!("{samples} samples are in {}", path.display());
    Ok(Done { outputs: json!({ "textfile": path.display().to_string(), "samples": samples }), summary })
}
