//! The engine is killed with `kill -9` in the middle of a recovery of a real server, and goes on.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::Stand;

/// What a person did by mistake, and what the application did before and after: the second list of rows is what must be there in the end.
async fn damage(stand: &Stand) -> Result<Vec<String>> {
    let application = stand.application().await?;
    application.batch_execute("DELETE FROM customers WHERE id = 7").await?;
    application.batch_execute("UPDATE customers SET name = 'renamed before' WHERE id IN (8, 900)").await?;
    let before = stand.content().await?;
    application.batch_execute("BEGIN; SAVEPOINT s; DELETE FROM customers WHERE id <= 400; RELEASE s; DELETE FROM customers WHERE id <= 500; COMMIT").await?;
    ensure!(stand.content().await?.len() < before.len(), "the damage did nothing");
    application.batch_execute("UPDATE customers SET name = 'renamed after' WHERE id = 901").await?;
    application.batch_execute("DELETE FROM customers WHERE id = 902").await?;
    Ok(before
        .into_iter()
        .filter(|row| !row.starts_with("customers (902,") && !of_customer_902(row))
        .map(|row| row.replace("\"customer 901\"", "\"renamed after\""))
        .collect())
}

/// Orders are numbered ten a customer in order, so customer 902 has the orders 9011 to 9020.
fn of_customer_902(row: &str) -> bool {
    let number = |prefix: &str| row.strip_prefix(prefix)?.split(',').next()?.parse::<u64>().ok();
    number("orders (").or_else(|| number("items (")).is_some_and(|order| (9011..=9020).contains(&order))
}

/// Runs the engine until it says that `step` started, and kills it there.
fn kill_at(command: Command, step: &str) -> Result<()> {
    let (mut child, _stderr) = run_until(command, step)?;
    child.kill()?;
    child.wait()?;
    Ok(())
}

/// Runs the engine until it says that `step` started. It waits there for its standard error to be read, once the pipe is full.
fn run_until(mut command: Command, step: &str) -> Result<(Child, BufReader<ChildStderr>)> {
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("stderr is piped")?);
    let mut seen = String::new();
    loop {
        let begin = seen.len();
        if stderr.read_line(&mut seen)? == 0 {
            let status = child.wait()?;
            anyhow::bail!("the engine ended ({status}) before it started {step}:\n{seen}");
        }
        let line = seen[begin..].trim_end();
        if line.contains(&format!(" {step} ")) && line.ends_with(" started") {
            return Ok((child, stderr));
        }
    }
}

fn ends_well(mut command: Command) -> Result<Output> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

async fn killed_at(steps: &[&str]) -> Result<()> {
    let stand = Stand::loaded(1000).await?;
    let expected = damage(&stand).await?;
    for (index, step) in steps.iter().enumerate() {
        kill_at(if index == 0 { stand.run() } else { stand.resume() }, step)?;
    }
    ends_well(stand.resume())?;
    let found = stand.content().await?;
    ensure!(found.len() == expected.len(), "{} rows, expected {}", found.len(), expected.len());
    let wrong: Vec<_> = found.iter().zip(&expected).filter(|(found, expected)| found != expected).take(5).collect();
    ensure!(wrong.is_empty(), "found and expected differ: {wrong:#?}");
    ensure!(stand.instances().is_empty(), "copies were left: {:?}", stand.instances());
    let verified = stand.lifeboat(&["status", "last", "--json"]).output()?;
    ensure!(verified.status.success(), "status: {}", String::from_utf8_lossy(&verified.stderr));
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_during_restore_and_during_merge() -> Result<()> {
    killed_at(&["restore", "merge"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_every_other_step() -> Result<()> {
    killed_at(&["announce", "archive", "find", "compare", "verify", "clean_up"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_twice_in_the_same_step() -> Result<()> {
    killed_at(&["restore", "restore", "merge"]).await
}

/// The primary is gone in the middle of a step and back a moment later: the run ends well by itself, or fails with a code
/// and a new one ends well.
async fn server_gone_during(step: &str) -> Result<()> {
    let stand = Stand::loaded(1000).await?;
    let expected = damage(&stand).await?;
    let (mut engine, mut stderr) = run_until(stand.run(), step)?;
    stand.testbed.kill_primary().await?;
    stand.testbed.start_primary().await?;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest)?;
    if !engine.wait()?.success() {
        ensure!(rest.contains("pg-") || rest.contains("host-"), "no code in:\n{rest}");
        ends_well(stand.run())?;
    }
    ensure!(stand.content().await? == expected, "the rows are not what they should be after:\n{rest}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_gone_during_each_step_that_uses_it() -> Result<()> {
    for step in ["archive", "find", "restore", "compare", "merge", "verify"] {
        server_gone_during(step).await.with_context(|| format!("gone during {step}"))?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_engine_on_the_same_run_is_refused() -> Result<()> {
    let stand = Stand::loaded(1000).await?;
    let expected = damage(&stand).await?;
    let (mut engine, mut stderr) = run_until(stand.run(), "restore")?;
    let second = stand.resume().output()?;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(second.status.code() == Some(6) && said.contains("run-locked"), "{}:\n{said}", second.status);
    let third = stand.run().output()?;
    let said = String::from_utf8_lossy(&third.stderr).into_owned();
    ensure!(third.status.code() == Some(6) && said.contains("run-lease-"), "{}:\n{said}", third.status);
    stderr.read_to_string(&mut String::new())?;
    ensure!(engine.wait()?.success(), "the first engine was disturbed");
    ensure!(stand.content().await? == expected, "the rows are not what they should be");
    stand.stop().await
}
