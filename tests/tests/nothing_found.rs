//! Where no transaction removed rows of a table, or its places mean nothing, it is told why, and what to do.

use anyhow::{Result, ensure};
use lifeboat_tests::{
    finding::{find, now, outputs, says, superuser, transaction},
    stand::Stand,
};

const SCHEMA: &str = "
    CREATE UNLOGGED TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 80);
    CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
    CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
    INSERT INTO events SELECT generate_series(1, 80);
    CREATE TABLE stocks (id int PRIMARY KEY, amount int); INSERT INTO stocks SELECT n, n FROM generate_series(1, 80) n;
    CREATE TABLE quiet (id int PRIMARY KEY);
    CREATE TABLE packed (id int PRIMARY KEY); INSERT INTO packed SELECT generate_series(1, 300)";

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_is_told_with_what_to_do() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    server.batch_execute(SCHEMA).await?;
    let since = now(&stand, &server).await?;
    let finding = |table: &str| find(&stand, &format!("table: public.{table}, since: \"{since}\""));
    server.batch_execute("DELETE FROM notes").await?;
    says(&finding("notes")?, &["pg-table-unlogged", "`public.notes` is unlogged"])?;
    server.batch_execute("DELETE FROM events").await?;
    server.batch_execute("ALTER TABLE events DETACH PARTITION events_1").await?;
    let changed = transaction(&stand, &server, "UPDATE stocks SET amount = 0").await?;
    let detached = ["pg-no-damage-found", "80 of public.events_1, most of them by transaction", "detached since"];
    says(&finding("events")?, &detached)?;
    let stocks = finding("stocks")?;
    says(
        &stocks,
        &[
            "changed but not deleted: 80 times",
            &format!("transaction {changed} (80 rows, "),
            &format!("`xid: {changed}`, `damage: changed`"),
        ],
    )?;
    says(&finding("quiet")?, &["80 of public.events_1"])?;
    let tomorrow =
        stand.value(&server, "SELECT to_char(now() + interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").await?;
    let late = find(&stand, &format!("table: public.stocks, since: \"{tomorrow}\""))?;
    says(&late, &["The last commit in the archive was at", "before `since`", "pg/switch-wal"])?;
    says(&finding("stocks, xid: 99999999")?, &["pg-xid-not-found", "transaction 99999999"])?;
    let mut observer = stand.testbed.observer();
    observer.dbname("postgres");
    let other = lifeboat_tests::stand::connect(&observer).await?;
    other.batch_execute("CREATE TABLE elsewhere (id int); INSERT INTO elsewhere SELECT generate_series(1, 7); DELETE FROM elsewhere").await?;
    says(&finding("quiet")?, &["In another database, postgres, 7 rows of one table"])?;
    let deleted = transaction(&stand, &server, "DELETE FROM packed WHERE id <= 200").await?;
    server.batch_execute("VACUUM FULL packed").await?;
    let packed = finding("packed")?;
    says(&packed, &["pg-table-rewritten", &format!("before_xid: {deleted}"), "200 rows", "already gone"])?;
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_time_lies_before_it_was_seen_is_found() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let (server, application) = (superuser(&stand).await?, superuser(&stand).await?);
    server
        .batch_execute(
            "CREATE TABLE orders_log (id int PRIMARY KEY); INSERT INTO orders_log SELECT generate_series(1, 300)",
        )
        .await?;
    let begin = now(&stand, &server).await?;
    server.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await?;
    server.batch_execute("SELECT pg_reload_conf()").await?;
    commits_wait(&stand, &server, &application).await?;
    let waiting = tokio::spawn(async move { application.batch_execute("DELETE FROM orders_log WHERE id > 100").await });
    let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    while stand.value(&server, waits).await? == "0" {
        ensure!(!waiting.is_finished(), "the commit did not wait");
        tokio::task::yield_now().await;
    }
    // Its commit record is written; others still see the rows.
    ensure!(stand.value(&server, "SELECT count(*)::text FROM orders_log").await? == "300", "the rows are seen");
    let seen = now(&stand, &server).await?;
    server.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await?;
    server.batch_execute("SELECT pg_reload_conf()").await?;
    waiting.await??;
    let table = "table: public.orders_log";
    let begun = outputs(find(&stand, &format!("{table}, since: \"{begin}\""))?, "find")?;
    let committed = begun["commit_time"].as_str().unwrap_or_default();
    ensure!(committed < seen.as_str() && begun["candidates"][0]["early"] == false, "seen at {seen}: {begun}");
    let since = after(&stand, &server, committed, 2).await?;
    let found = outputs(find(&stand, &format!("{table}, since: \"{since}\""))?, "find")?;
    ensure!(found["rows"] == 200 && found["candidates"][0]["early"] == true, "{found}");
    let text = found["candidates_text"].as_str().unwrap_or_default();
    ensure!(text.contains("committed shortly before `since`"), "{text}");
    // Further away it is taken where it is the only one, and else it is named.
    let half_a_minute = after(&stand, &server, committed, 30).await?;
    let minutes = after(&stand, &server, committed, 240).await?;
    let alone = outputs(find(&stand, &format!("{table}, since: \"{half_a_minute}\""))?, "find")?;
    ensure!(alone["rows"] == 200 && alone["candidates"][0]["early"] == true, "{alone}");
    let xid = found["xid"].to_string();
    let named = find(&stand, &format!("{table}, since: \"{minutes}\""))?;
    says(&named, &["pg-no-damage-found", &format!("{xid} (200 rows"), &format!("--input xid={xid}")])?;
    // With a second one, none of them is taken.
    server.batch_execute("DELETE FROM orders_log WHERE id <= 3").await?;
    let second = outputs(find(&stand, &format!("{table}, since: \"{begin}\""))?, "find")?;
    let last = second["candidates"][1]["commit_time"].as_str().unwrap_or_default();
    let later = after(&stand, &server, last, 10).await?;
    let two = find(&stand, &format!("{table}, since: \"{later}\""))?;
    if let Err(said) = &two {
        ensure!(said.contains("pg-no-damage-found") && said.contains(&format!("{xid} (200 rows")), "{said}");
    } else {
        // The first one is more than a minute away by now: only the second one is near.
        ensure!(outputs(two, "find")?["rows"] == 3, "the first one was taken");
    }
    let chosen = outputs(find(&stand, &format!("{table}, since: \"{half_a_minute}\", xid: {xid}"))?, "find")?;
    ensure!(chosen["rows"] == 200, "{chosen}");
    stand.stop().await
}

/// So many seconds after a moment.
async fn after(stand: &Stand, client: &tokio_postgres::Client, moment: &str, seconds: u32) -> Result<String> {
    let at = format!("('{moment}'::timestamptz + interval '{seconds} seconds') AT TIME ZONE 'UTC'");
    stand.value(client, &format!("SELECT to_char({at}, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")).await
}

/// Goes on when commits wait for a standby: the server's checkpointer has to hear of the setting, and does not say when it has. Each
/// commit that waits is let go again.
async fn commits_wait(
    stand: &Stand,
    server: &tokio_postgres::Client,
    application: &tokio_postgres::Client,
) -> Result<()> {
    const LET_GO: &str =
        "SELECT count(pg_cancel_backend(pid))::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    for _ in 0..10_000 {
        let mut commit = std::pin::pin!(application.batch_execute("UPDATE customers SET name = name WHERE id = 1"));
        let mut waited = false;
        loop {
            tokio::select! {
                ended = &mut commit => { ended?; break }
                let_go = stand.value(server, LET_GO) => waited |= let_go? != "0",
            }
        }
        if waited {
            // A look that was given up is still answered, and would let go what waits next: it is waited for.
            stand.value(server, "SELECT ''").await?;
            return Ok(());
        }
    }
    anyhow::bail!("no commit waits for a standby")
}
