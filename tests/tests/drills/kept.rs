//! Drills that leave their servers standing, for whoever wants to look.

use anyhow::{Result, ensure};
use lifeboat_simulator::testbed::{Backend, at_hand};
use lifeboat_tests::{
    lifeboat,
    rehearsal::{Rehearsal, alone},
};

/// What `--keep` leaves standing is what `--remove` takes away, with the servers.
fn kept_and_removed(testbed: &str, stands: impl Fn(&Rehearsal) -> Result<bool>) -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    let ended = rehearsal.hold(&["--testbed", testbed, "--keep"], |_, _| Ok(()))?;
    ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
    let folder = rehearsal.testbed()?;
    let named = format!("lifeboat drill --remove {}", folder.display());
    ensure!(ended.said.contains(&named), "the command is not shown:\n{}", ended.said);
    ensure!(stands(&rehearsal)?, "nothing stands");
    let removed = std::process::Command::new(lifeboat()).args(["drill", "--remove"]).arg(&folder).output()?;
    ensure!(removed.status.success(), "{}", String::from_utf8_lossy(&removed.stderr));
    ensure!(rehearsal.left()?.is_empty() && !stands(&rehearsal)?, "left behind: {:?}", rehearsal.left()?);
    let again = std::process::Command::new(lifeboat()).args(["drill", "--remove"]).arg(&folder).output()?;
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    ensure!(again.status.code() == Some(1) && said.contains("drill-testbed-folder"), "{}: {said}", again.status);
    Ok(())
}

#[test]
fn kept_processes_are_removed() -> Result<()> {
    kept_and_removed("process", |rehearsal| Ok(rehearsal.left()?.iter().any(|line| line.contains("postgres"))))
}

#[test]
fn kept_containers_are_removed() -> Result<()> {
    if let Err(reason) = at_hand(Backend::Container) {
        eprintln!("SKIPPED: {reason}");
        return Ok(());
    }
    kept_and_removed("container", |_| {
        let filter = ["ps", "--all", "--quiet", "--filter", "label=org.lifeboat.keep"];
        Ok(!std::process::Command::new("docker").args(filter).output()?.stdout.is_empty())
    })
}
