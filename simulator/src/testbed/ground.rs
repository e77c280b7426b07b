//! What a testbed uses and must be cleared at its end: folder, server processes, containers.
//!
//! It is made first and dropped last, so that a failed start, a panic and a normal stop all clear the same things in the same
//! way. A file in the folder names the owner, in case the owner is killed: the next testbed that starts removes what dead owners
//! left.

use std::{fs, io, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    docker,
    error::TestbedError,
    layout::{Layout, PREFIX},
    options::Backend,
    owner::Owner,
    servers,
};

/// The content of `testbed.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Guard {
    format: String,
    id: String,
    backend: Backend,
    owner: Owner,
    keep: bool,
}

const FORMAT: &str = "lifeboat.testbed/1";
/// How often the removal of a folder that does not become empty is tried, and the pause between the tries.
const REMOVALS: u32 = 20;
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);

/// The things to clear.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) layout: Layout,
    /// Names the testbed: the random end of its folder's name.
    pub(super) id: String,
    backend: Backend,
    keep: bool,
    stands: bool,
    cleared: bool,
}

impl Ground {
    /// Makes the folders, and the file that names their owner.
    pub(super) fn lay(parent: &Path, backend: Backend, keep: bool) -> Result<Self, TestbedError> {
        let layout = Layout::create(parent)?;
        let name = layout.root.file_name().unwrap_or_default().to_string_lossy();
        let id = name.trim_start_matches(PREFIX).to_lowercase();
        let ground = Self { layout, id, backend, keep, stands: false, cleared: false };
        let guard = Guard { format: FORMAT.into(), id: ground.id.clone(), backend, owner: Owner::current(), keep };
        let path = ground.layout.guard();
        let written =
            serde_json::to_vec_pretty(&guard).map_err(io::Error::from).and_then(|text| fs::write(&path, text));
        written.map_err(|source| TestbedError::Folder { path, source })?;
        Ok(ground)
    }

    /// The systems serve: from now on they are kept, if requested. A start that fails half-way is cleared.
    pub(super) fn stands(&mut self) {
        self.stands = true;
    }

    /// Clears everything and returns what remains; does nothing for a testbed that is kept.
    pub(super) fn clear(mut self) -> Result<(), TestbedError> {
        let left = self.clear_now();
        if left.is_empty() { Ok(()) } else { Err(TestbedError::Leftover { left }) }
    }

    fn clear_now(&mut self) -> Vec<String> {
        if (self.keep && self.stands) || std::mem::replace(&mut self.cleared, true) {
            return Vec::new();
        }
        clear(&self.layout.root, &self.id, self.backend)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A drop cannot report what remains: `stop` does, and the sweep of the next start tries again.
        self.clear_now();
    }
}

fn clear(root: &Path, id: &str, backend: Backend) -> Vec<String> {
    let mut left = match backend {
        Backend::Process => {
            servers::end_below(root);
            servers::below(root).into_iter().map(|process| format!("process {}", process.pid)).collect()
        }
        Backend::Container => {
            empty_from_inside(id);
            docker::remove(id)
        }
    };
    if let Err(error) = remove_whole(root) {
        left.push(format!("folder {} ({error})", root.display()));
    }
    left
}

/// A program that was just killed may still be in its last system call and make one more file, so a folder that does not become
/// empty is tried again.
fn remove_whole(root: &Path) -> io::Result<()> {
    for _ in 1..REMOVALS {
        match fs::remove_dir_all(root) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => std::thread::sleep(REMOVAL_PAUSE),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            ended => return ended,
        }
    }
    fs::remove_dir_all(root)
}

/// Files in the folders belong to the containers' users: without root, they can be removed only from inside.
fn empty_from_inside(id: &str) {
    if !rustix::process::geteuid().is_root() {
        docker::empty(id);
    }
}

/// Removes a testbed that was kept, and returns its name.
///
/// # Errors
/// If the folder is not a testbed's, its drill is still running, or something could not be removed.
pub fn remove(folder: &Path) -> Result<String, TestbedError> {
    let failed = |source| TestbedError::Folder { path: folder.join("testbed.json"), source };
    let guard: Guard = fs::read(folder.join("testbed.json"))
        .and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from))
        .map_err(failed)?;
    if guard.format != FORMAT {
        return Err(failed(io::Error::other(format!("the format is `{}`, not `{FORMAT}`", guard.format))));
    }
    if !guard.owner.is_gone() {
        return Err(failed(io::Error::other("its drill is still running")));
    }
    let left = clear(&folder.canonicalize().map_err(failed)?, &guard.id, guard.backend);
    if left.is_empty() { Ok(guard.id) } else { Err(TestbedError::Leftover { left }) }
}

/// Clears testbeds below `parent`, and containers, whose owner has died. Returns their names.
pub(super) fn sweep(parent: &Path, backend: Backend) -> Vec<String> {
    let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    let mut swept: Vec<String> = ours.filter_map(|entry| sweep_folder(&entry.path())).collect();
    if backend == Backend::Container {
        swept.extend(docker::sweep());
    }
    swept
}

fn sweep_folder(folder: &Path) -> Option<String> {
    let text = fs::read(folder.join("testbed.json")).ok()?;
    let guard: Guard = serde_json::from_slice(&text).ok().filter(|guard: &Guard| guard.format == FORMAT)?;
    if guard.keep || !guard.owner.is_gone() {
        return None;
    }
    clear(&folder.canonicalize().ok()?, &guard.id, guard.backend);
    Some(guard.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_abandoned_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let ground = Ground::lay(parent.path(), Backend::Process, false).unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}dead"));
        fs::create_dir(&abandoned).unwrap();
        let text = fs::read_to_string(ground.layout.guard()).unwrap();
        let mut guard: serde_json::Value = serde_json::from_str(&text).unwrap();
        guard["id"] = "dead".into();
        guard["owner"]["started"] = 1.into();
        fs::write(abandoned.join("testbed.json"), guard.to_string()).unwrap();
        let strange = parent.path().join(format!("{PREFIX}strange"));
        fs::create_dir(&strange).unwrap();

        assert_eq!(sweep(parent.path(), Backend::Process), ["dead"]);
        assert!(!abandoned.exists() && strange.exists() && ground.layout.root.exists());
        let root = ground.layout.root.clone();
        ground.clear().unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn what_is_kept_stays_until_it_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let mut ground = Ground::lay(parent.path(), Backend::Process, true).unwrap();
        let root = ground.layout.root.clone();
        ground.stands();
        ground.clear().unwrap();
        assert!(root.exists());
        remove(&root).expect_err("its owner, this process, lives");
        assert!(root.exists());

        let path = root.join("testbed.json");
        let mut guard: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        guard["owner"]["started"] = 1.into();
        fs::write(&path, guard.to_string()).unwrap();
        remove(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn a_start_that_fails_is_not_kept() {
        let parent = tempfile::tempdir().unwrap();
        let ground = Ground::lay(parent.path(), Backend::Process, true).unwrap();
        let root = ground.layout.root.clone();
        drop(ground);
        assert!(!root.exists());
    }

    #[test]
    fn only_a_testbed_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        remove(folder.path()).expect_err("no testbed");
        fs::write(folder.path().join("testbed.json"), "{}").unwrap();
        remove(folder.path()).expect_err("no testbed");
        assert!(folder.path().exists());
    }
}
