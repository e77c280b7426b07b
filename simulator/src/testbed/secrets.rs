//! Passwords and keys of a testbed: random, and handed to the engine as files that only this user can read.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use super::{error::TestbedError, layout::Layout};

/// All of a testbed's secrets.
#[derive(Clone)]
pub(super) struct Secrets {
    /// The password of PostgreSQL's role `postgres`.
    pub(super) superuser: String,
    pub(super) application: String,
    pub(super) observer: String,
    /// The password of the role the engine logs in as.
    pub(super) engine: String,
    /// Signs notifications.
    pub(super) webhook: String,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// New ones from the operating system's source of randomness.
    pub(super) fn random() -> Result<Self, TestbedError> {
        Ok(Self { superuser: token()?, application: token()?, observer: token()?, engine: token()?, webhook: token()? })
    }

    /// Writes a secret for the engine; returns the reference to it.
    pub(super) fn write(layout: &Layout, name: &str, secret: &str) -> Result<PathBuf, TestbedError> {
        let path = layout.secrets().join(name);
        write_private(&path, secret).map_err(|source| TestbedError::Folder { path: path.clone(), source })?;
        Ok(path)
    }
}

fn write_private(path: &PathBuf, secret: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")
}

/// 48 hexadecimal digits, which no syntax needs to quote.
pub(super) fn token() -> Result<String, TestbedError> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes)
        .map_err(|error| TestbedError::Resource { what: "randomness", source: io::Error::other(error.to_string()) })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
