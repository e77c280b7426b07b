//! Ctrl-C in the middle of a drill: nothing is left behind, and the exit code says that nothing was measured.

use std::process::Command;

use anyhow::{Result, ensure};
use lifeboat_simulator::testbed::{Backend, at_hand};
use lifeboat_tests::rehearsal::{Rehearsal, alone, interrupt};

/// The ids of containers and networks of testbeds.
fn containers() -> Result<String> {
    let mut found = Vec::new();
    for arguments in [
        ["ps", "--all", "--quiet", "--filter", "label=org.lifeboat.testbed"],
        ["network", "ls", "--quiet", "--filter", "name=lifeboat-"],
    ] {
        found.extend(Command::new("docker").args(arguments).output()?.stdout);
    }
    Ok(String::from_utf8(found)?)
}

/// Holds a drill, interrupts it as soon as it says `phase`, and looks at what it leaves.
fn interrupted_at(testbed: &str, phase: &str) -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    let mut sent = false;
    let ended = rehearsal.hold(&["--testbed", testbed], |line, group| {
        if sent || !line.contains(phase) {
            return Ok(());
        }
        sent = true;
        interrupt(group)
    })?;
    let said = &ended.said;
    ensure!(sent, "the drill never said `{phase}`:\n{said}");
    ensure!(ended.status.code() == Some(4) && ended.out.is_empty(), "{}: {}\n{said}", ended.status, ended.out);
    ensure!(said.contains("error[drill-stopped]"), "{said}");
    let left = rehearsal.left()?;
    ensure!(left.is_empty(), "left behind: {left:?}\n{said}");
    Ok(())
}

/// The phases of a drill in the words that it says them in.
const PHASES: [&str; 9] = [
    "building the systems",
    "loading",
    "taking a base backup",
    "writers and probes run",
    "waiting for monitoring to notice",
    "restore started",
    "waiting for a stable window",
    "reading every row back",
    "tearing the systems down",
];

#[test]
fn on_processes() -> Result<()> {
    for phase in PHASES {
        interrupted_at("process", phase)?;
    }
    Ok(())
}

#[test]
fn on_containers() -> Result<()> {
    if let Err(reason) = at_hand(Backend::Container) {
        eprintln!("SKIPPED: {reason}");
        return Ok(());
    }
    let before = containers()?;
    for phase in ["building the systems", "taking a base backup", "merge started", "tearing the systems down"] {
        interrupted_at("container", phase)?;
        let after = containers()?;
        ensure!(after == before, "containers or networks are left after `{phase}`: {after}");
    }
    Ok(())
}
