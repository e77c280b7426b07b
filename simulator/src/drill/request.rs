//! What a caller asks for.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lifeboat_core::diagnostic::SourceFile;
use tokio_util::sync::CancellationToken;

use super::{error::DrillError, spec::DrillSpec};
use crate::{controls::Control, model::Size, testbed::Backend};

/// A drill in this binary.
struct BuiltIn {
    name: &'static str,
    drill: &'static str,
    /// The runbooks that it names: their names in the file, and their texts.
    runbooks: &'static [(&'static str, &'static str)],
}

const BUILT_IN: [BuiltIn; 8] = [
    BuiltIn {
        name: "dr-001",
        drill: include_str!("../../../workflows/drills/dr-001.yaml"),
        runbooks: &[(
            "../dr-001-database-corruption.yaml",
            include_str!("../../../workflows/dr-001-database-corruption.yaml"),
        )],
    },
    BuiltIn {
        name: "dr-002",
        drill: include_str!("../../../workflows/drills/dr-002.yaml"),
        runbooks: &[("../dr-002-region-failure.yaml", include_str!("../../../workflows/dr-002-region-failure.yaml"))],
    },
    BuiltIn {
        name: "dr-002-split",
        drill: include_str!("../../../workflows/drills/dr-002-split.yaml"),
        runbooks: &[("../dr-002-region-failure.yaml", include_str!("../../../workflows/dr-002-region-failure.yaml"))],
    },
    BuiltIn {
        name: "dr-002-sync",
        drill: include_str!("../../../workflows/drills/dr-002-sync.yaml"),
        runbooks: &[("../dr-002-region-failure.yaml", include_str!("../../../workflows/dr-002-region-failure.yaml"))],
    },
    BuiltIn {
        name: "dr-003",
        drill: include_str!("../../../workflows/drills/dr-003.yaml"),
        runbooks: &[(
            "../dr-003-accidental-deletion.yaml",
            include_str!("../../../workflows/dr-003-accidental-deletion.yaml"),
        )],
    },
    BuiltIn {
        name: "dr-004",
        drill: include_str!("../../../workflows/drills/dr-004.yaml"),
        runbooks: &[
            ("../backup-seal.yaml", include_str!("../../../workflows/backup-seal.yaml")),
            ("../dr-004-ransomware.yaml", include_str!("../../../workflows/dr-004-ransomware.yaml")),
        ],
    },
    BuiltIn {
        name: "bv-001",
        drill: include_str!("../../../workflows/drills/bv-001.yaml"),
        runbooks: &[
            ("../backup-seal.yaml", include_str!("../../../workflows/backup-seal.yaml")),
            ("../backup-verification.yaml", include_str!("../../../workflows/backup-verification.yaml")),
        ],
    },
    BuiltIn { name: "standby-lag", drill: include_str!("../../../workflows/drills/standby-lag.yaml"), runbooks: &[] },
];

/// A drill to be held.
#[derive(Debug, Clone)]
pub struct DrillRequest {
    /// What to do.
    pub spec: DrillSpec,
    /// The drill file, for positions in it.
    pub file: SourceFile,
    /// The runbooks that the engine executes, by their names in the drill file.
    pub runbooks: BTreeMap<String, SourceFile>,
    /// Processes or containers.
    pub backend: Backend,
    /// PostgreSQL's major version; `None`: the newest available one.
    pub postgres_major: Option<u16>,
    /// The seed of the writes and samples.
    pub seed: u64,
    /// Leave the systems running.
    pub keep: bool,
    /// The engine's state folder (`$LIFEBOAT_HOME`).
    pub home: PathBuf,
    /// Also hold the negative controls and the run without a fault.
    pub controls: bool,
    /// Another size than the drill file's.
    pub size: Option<Size>,
    /// A known breakage, for tests: the drill must turn red.
    pub sabotage: Option<Control>,
    /// The step of a runbook that holds it, in words; `None` where a person does.
    pub for_step: Option<String>,
    /// Fires when the drill should end early (Ctrl-C): it tears down and returns [`DrillError::Stopped`].
    pub stop: CancellationToken,
}

impl DrillRequest {
    /// The drill of that name in this binary, or in that file, with everything else at its default.
    pub fn new(drill: &str, home: impl Into<PathBuf>) -> Result<Self, DrillError> {
        let (file, spec, runbooks) = match BUILT_IN.iter().find(|known| known.name.eq_ignore_ascii_case(drill)) {
            Some(known) => known.read()?,
            None => from_file(drill)?,
        };
        Ok(Self {
            spec,
            file,
            runbooks,
            backend: Backend::Process,
            postgres_major: None,
            seed: 7,
            keep: false,
            home: home.into(),
            controls: false,
            size: None,
            sabotage: None,
            for_step: None,
            stop: CancellationToken::new(),
        })
    }

    /// The runbook of that name in the drill file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn runbook(&self, name: &str) -> Result<SourceFile, DrillError> {
        let folder = Path::new(&self.file.name).parent().unwrap_or(Path::new(""));
        self.runbooks.get(name).cloned().map_or_else(|| read(&folder.join(name)), Ok)
    }

    /// The built-in drills that rehearse a recovery, and so have to be repeated.
    pub fn rehearsals() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().filter(|known| !known.runbooks.is_empty()).map(|known| known.name)
    }

    /// The names of the drills in this binary.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|known| known.name)
    }
}

type Read = (SourceFile, DrillSpec, BTreeMap<String, SourceFile>);

impl BuiltIn {
    fn read(&self) -> Result<Read, DrillError> {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        let drill = file(self.name, self.drill);
        let spec = DrillSpec::parse(&drill)?;
        let named = |(path, text): &(&str, &str)| {
            let name = Path::new(path).file_name().map_or_else(|| (*path).into(), |name| name.to_string_lossy());
            ((*path).to_owned(), file(&name, text))
        };
        Ok((drill, spec, self.runbooks.iter().map(named).collect()))
    }
}

fn from_file(drill: &str) -> Result<Read, DrillError> {
    let path = Path::new(drill);
    if !path.exists() {
        let known = DrillRequest::built_in().collect::<Vec<_>>().join(", ");
        return Err(DrillError::UnknownDrill { name: drill.to_owned(), known });
    }
    let file = read(path)?;
    let spec = DrillSpec::parse(&file)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    // One that cannot be read is reported with everything else that is wrong with the drill.
    let runbooks = spec.runbooks().filter_map(|name| Some((name.to_owned(), read(&folder.join(name)).ok()?)));
    let runbooks = runbooks.collect();
    Ok((file, spec, runbooks))
}

pub(super) fn read(path: &Path) -> Result<SourceFile, DrillError> {
    let bytes = fs::read(path).map_err(DrillError::file(path, "read"))?;
    let name = path.display().to_string();
    SourceFile::from_bytes(name.clone(), &bytes).map_err(|diagnostic| {
        let file = SourceFile { name, text: String::new() };
        DrillError::of(file, vec![*diagnostic])
    })
}
