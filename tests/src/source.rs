//! The files of the repository, for tests about the source itself.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::repository;

/// Files that git knows of and that are there, with this ending, from the root of the repository.
pub fn tracked(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git").arg("ls-files").current_dir(repository()).output().expect("git runs");
    assert!(output.status.success(), "git ls-files failed");
    let listing = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<_> = listing.lines().filter(|l| l.ends_with(ending)).map(PathBuf::from).collect();
    assert!(!files.is_empty(), "no {ending} files: this test looks in the wrong place");
    files.into_iter().filter(|file| repository().join(file).exists()).collect()
}

/// The text of such a file.
pub fn read(file: &Path) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
