//! The runbooks that a runbook calls, from the disk.

use std::{
    fs::File,
    io::Read,
    path::{Component, Path, PathBuf},
};

use lifeboat_core::{
    diagnostic::{FILE_BYTES_MAX, SourceFile},
    runbook::Files,
};

/// Every file that this process can read. A path is seen from the folder of the file that names it.
#[derive(Debug, Clone, Copy)]
pub struct Disk;

impl Files for Disk {
    fn file(&self, from: &str, path: &str) -> Result<SourceFile, String> {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        let path = without_detours(&folder.join(path));
        let name = path.display().to_string();
        let bytes = read(&path).map_err(|error| format!("`{name}`: {error}"))?;
        SourceFile::from_bytes(&name, &bytes).map_err(|found| format!("`{name}`: {}", found.message))
    }
}

/// The file, or one byte more than is taken: what is larger is refused for its size.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// `workflows/../other.yaml` is `other.yaml`: two ways to one file have one name.
fn without_detours(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ways_to_one_file_have_one_name() {
        for (path, wanted) in [
            ("a.yaml", "a.yaml"),
            ("./a.yaml", "a.yaml"),
            ("b/../a.yaml", "a.yaml"),
            ("b/./c/../../a.yaml", "a.yaml"),
            ("../a.yaml", "../a.yaml"),
            ("../../b/../a.yaml", "../../a.yaml"),
            ("/b/../a.yaml", "/a.yaml"),
        ] {
            assert_eq!(without_detours(Path::new(path)), Path::new(wanted), "{path}");
        }
    }

    #[test]
    fn a_file_is_seen_from_the_one_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/b.yaml"), "b").unwrap();
        std::fs::write(folder.path().join("large.yaml"), vec![b'a'; FILE_BYTES_MAX + 1]).unwrap();
        let from = folder.path().join("a.yaml").display().to_string();
        let found = Disk.file(&from, "inner/b.yaml").unwrap();
        assert_eq!(found.text, "b");
        assert_eq!(Disk.file(&found.name, "b.yaml").unwrap(), found);
        assert!(Disk.file(&found.name, "a.yaml").unwrap_err().contains("No such file"));
        assert!(Disk.file(&from, "large.yaml").unwrap_err().contains("at most"));
        assert!(Disk.file(&from, "inner").is_err(), "a folder is no file");
    }
}
