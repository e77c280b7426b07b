//! DR-003 without effect, on a real server that has lost rows: as far as reading goes, and not a byte further.

use std::{fs, process::Output};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect, files_below};
use serde_json::Value;

/// A stand that has lost rows, and whose archive holds the WAL of that.
async fn damaged() -> Result<Stand> {
    let stand = Stand::loaded(100).await?;
    let application = stand.application().await?;
    application.batch_execute("DELETE FROM customers WHERE id <= 50").await?;
    let observer = connect(&stand.testbed.observer()).await?;
    let segment = stand.value(&observer, "SELECT pg_walfile_name(pg_switch_wal() - 1)").await?;
    let archived = format!("SELECT coalesce(last_archived_wal >= '{segment}', false)::text FROM pg_stat_archiver");
    while stand.value(&observer, &archived).await? != "true" {}
    Ok(stand)
}

/// Each step and how it stands, and what else was said.
fn steps(output: &Output) -> Result<(Vec<String>, Value, String)> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document: Value = serde_json::from_slice(&output.stdout).context(said.clone())?;
    let word = |step: &Value| step["skipped"]["why"].as_str().or(step["state"].as_str()).unwrap_or_default().to_owned();
    let steps = document["steps"].as_array().cloned().unwrap_or_default();
    let steps = steps.iter().map(|step| format!("{} {}", step["id"].as_str().unwrap_or_default(), word(step)));
    Ok((steps.collect(), document, said))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_every_step_and_changes_nothing() -> Result<()> {
    let stand = damaged().await?;
    let (rows, files) = (stand.content().await?, files_below(&stand.testbed.work_folder()));
    let output = stand.run().args(["--dry-run", "--json"]).output()?;
    ensure!(output.status.code() == Some(0), "{output:?}");
    ensure!(stand.content().await? == rows, "rows were changed");
    ensure!(files_below(&stand.testbed.work_folder()) == files, "files were changed");

    let (found, document, said) = steps(&output)?;
    ensure!(document["outcome"] == "dry_run", "{document}");
    let expected = [
        "announce succeeded",
        "archive would_run",
        "find would_run",
        "preflight not_known",
        "restore not_known",
        "restore_after not_known",
        "made_again not_known",
        "compare not_known",
        "sign_off not_known",
        "merge not_known",
        "decide not_known",
        "settle not_known",
        "verify not_known",
        "whole not_known",
        "report not_known",
        "clean_up not_known",
        "clean_up_after not_known",
        "alarm nothing_failed",
    ];
    ensure!(found == expected, "{found:#?}\n{said}");
    ensure!(document["steps"][2]["skipped"]["parameters"]["table"] == "public.customers", "{document}");
    ensure!(said.contains("would run") && !said.contains("succeeded"), "{said}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_behind_a_step_that_was_left_out_is_not_held_against_the_run() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let output = stand.run().args(["--dry-run", "--json"]).output()?;
    ensure!(output.status.code() == Some(4), "{output:?}");
    let (found, document, said) = steps(&output)?;
    ensure!(found[1..4] == ["archive would_run", "find failed_behind", "preflight not_known"], "{found:#?}\n{said}");
    ensure!(document["steps"][2]["skipped"]["failure"]["code"] == "pg-no-damage-found", "{document}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_finds_the_wrong_machine_and_the_wrong_login() -> Result<()> {
    let stand = damaged().await?;
    let bindings = fs::read_to_string(&stand.bindings)?;
    for (right, wrong, code, exit) in [
        ("    identity: ", "    identity: not-", "host-identity-mismatch", 6),
        ("user: lifeboat\n", "user: nobody_at_all\n", "pg-login", 1),
    ] {
        ensure!(bindings.contains(right), "the bindings have no `{right}`:\n{bindings}");
        fs::write(&stand.bindings, bindings.replace(right, wrong))?;
        let output = stand.run().arg("--dry-run").output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(exit) && said.contains(code), "{}:\n{said}", output.status);
    }
    stand.stop().await
}
