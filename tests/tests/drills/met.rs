//! Drills that are met.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};
use lifeboat_simulator::testbed::{Backend, at_hand};
use lifeboat_tests::{
    lifeboat,
    rehearsal::{Rehearsal, alone},
    repository,
};
use serde_json::Value;

use super::{check_met, check_met_in_full, held, shipped};

#[test]
fn on_containers() -> Result<()> {
    if let Err(reason) = at_hand(Backend::Container) {
        // Standard error of a passing test is not shown: `make test` says it once more at its end.
        eprintln!("SKIPPED: {reason}");
        return Ok(());
    }
    let _alone = alone();
    let (report, ..) = shipped(&["--testbed", "container"])?;
    check_met_in_full(&report)
}

/// An application that never touched the damage leaves nothing to decide: a plain success, and no copy.
#[test]
fn where_nothing_is_left_over_no_copy_stays() -> Result<()> {
    let _alone = alone();
    let habits = ("made_again: 10, accounts_closed: 5", "made_again: 0, accounts_closed: 0");
    let report = held(&Rehearsal::changed(&[habits])?, 0)?;
    check_met(&report)?;
    ensure!(report["episodes"][0]["outcome"] == "succeeded", "{report:#}");
    let checks = report["checks"].as_array().context("checks")?;
    let copy = checks.iter().find(|check| check["name"] == "copy-removed").context("the copy is checked")?;
    ensure!(copy["detail"] == "nothing is left in the work folder", "{copy}");
    Ok(())
}

#[test]
fn several_runs_are_one_report_beside_theirs() -> Result<()> {
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    let ended = rehearsal.hold(&["--runs", "2", "--json"], |_, _| Ok(()))?;
    ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
    let printed: Value = serde_json::from_str(&ended.out)?;
    let folders = rehearsal.runs()?;
    let [first, second, series] = folders.as_slice() else { bail!("{folders:?}") };
    ensure!(series.to_string_lossy().starts_with(&*second.to_string_lossy()), "{folders:?}");
    let kept: Value = serde_json::from_slice(&fs::read(series.join("report.json"))?)?;
    ensure!(kept == printed && series.join("report.html").exists(), "{kept:#}");
    let names = |folder: &PathBuf| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let samples: Vec<_> =
        kept["samples"].as_array().context("samples")?.iter().map(|sample| sample["run"].as_str()).collect();
    ensure!(samples == [names(first).as_deref(), names(second).as_deref()], "{samples:?}");
    Ok(())
}

/// Nobody needs to be root to hold a drill on processes.
#[test]
fn without_root() -> Result<()> {
    const NOBODY: u32 = 65534;
    let _alone = alone();
    let rehearsal = Rehearsal::small()?;
    if fs::metadata(rehearsal.home.path())?.uid() != 0 {
        let ended = rehearsal.hold(&[], |_, _| Ok(()))?;
        ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
        return Ok(());
    }
    // The checkout may be closed to him.
    let binary = rehearsal.home.path().join("lifeboat");
    fs::copy(lifeboat(), &binary)?;
    let runbook = rehearsal.home.path().join("dr-003-accidental-deletion.yaml");
    fs::copy(repository().join("workflows/dr-003-accidental-deletion.yaml"), &runbook)?;
    let small = rehearsal.home.path().join("drill.yaml");
    let text = fs::read_to_string(&small)?;
    let text = text.lines().map(|line| match line.split_once("runbook:") {
        Some((indent, _)) => format!("{indent}runbook: {}\n", runbook.display()),
        None => format!("{line}\n"),
    });
    fs::write(&small, text.collect::<String>())?;
    for folder in [&rehearsal.home, &rehearsal.temporary] {
        chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))?;
    }
    let output = std::process::Command::new(&binary)
        .arg("drill")
        .arg(&small)
        .env_clear()
        .envs([("TMPDIR", rehearsal.temporary.path()), ("HOME", rehearsal.home.path())])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .current_dir(rehearsal.home.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {}\n{said}", output.status, String::from_utf8_lossy(&output.stdout));
    ensure!(rehearsal.left()?.is_empty(), "left behind: {:?}", rehearsal.left()?);
    Ok(())
}
