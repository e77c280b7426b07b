//! Another machine, as far as an engine can see: an `ssh` that runs its line on this one.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

/// Hands its line to a shell of that user, as the daemon at the other end does: in a session of its own, which does not end with
/// the client's.
const SSH: &str = r#"#!/bin/sh
user=
while :; do
    case $1 in
    -o) shift 2 ;;
    -l) user=$2; shift 2 ;;
    *) break ;;
    esac
done
shift
[ "$user" ] && [ "$(id -u)" = 0 ] && exec setsid --wait setpriv --reuid="$user" --regid="$user" --init-groups sh -c "$*"
exec setsid --wait sh -c "$*"
"#;

/// The bindings with the machine behind SSH, in a file of that folder.
pub fn bindings(bindings: &Path, folder: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(bindings)?;
    ensure!(text.matches("via: local").count() == 1, "one machine is reached here:\n{text}");
    let path = folder.join("over-ssh.yaml");
    fs::write(&path, text.replace("via: local", "via: { ssh: { host: localhost } }"))?;
    Ok(path)
}

/// A PATH on which that program comes first.
pub fn path(folder: &Path) -> Result<OsString> {
    let programs = folder.join("programs");
    if !programs.exists() {
        fs::create_dir(&programs)?;
        fs::write(programs.join("ssh"), SSH)?;
        fs::set_permissions(programs.join("ssh"), fs::Permissions::from_mode(0o755))?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?)
}
