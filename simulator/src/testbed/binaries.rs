//! PostgreSQL's programs on this machine.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::error::Unavailable;

/// The programs that a testbed needs.
const NEEDED: [&str; 5] = ["postgres", "initdb", "pg_ctl", "pg_basebackup", "pg_waldump"];

/// A folder with a complete set of PostgreSQL's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u16,
}

/// The set of that major version, or the newest one.
pub(super) fn find(major: Option<u16>) -> Result<Binaries, Unavailable> {
    let found: Vec<Binaries> = candidates().iter().filter_map(|folder| inspect(folder)).collect();
    let fitting = found.iter().filter(|set| major.is_none_or(|wanted| wanted == set.major));
    fitting.max_by_key(|set| set.major).cloned().ok_or_else(|| {
        let wanted = major.map_or_else(|| "PostgreSQL".to_owned(), |major| format!("PostgreSQL {major}"));
        let others: Vec<String> = found.iter().map(|set| set.major.to_string()).collect();
        let others = if others.is_empty() { String::new() } else { format!(" (found: {})", others.join(", ")) };
        Unavailable {
            reason: format!(
                "no server binaries of {wanted} on this machine{others}: install them (Debian: apt-get install postgresql)"
            ),
        }
    })
}

/// The folders in which distributions install them.
fn candidates() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Ok(output) = Command::new("pg_config").process_group(0).arg("--bindir").output() {
        folders.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, below) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin")] {
        let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
        let versions =
            entries.filter(|entry| parent != "/usr" || entry.file_name().to_string_lossy().starts_with("pgsql-"));
        folders.extend(versions.map(|entry| entry.path().join(below)));
    }
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    folders
}

fn inspect(folder: &Path) -> Option<Binaries> {
    if !NEEDED.iter().all(|program| folder.join(program).is_file()) {
        return None;
    }
    let output = Command::new(folder.join("postgres")).process_group(0).arg("--version").output().ok()?;
    let major = parse_major(&String::from_utf8_lossy(&output.stdout))?;
    Some(Binaries { folder: folder.to_owned(), major })
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`, `postgres (PostgreSQL) 18beta1`.
fn parse_major(text: &str) -> Option<u16> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn major_versions() {
        let check = |text, expected| assert_eq!(parse_major(text), expected, "{text}");
        check("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)", Some(15));
        check("postgres (PostgreSQL) 18beta1", Some(18));
        check("postgres (PostgreSQL) 17", Some(17));
        check("something else", None);
    }

    #[test]
    fn a_version_that_nobody_has_is_named() {
        let error = find(Some(9999)).unwrap_err();
        assert!(error.reason.contains("PostgreSQL 9999"), "{error}");
    }
}
