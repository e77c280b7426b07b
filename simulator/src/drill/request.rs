//! What a caller asks for.

use std::{fs, path::Path, path::PathBuf};

use lifeboat_core::diagnostic::SourceFile;
use tokio_util::sync::CancellationToken;

use super::{error::DrillError, spec::DrillSpec};
use crate::{controls::Sabotage, testbed::Backend, workload::Size};

/// The drills in this binary: name, drill file, name and text of the runbook.
const BUILT_IN: [(&str, &str, &str, &str); 1] = [(
    "dr-003",
    include_str!("../../../workflows/drills/dr-003.yaml"),
    "dr-003-accidental-deletion.yaml",
    include_str!("../../../workflows/dr-003-accidental-deletion.yaml"),
)];

/// A drill to be held.
#[derive(Debug, Clone)]
pub struct DrillRequest {
    /// What to do.
    pub spec: DrillSpec,
    /// The runbook that the engine executes.
    pub runbook: SourceFile,
    /// Processes or containers.
    pub backend: Backend,
    /// PostgreSQL's major version; none: the newest that there is.
    pub postgres_major: Option<u16>,
    /// Draws the writes and samples.
    pub seed: u64,
    /// Leave the systems standing.
    pub keep: bool,
    /// The engine's state folder (`$LIFEBOAT_HOME`).
    pub home: PathBuf,
    /// Also hold the negative controls and the run without a fault.
    pub controls: bool,
    /// Another size than the drill file's.
    pub size: Option<Size>,
    /// A known breakage, for tests: the drill must turn red.
    pub sabotage: Sabotage,
    /// Fires when the drill should end early (Ctrl-C): it tears down and returns [`DrillError::Stopped`].
    pub stop: CancellationToken,
}

impl DrillRequest {
    /// The drill of that name in this binary, or in that file, with everything else at its default.
    pub fn new(drill: &str, home: impl Into<PathBuf>) -> Result<Self, DrillError> {
        let (spec, runbook) = match BUILT_IN.iter().find(|(name, ..)| name.eq_ignore_ascii_case(drill)) {
            Some((name, spec, runbook_name, runbook)) => {
                let runbook = SourceFile { name: (*runbook_name).to_owned(), text: (*runbook).to_owned() };
                let file = SourceFile { name: (*name).to_owned(), text: (*spec).to_owned() };
                (DrillSpec::parse(&file)?, runbook)
            }
            None => from_file(drill)?,
        };
        Ok(Self {
            spec,
            runbook,
            backend: Backend::Process,
            postgres_major: None,
            seed: 7,
            keep: false,
            home: home.into(),
            controls: false,
            size: None,
            sabotage: Sabotage::None,
            stop: CancellationToken::new(),
        })
    }

    /// The names of the drills in this binary.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, ..)| *name)
    }
}

fn from_file(drill: &str) -> Result<(DrillSpec, SourceFile), DrillError> {
    let path = Path::new(drill);
    if !path.exists() {
        let known = DrillRequest::built_in().collect::<Vec<_>>().join(", ");
        return Err(DrillError::UnknownDrill { name: drill.to_owned(), known });
    }
    let spec = DrillSpec::parse(&read(path)?)?;
    let runbook = path.parent().unwrap_or(Path::new("")).join(&spec.runbook);
    Ok((spec, read(&runbook)?))
}

fn read(path: &Path) -> Result<SourceFile, DrillError> {
    let bytes = fs::read(path).map_err(DrillError::file(path, "read"))?;
    let name = path.display().to_string();
    SourceFile::from_bytes(name.clone(), &bytes).map_err(|diagnostic| {
        let file = SourceFile { name, text: String::new() };
        DrillError::Diagnostics { file, diagnostics: vec![*diagnostic] }
    })
}
