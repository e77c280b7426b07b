//! Removed rows are looked up where they lie, each by itself: reading a whole table for every batch of them would make a
//! recovery as slow as its largest table. Where so much of a table is missing that reading its parents whole is cheaper than
//! looking each one up, that happens once for all of these rows.

use anyhow::{Result, ensure};
use lifeboat_tests::stand::{Stand, connect};
use tokio_postgres::Config;

/// Tables large enough that reading one whole costs more than a few look-ups.
const LARGE: &str = "'orders', 'items'";

const CUSTOMERS: u32 = 3000;
/// Customers close together and customers far apart.
const MANY: &str = "id <= 900 OR id % 50 = 0";
/// Their items are twenty in each of two places.
const FEW: &str = "id IN (3, 1500)";

/// With everything of these customers gone.
async fn damaged(customers: &str) -> Result<(Stand, Vec<String>)> {
    let stand = Stand::loaded(CUSTOMERS).await?;
    let before = stand.content().await?;
    stand.application().await?.batch_execute(&format!("DELETE FROM customers WHERE {customers}")).await?;
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

/// Compares, and says how often each of the large tables was read from end to end in the copy.
async fn comparing(customers: &str) -> Result<String> {
    let (stand, _) = damaged(customers).await?;
    let before = reads(&stand, &stand.testbed.observer()).await?;
    succeeds(stand.run_up_to("sign_off", "public.customers")?)?;
    let after = reads(&stand, &stand.testbed.observer()).await?;
    ensure!(after == before, "in the server: {before} before, {after} after");
    let copy = reads(&stand, &stand.copy()?).await?;
    stand.stop().await?;
    Ok(copy)
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_few_rows_reads_no_table_from_end_to_end() -> Result<()> {
    let copy = comparing(FEW).await?;
    ensure!(copy == "items 0, orders 0", "in the copy: {copy}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn comparing_many_rows_reads_their_parents_at_most_once() -> Result<()> {
    let copy = comparing(MANY).await?;
    ensure!(["items 0, orders 0", "items 0, orders 1"].contains(&copy.as_str()), "in the copy: {copy}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn putting_rows_back_reads_no_table_of_the_copy_again() -> Result<()> {
    let (stand, before) = damaged(MANY).await?;
    succeeds(stand.run_up_to("clean_up", "public.customers")?)?;
    ensure!(stand.content().await? == before, "not every row is back");
    let copy = reads(&stand, &stand.copy()?).await?;
    ensure!(["items 0, orders 0", "items 0, orders 1"].contains(&copy.as_str()), "in the copy: {copy}");
    stand.stop().await
}
