//! The paths of a testbed's files: on this machine, and as its systems see them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::error::TestbedError;

/// The name of a testbed's folder, by which an abandoned one is recognised.
pub(super) const PREFIX: &str = "lifeboat-testbed-";

/// The folders of a testbed under one root: one for each system, and one for secrets.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    /// Makes a new root in `parent`.
    pub(super) fn create(parent: &Path) -> Result<Self, TestbedError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TestbedError::Folder { path, source }
        };
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let root = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(failed(parent))?;
        let layout = Self { root: root.path().canonicalize().map_err(failed(root.path()))? };
        layout.make("secrets")?;
        // From here on the owner of the layout removes it, not the temporary folder's own guard.
        let _: PathBuf = root.keep();
        Ok(layout)
    }

    /// Makes a folder that only its owner can enter.
    pub(super) fn make(&self, name: &str) -> Result<PathBuf, TestbedError> {
        let path = self.root.join(name);
        match fs::create_dir(&path).and_then(|()| private(&path)) {
            Ok(()) => Ok(path),
            Err(source) => Err(TestbedError::Folder { path, source }),
        }
    }

    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// The file that names the testbed's owner.
    pub(super) fn guard(&self) -> PathBuf {
        self.root.join("testbed.json")
    }
}

fn private(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}
