//! Compiled components on disk, so that a run starts at once. An artefact is native code: only one that this module wrote itself,
//! into a folder that no other user may write, whose digest still matches, is ever loaded. So each user has a folder of their
//! own, also where a team shares the one above it.

use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use crate::error::HostError;

/// The folder of this user's compiled components, held open: who may write the folder above can put another one in its place,
/// and it would not be looked at.
pub(crate) struct Cache {
    folder: File,
}

impl Cache {
    /// Opens this user's folder below the shared one, making both where they are missing. Refuses one of another user, and one
    /// that others may write: what lies there could be anyone's.
    pub(crate) fn open(shared: &Path) -> Result<Self, HostError> {
        let own = rustix::process::geteuid().as_raw();
        let path = shared.join(own.to_string());
        let problem = |problem: String| HostError::Cache { path: path.clone(), problem };
        let failed = |error: io::Error| problem(error.to_string());
        fs::create_dir_all(shared).map_err(failed)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let folder = File::open(&path).map_err(failed)?;
        let facts = folder.metadata().map_err(failed)?;
        if !facts.is_dir() || facts.uid() != own {
            return Err(problem("you do not own the folder; compiled code in it cannot be trusted".to_owned()));
        }
        if facts.permissions().mode() & 0o022 != 0 {
            return Err(problem(
                "other users may write to the folder; compiled code in it cannot be trusted".to_owned(),
            ));
        }
        Ok(Self { folder })
    }

    /// Where a file of the folder is, whatever its own path leads to by now.
    fn file(&self, name: &str) -> PathBuf {
        format!("/proc/self/fd/{}/{name}", self.folder.as_raw_fd()).into()
    }

    /// The component, from the cache or compiled now. `Err` holds what the compiler says of the bytes.
    pub(crate) fn load(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, wasmtime::Error> {
        let path = self.file(&format!("{}-{}.cwasm", hex(&Sha256::digest(bytes)), compatibility(engine)));
        if let Some(component) = self.read(engine, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        // The cache only saves time: where it cannot be written (a full disk, say) the run continues without.
        if let Ok(artefact) = component.serialize() {
            let _best_effort = self.write(&path, &artefact);
        }
        Ok(component)
    }

    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let content = fs::read(path).ok()?;
        let (digest, artefact) = content.split_at_checked(32)?;
        if Sha256::digest(artefact).as_slice() != digest {
            return None;
        }
        deserialise(engine, artefact).ok()
    }

    /// Digest and artefact in one file, under its name only when it is whole.
    fn write(&self, path: &Path, artefact: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension(format!("{}.new", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&Sha256::digest(artefact))?;
        file.write_all(artefact)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    }
}

/// A name for everything about the engine that compiled code depends on: version, target, settings.
fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(
    unsafe_code,
    reason = "the artefact was written by this module into a private folder, and its digest was just checked"
)]
fn deserialise(engine: &Engine, artefact: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `Cache::open` holds a folder that nobody else owns or may write, `Cache::read` has compared the digest, and the
    // name holds the engine's compatibility hash; the bytes are what `Component::serialize` made.
    unsafe { Component::deserialize(engine, artefact) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(folder: &Path) -> PathBuf {
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn a_damaged_artefact_is_compiled_anew_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::wasm::start(&crate::Limits { concurrent_calls: 1, ..Default::default() }).unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        cache.load(&engine, b"(component)").unwrap_err();
        let bytes = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
        cache.load(&engine, &bytes).unwrap();
        let own = only(&folder.path().join("cache"));
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o700);
        let path = only(&own);
        let whole = fs::read(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(cache.read(&engine, &path).is_some());

        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(cache.read(&engine, &path).is_none());
        cache.load(&engine, &bytes).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn what_others_may_have_written_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("cache");
        let cache = Cache::open(&shared).unwrap();
        let own = only(&shared);
        fs::write(cache.file("kept"), "x").unwrap();

        // A user who may write the shared folder replaces it with another one.
        fs::rename(&own, shared.join("aside")).unwrap();
        DirBuilder::new().mode(0o777).create(&own).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o770)).unwrap();
        assert_eq!(fs::read(cache.file("kept")).unwrap(), b"x", "the one that was looked at stays in use");
        let refused = |shared: &Path| Cache::open(shared).err().map(|error| error.code());
        assert_eq!(refused(&shared), Some("host-cache"));

        fs::remove_dir(&own).unwrap();
        fs::write(&own, "").unwrap();
        assert_eq!(refused(&shared), Some("host-cache"));
    }

    #[test]
    fn a_team_shares_the_folder_above() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("cache");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o2770)).unwrap();
        Cache::open(&shared).unwrap();
        assert_eq!(fs::metadata(&shared).unwrap().permissions().mode() & 0o7777, 0o2770, "it stays as it was");
        assert_eq!(fs::metadata(only(&shared)).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
