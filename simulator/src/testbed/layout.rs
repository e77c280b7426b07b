//! Where a testbed's files lie: on this machine, and as its systems see them.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::error::TestbedError;

/// What a testbed's folder is called, so that an abandoned one is recognised.
pub(super) const PREFIX: &str = "lifeboat-testbed-";

/// The folders of a testbed under one root. Those of [`Layout::SHARED`] belong to the user that runs PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
}

impl Layout {
    /// The folders which the systems use; everything else is the testbed's own.
    pub(super) const SHARED: [&str; 5] = ["primary", "archive", "backups", "work", "sockets"];

    /// Makes a new root in `parent` with all folders in it.
    pub(super) fn create(parent: &Path) -> Result<Self, TestbedError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TestbedError::Folder { path, source }
        };
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let root = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(failed(parent))?;
        let layout = Self { root: root.path().canonicalize().map_err(failed(root.path()))? };
        for name in Self::SHARED.into_iter().chain(["secrets"]) {
            let folder = layout.root.join(name);
            fs::create_dir(&folder).and_then(|()| private(&folder)).map_err(failed(&folder))?;
        }
        // From here on whoever holds the layout removes it, not the temporary folder's own guard.
        let _: PathBuf = root.keep();
        Ok(layout)
    }

    pub(super) fn archive(&self) -> PathBuf {
        self.root.join("archive")
    }

    pub(super) fn backups(&self) -> PathBuf {
        self.root.join("backups")
    }

    pub(super) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// The file that says whose testbed this is.
    pub(super) fn guard(&self) -> PathBuf {
        self.root.join("testbed.json")
    }
}

fn private(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// The shared folders as the systems see them: the same ones, below another root inside a container.
#[derive(Debug, Clone)]
pub(super) struct Inside {
    pub(super) root: String,
}

impl Inside {
    pub(super) fn folder(&self, name: &str) -> String {
        format!("{}/{name}", self.root)
    }

    pub(super) fn data(&self) -> String {
        self.folder("primary/data")
    }
}
