//! Compiled components on disk, so that a run starts at once. An artefact is native code: only one that this module wrote
//! itself, into a folder that nobody else may write, whose digest still matches, is ever loaded.

use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, DirBuilder, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use crate::error::HostError;

/// The folder of compiled components.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Opens the folder, making it where it is missing, and refuses one that others may write.
    pub(crate) fn open(folder: &Path) -> Result<Self, HostError> {
        let failed = |error: io::Error| HostError::Cache { path: folder.to_owned(), problem: error.to_string() };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let facts = fs::metadata(folder).map_err(failed)?;
        if facts.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let own = fs::metadata("/proc/self").map(|me| me.uid()).unwrap_or_else(|_| facts.uid());
        if facts.uid() != own {
            return Err(HostError::Cache {
                path: folder.to_owned(),
                problem: "it belongs to another user; compiled code in it could be anyone's".to_owned(),
            });
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The component, from the cache or compiled now. `Err` holds what the compiler says of the bytes.
    pub(crate) fn load(&self, engine: &Engine, bytes: &[u8]) -> Result<Component, wasmtime::Error> {
        let path = self.folder.join(format!("{}-{}.cwasm", hex(&Sha256::digest(bytes)), compatibility(engine)));
        if let Some(component) = self.read(engine, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, bytes)?;
        // The cache only saves time: where it can not be written (a full disk, say) the run goes on without.
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
    // SAFETY: `Cache::open` refuses folders that others own or may write, `Cache::read` has compared the digest, and the
    // name holds the engine's compatibility hash; the bytes are what `Component::serialize` made.
    unsafe { Component::deserialize(engine, artefact) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artefact(folder: &Path) -> PathBuf {
        fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
    }

    #[test]
    fn a_damaged_artefact_is_compiled_anew_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let engine = crate::engine::start(&crate::Limits { concurrent_calls: 1, ..Default::default() }).unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        cache.load(&engine, b"(component)").unwrap_err();
        let bytes = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
        cache.load(&engine, &bytes).unwrap();
        let path = artefact(&folder.path().join("cache"));
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
}
