//! The rights that the manual asks for are enough for DR-003. A drill never shows that: its engine is a superuser.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    repository,
    stand::{Stand, connect},
};

/// What the manual says that the login is given, in its own words.
fn grants() -> Result<String> {
    let page = std::fs::read_to_string(repository().join("docs/operating/preparing.md"))?;
    let (_, rest) = page.split_once("```sql\n").context("the page has no SQL")?;
    let (sql, _) = rest.split_once("```").context("the SQL of the page ends")?;
    let grants: Vec<&str> = sql.lines().filter(|line| line.starts_with("GRANT ")).collect();
    ensure!(
        grants.len() == sql.lines().count() - 1 && sql.starts_with("CREATE ROLE lifeboat LOGIN BYPASSRLS"),
        "{sql}"
    );
    Ok(grants.join("\n"))
}

/// The engine's login as the manual makes it; the testbed has made it a superuser.
async fn demote(stand: &Stand) -> Result<()> {
    let superuser = connect(&stand.testbed.observer()).await?;
    Ok(superuser.batch_execute("ALTER ROLE lifeboat NOSUPERUSER BYPASSRLS").await?)
}

async fn grant(stand: &Stand) -> Result<()> {
    Ok(connect(&stand.testbed.observer()).await?.batch_execute(&grants()?).await?)
}

async fn damage(stand: &Stand) -> Result<()> {
    Ok(stand.application().await?.batch_execute("DELETE FROM customers WHERE id <= 100").await?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_manual_are_enough() -> Result<()> {
    let stand = Stand::loaded(200).await?;
    demote(&stand).await?;
    grant(&stand).await?;
    let before = stand.content().await?;
    damage(&stand).await?;
    let output = stand.run().output()?;
    ensure!(output.status.success(), "{}", said(&output));
    ensure!(stand.content().await? == before, "not every row is back");
    stand.stop().await
}

/// Why the manual says: before you need them.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_knows_no_right_that_was_given_after_the_damage() -> Result<()> {
    let stand = Stand::loaded(200).await?;
    demote(&stand).await?;
    damage(&stand).await?;
    grant(&stand).await?;
    let output = stand.run().output()?;
    let text = said(&output);
    ensure!(output.status.code() == Some(1), "{text}");
    let failed = text.lines().any(|line| line.contains("compare") && line.contains("permission denied for table"));
    ensure!(failed, "not the copy's rights:\n{text}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_that_a_login_cannot_turn_off_on_a_copy_are_named_before_it_is_made() -> Result<()> {
    let stand = Stand::loaded(50).await?;
    let superuser = connect(&stand.testbed.observer()).await?;
    superuser.batch_execute("ALTER DATABASE app SET session_preload_libraries = 'auto_explain'").await?;
    damage(&stand).await?;
    let run = || stand.run_up_to("restore", "public.customers")?.output().map_err(anyhow::Error::from);
    // A superuser's session says itself that it loads none.
    let output = run()?;
    ensure!(output.status.success() && !said(&output).contains("auto_explain"), "{}", said(&output));
    demote(&stand).await?;
    grant(&stand).await?;
    let output = run()?;
    let text = said(&output);
    ensure!(output.status.success(), "{text}");
    let command = "`ALTER DATABASE app SET session_preload_libraries`";
    ensure!(text.contains("load the libraries auto_explain") && text.contains(command), "{text}");
    // One of the role alone is named as such.
    superuser.batch_execute("ALTER DATABASE app RESET session_preload_libraries").await?;
    superuser.batch_execute("ALTER ROLE lifeboat SET session_preload_libraries = 'auto_explain'").await?;
    let text = said(&run()?);
    ensure!(text.contains("`ALTER ROLE lifeboat SET session_preload_libraries`"), "{text}");
    stand.stop().await
}
