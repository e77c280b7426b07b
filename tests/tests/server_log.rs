//! Whose transactions they were is told where a log of the server says so and can be read: as JSON, as CSV, or as text.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    finding::{find, now, outputs, superuser},
    stand::{Stand, connect},
};
use serde_json::Value;
use tokio_postgres::Client;

/// One deletion by a program of that name, with its log written so.
async fn delete(stand: &Stand, server: &Client, destination: &str, program: &str, from: u32) -> Result<()> {
    server.batch_execute(&format!("ALTER SYSTEM SET log_destination = '{destination}'")).await?;
    server.batch_execute("SELECT pg_reload_conf()").await?;
    while stand.value(server, "SHOW log_destination").await? != destination {
        tokio::task::yield_now().await;
    }
    let mut login = stand.testbed.observer();
    login.dbname("app").application_name(program);
    let client = connect(&login).await?;
    // A line break and quotes, as statements have them.
    let sql = format!("DELETE FROM visits\n WHERE id BETWEEN {from} AND {} AND 'a,\"b' <> ''", from + 99);
    for statement in ["BEGIN", &sql, "COMMIT"] {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

fn applications(found: &Value) -> Vec<(String, Option<String>)> {
    let candidates = found["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let one = |it: &Value| (it["xid"].to_string(), it["application"].as_str().map(str::to_owned));
    let mut all: Vec<_> = candidates.iter().map(one).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_is_told_where_a_log_has_it() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    for setting in [
        "logging_collector = on",
        "log_min_duration_statement = 0",
        "log_line_prefix = '%m [%p] %q%u@%d app=%a tx=%x '",
    ] {
        server.batch_execute(&format!("ALTER SYSTEM SET {setting}")).await?;
    }
    server
        .batch_execute("CREATE TABLE visits (id int PRIMARY KEY); INSERT INTO visits SELECT generate_series(1, 400)")
        .await?;
    drop(server);
    stand.testbed.stop_primary().await?;
    stand.testbed.start_primary().await?;
    let server = superuser(&stand).await?;
    let since = now(&stand, &server).await?;
    let programs = [("jsonlog", "as json, \"quoted\""), ("csvlog", "as csv, \"quoted\""), ("stderr", "as text")];
    for (from, (destination, program)) in (1..).step_by(100).zip(programs) {
        delete(&stand, &server, destination, program, from).await?;
    }
    let look = || outputs(find(&stand, &format!("table: public.visits, since: \"{since}\", all: true"))?, "find");
    let told: Vec<_> = programs.iter().map(|(_, program)| Some((*program).to_owned())).collect();

    // Nobody may read it.
    let found = look()?;
    ensure!(applications(&found).iter().all(|(_, application)| application.is_none()), "{found}");
    let text = found["candidates_text"].as_str().context("a text")?;
    ensure!(text.contains("Neither the WAL nor a readable log of the server says"), "{text}");

    // On the machine.
    let folder = stand.value(&server, "SELECT current_setting('data_directory') || '/log'").await?;
    let bindings = fs::read_to_string(&stand.bindings)?;
    let with_log = format!("    folders:\n      log: {{ path: \"{folder}\", access: read }}\n");
    fs::write(&stand.bindings, bindings.replacen("    folders:\n", &with_log, 1))?;
    let found = look()?;
    let seen: Vec<_> = applications(&found).into_iter().map(|(_, application)| application).collect();
    ensure!(seen == told, "{found}");
    let text = found["candidates_text"].as_str().context("a text")?;
    ensure!(text.contains("by `as text` as observer") && !text.contains("Neither the WAL"), "{text}");
    drop(server);
    stand.stop().await
}
