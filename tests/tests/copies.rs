//! Copies of runs that are over: who holds a port is said with the way to free it, and what was done can still be taken back.

use std::{fs, path::PathBuf, process::Output};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    bindings,
    stand::{Stand, connect},
};
use serde_json::{Value, json};

/// A binding with one port, and a work folder with so long a path that no socket fits into it: each copy needs the port.
async fn with_one_port(stand: &Stand) -> Result<(PathBuf, PathBuf)> {
    let work = stand.testbed.work_folder().display().to_string();
    let long = format!("{work}/{}", "long".repeat(20));
    let made = format!("mkdir -m 700 {long} && cp {work}/.lifeboat-identity {long}/");
    let server = connect(&stand.testbed.observer()).await?;
    server.batch_execute(&format!("COPY (SELECT 1) TO PROGRAM '{made}'")).await?;
    let path = stand.home.path().join("one-port.yaml");
    bindings::changed(&stand.bindings, &path, |targets| {
        let recovery = &mut targets["recovery"];
        recovery["folders"]["work"]["path"] = long.as_str().into();
        let one = recovery["ports"].as_object().and_then(|ports| ports.iter().next());
        recovery["ports"] = one.map(|(port, address)| json!({ port.as_str(): address })).unwrap_or_default();
    })?;
    Ok((path, long.into()))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn copies_in(folder: &PathBuf) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok());
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("lb-")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_holds_its_port_until_it_is_taken_back() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let before = stand.content().await?;
    stand.application().await?.execute("DELETE FROM customers WHERE id = 7", &[]).await?;
    let (bindings, work) = with_one_port(&stand).await?;
    let run = |approved: &[&str]| {
        let mut command = stand.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--bindings"]);
        command.arg(&bindings).args(["--input", "damaged_table=public.customers", "--input"]);
        command.arg(format!("not_before={}", stand.not_before)).args(approved);
        command.output()
    };
    let waiting = run(&[])?;
    ensure!(waiting.status.code() == Some(5), "{}: {}", waiting.status, said(&waiting));
    let ended = stand.lifeboat(&["abort", "last", "--reason", "not now"]).output()?;
    ensure!(copies_in(&work) == 1 && ended.status.success(), "{}: {}", ended.status, said(&ended));
    // The alarm is told by an engine.
    let told = stand.lifeboat(&["resume", "last"]).output()?;
    let listed: Value = serde_json::from_slice(&stand.lifeboat(&["copies", "--json"]).output()?.stdout)?;
    let owner = listed["copies"][0]["run"].as_str().context("the run of the copy")?.to_owned();

    let full = run(&["--approve", "sign_off"])?;
    ensure!(full.status.code() == Some(1), "full {}: {}, after {}", full.status, said(&full), said(&told));
    for told in ["pg-no-port", &owner, "lifeboat copies remove"] {
        ensure!(said(&full).contains(told), "no `{told}` in: {}", said(&full));
    }

    let undone = stand.lifeboat(&["abort", &owner, "--undo", "--reason", "the port is needed"]).output()?;
    let is_undone = said(&undone).contains("everything was undone");
    ensure!(copies_in(&work) == 0 && is_undone, "undone {}: {}", undone.status, said(&undone));
    let whole = run(&["--approve", "sign_off"])?;
    ensure!(whole.status.success() && stand.content().await? == before, "whole {}: {}", whole.status, said(&whole));
    stand.stop().await
}
