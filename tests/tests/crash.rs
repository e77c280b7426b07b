//! The engine is killed with `kill -9` in the middle of a recovery of a real server, and goes on.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
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
fn kill_at(mut command: Command, step: &str) -> Result<()> {
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let stderr = BufReader::new(child.stderr.take().context("stderr is piped")?);
    let mut seen = Vec::new();
    for line in stderr.lines() {
        let line = line?;
        if line.contains(step) && line.contains("started") {
            child.kill()?;
            child.wait()?;
            return Ok(());
        }
        seen.push(line);
    }
    let status = child.wait()?;
    anyhow::bail!("the engine ended ({status}) before it started {step}:\n{}", seen.join("\n"))
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
