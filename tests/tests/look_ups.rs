//! Removed rows are looked up where they lie, each by itself: reading a whole table for every batch of them would make a
//! recovery as slow as its largest table.

use anyhow::{Result, ensure};
use lifeboat_tests::stand::{Stand, connect};
use tokio_postgres::Config;

/// Tables large enough that reading one whole costs more than a few look-ups.
const LARGE: &str = "'orders', 'items'";

/// Customers close together and customers far apart, with everything of theirs.
async fn damaged() -> Result<(Stand, Vec<String>)> {
    let stand = Stand::loaded(1000).await?;
    let before = stand.content().await?;
    stand.application().await?.batch_execute("DELETE FROM customers WHERE id <= 300 OR id % 50 = 0").await?;
    Ok((stand, before))
}

fn succeeds(mut command: std::process::Command) -> Result<()> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// How often each of the large tables was read from end to end.
async fn reads(stand: &Stand, server: &Config) -> Result<String> {
    let client = connect(server).await?;
    // A session hands its counts in when it ends, which is a moment after the engine has ended.
    let open = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name LIKE 'lifeboat/%'";
    while stand.value(&client, open).await? != "0" {}
    let sql = "SELECT string_agg(relname || ' ' || seq_scan, ', ' ORDER BY relname) FROM pg_stat_user_tables
                WHERE schemaname = 'public' AND relname IN";
    stand.value(&client, &format!("{sql} ({LARGE})")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_reads_no_table_from_end_to_end() -> Result<()> {
    let (stand, _) = damaged().await?;
    let before = reads(&stand, &stand.testbed.observer()).await?;
    succeeds(stand.run_up_to("sign_off", "public.customers")?)?;
    let after = reads(&stand, &stand.testbed.observer()).await?;
    ensure!(after == before, "in the server: {before} before, {after} after");
    let copy = reads(&stand, &stand.copy()?).await?;
    ensure!(copy == "items 0, orders 0", "in the copy: {copy}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_rows_back_reads_no_table_of_the_copy_from_end_to_end() -> Result<()> {
    let (stand, before) = damaged().await?;
    succeeds(stand.run_up_to("clean_up", "public.customers")?)?;
    ensure!(stand.content().await? == before, "not every row is back");
    let copy = reads(&stand, &stand.copy()?).await?;
    ensure!(copy == "items 0, orders 0", "in the copy: {copy}");
    stand.stop().await
}
