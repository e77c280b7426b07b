//! Ctrl-C in the middle of a drill: nothing is left behind, and the exit code says that nothing was measured.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

/// Command lines of processes that name the folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let lines = fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = lines.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(&*folder.to_string_lossy())).collect()
}

/// Holds a drill, interrupts it as soon as it says `phase`, and looks at what it leaves.
fn interrupted_at(phase: &str) -> Result<()> {
    let (temporary, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
    // PostgreSQL runs as a user of its own where the tests run as root.
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755))?;
    let mut drill = Command::new(lifeboat_tests::lifeboat())
        .args(["drill", "dr-003"])
        .env("TMPDIR", temporary.path())
        .env("LIFEBOAT_HOME", home.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut said, mut sent) = (Vec::new(), false);
    for line in BufReader::new(drill.stderr.take().context("stderr is piped")?).lines() {
        let line = line?;
        if !sent && line.contains(phase) {
            ensure!(Command::new("kill").args(["-INT", &drill.id().to_string()]).status()?.success(), "no signal");
            sent = true;
        }
        said.push(line);
    }
    let status = drill.wait()?;
    let said = said.join("\n");
    ensure!(sent, "the drill never said `{phase}`:\n{said}");
    ensure!(status.code() == Some(4), "{status}:\n{said}");
    ensure!(said.contains("tearing the systems down") && said.contains("drill-stopped"), "{said}");
    let left: Vec<_> = fs::read_dir(temporary.path())?.flatten().map(|entry| entry.path()).collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    let alive = processes_in(temporary.path());
    ensure!(alive.is_empty(), "still alive: {alive:?}");
    Ok(())
}

#[test]
fn while_tables_are_loaded() -> Result<()> {
    interrupted_at("drill loading")
}

#[test]
fn while_the_application_works() -> Result<()> {
    interrupted_at("writers and probes run")
}

#[test]
fn while_the_engine_restores() -> Result<()> {
    interrupted_at("restore")
}
