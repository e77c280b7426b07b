//! What DR-003 does with rows that the transaction only changed, with rows that no copy has, and with the files that it keeps beside
//! its copy.

use std::{fs, process::Output};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    finding::{now, superuser},
    stand::{Stand, files_below},
};
use serde_json::Value;
use tokio_postgres::Client;

fn run(stand: &Stand, table: &str, since: &str, inputs: &[&str]) -> Result<(Output, Value)> {
    let mut command =
        stand.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--approve", "sign_off", "--json"]);
    command.arg("--bindings").arg(&stand.bindings);
    for input in [format!("damaged_table={table}"), format!("not_before={since}")] {
        command.args(["--input", &input]);
    }
    for input in inputs {
        command.args(["--input", input]);
    }
    let output = command.output()?;
    let said = said(&output);
    let document = serde_json::from_slice(&output.stdout).with_context(|| said)?;
    Ok((output, document))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn texts(client: &Client, sql: &str) -> Result<Vec<String>> {
    Ok(client.query(sql, &[]).await.with_context(|| sql.to_owned())?.iter().map(|row| row.get(0)).collect())
}

/// What stands in the journal of the newest run.
fn journal(stand: &Stand) -> Result<String> {
    Ok(fs::read_to_string(stand.run_folder()?.join("journal.jsonl"))?)
}

/// The files of runs in the work folder.
fn kept(stand: &Stand) -> Vec<String> {
    let files = files_below(&stand.testbed.work_folder()).into_iter().map(|path| path.display().to_string());
    files.filter(|path| ["exact-set", "merge-", "left-", "settle-"].iter().any(|kind| path.contains(kind))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn references_that_became_their_default_point_at_their_row_again() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let client = superuser(&stand).await?;
    client
        .batch_execute(
            "CREATE TABLE owners (id int PRIMARY KEY);
             CREATE SEQUENCE nobody MINVALUE 0;
             CREATE TABLE toys (id int PRIMARY KEY, note text, owner int DEFAULT 0 REFERENCES owners ON DELETE SET DEFAULT);
             CREATE TABLE homes (id int PRIMARY KEY, owner int REFERENCES owners ON DELETE SET DEFAULT);
             CREATE TABLE wide (id int PRIMARY KEY, owner bigint DEFAULT -1 REFERENCES owners ON DELETE SET DEFAULT);
             CREATE TABLE drawn (id int PRIMARY KEY, owner int DEFAULT nextval('nobody') * 0 REFERENCES owners ON DELETE SET DEFAULT);
             INSERT INTO owners SELECT generate_series(-1, 50);
             INSERT INTO toys SELECT n, 'old', n % 50 + 1 FROM generate_series(1, 100) n;
             INSERT INTO homes SELECT n, n FROM generate_series(1, 10) n;
             INSERT INTO wide SELECT n, n FROM generate_series(1, 10) n;
             INSERT INTO drawn SELECT n, n FROM generate_series(1, 5) n;",
        )
        .await?;
    stand.testbed.base_backup("with-toys").await?;
    let toys = "SELECT t::text FROM toys t WHERE id > 2 ORDER BY id";
    let (before, since) = (texts(&client, toys).await?, now(&stand, &client).await?);
    client
        .batch_execute("BEGIN; DELETE FROM owners WHERE id > 0; UPDATE toys SET note = 'new' WHERE id = 2; COMMIT")
        .await?;
    // The application has given one of them away since, and today's default is another one.
    client.batch_execute("INSERT INTO owners VALUES (60); UPDATE toys SET owner = 60 WHERE id = 1").await?;
    client.batch_execute("ALTER TABLE toys ALTER owner SET DEFAULT 60").await?;
    let (output, document) = run(&stand, "public.owners", &since, &[])?;
    ensure!(document["outcome"] == "succeeded_with_exceptions", "{document}\n{}", said(&output));
    ensure!(texts(&client, toys).await? == before, "{:?}", texts(&client, toys).await?);
    for table in ["homes", "wide"] {
        let wrong = format!("SELECT t::text FROM {table} t WHERE owner IS DISTINCT FROM id");
        ensure!(texts(&client, &wrong).await?.is_empty(), "{table}: {:?}", texts(&client, &wrong).await?);
    }
    let changed = texts(&client, "SELECT t::text FROM toys t WHERE id <= 2 ORDER BY id").await?;
    ensure!(changed == ["(1,old,60)", "(2,new,3)"], "{changed:?}");
    let drawn = texts(&client, "SELECT DISTINCT owner::text FROM drawn").await?;
    ensure!(drawn == ["0"], "a default that may have been another one is not taken back: {drawn:?}");
    // Before the yes, and at the end.
    let journal = journal(&stand)?;
    let asked = journal.lines().find(|line| line.contains("\"approval_requested\"")).context("a question")?;
    ensure!(asked.contains("Of 125 rows that were changed but not removed, 125 differ from before"), "{asked}");
    ensure!(asked.contains("owner was"), "{asked}");
    let told: String = stand.testbed.notifications().iter().map(|sent| format!("{}\n", sent.body)).collect();
    ensure!(told.contains("119 references point at their row again") && told.contains("7 changed rows"), "{told}");
    ensure!(stand.instances().len() == 1, "the copy alone has the older content, and is gone");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_no_copy_has_are_no_plain_success() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let client = superuser(&stand).await?;
    client
        .batch_execute("CREATE TABLE notes (id int PRIMARY KEY, v text); INSERT INTO notes SELECT n, 'a' FROM generate_series(1, 90) n")
        .await?;
    stand.testbed.base_backup("with-notes").await?;
    let since = now(&stand, &client).await?;
    for statement in [
        "DELETE FROM notes WHERE id <= 30",
        "INSERT INTO notes VALUES (200, 'meanwhile')",
        "UPDATE notes SET v = 'b' WHERE id = 40",
        "DELETE FROM notes WHERE id > 30 AND (id <= 60 OR id = 200)",
    ] {
        client.batch_execute(statement).await?;
    }
    let (output, document) = run(&stand, "public.notes", &since, &["all=true"])?;
    ensure!(document["outcome"] == "succeeded_with_exceptions", "{document}\n{}", said(&output));
    let journal = journal(&stand)?;
    ensure!(journal.contains("pg-rows-lost") && journal.contains("no copy has them: 1 of public.notes"), "{journal}");
    let rows = texts(&client, "SELECT count(*)::text FROM notes WHERE v = 'a'").await?;
    ensure!(rows == ["90"], "{rows:?}");
    // The copy has nothing more that is nowhere else.
    ensure!(
        stand.instances().is_empty() && kept(&stand).is_empty(),
        "{:?} {:?}: {}",
        stand.instances(),
        kept(&stand),
        said(&output)
    );
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_run_have_an_end() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let client = superuser(&stand).await?;
    client.batch_execute("CREATE TABLE keyless (a int); INSERT INTO keyless SELECT generate_series(1, 9)").await?;
    let since = now(&stand, &client).await?;
    client.batch_execute("DELETE FROM keyless").await?;
    // Refused before a copy was made: the run could go on, and its files are for that.
    let (output, document) = run(&stand, "public.keyless", &since, &[])?;
    ensure!(output.status.code() == Some(1), "{document}");
    ensure!(kept(&stand).len() == 1, "{:?}", kept(&stand));
    let listed = stand.lifeboat(&["copies", "--json"]).output()?;
    let listed: Value = serde_json::from_slice(&listed.stdout)?;
    let name = format!("{}/find", listed["copies"][0]["run"].as_str().context("a run")?);
    ensure!(
        listed["copies"][0]["only_files"] == true && listed["copies"].as_array().is_some_and(|it| it.len() == 1),
        "{listed}"
    );
    let removed = stand.lifeboat(&["copies", "remove", &name, "--yes"]).output()?;
    ensure!(removed.status.success(), "{}", said(&removed));
    ensure!(kept(&stand).is_empty(), "{:?}", kept(&stand));
    let listed: Value = serde_json::from_slice(&stand.lifeboat(&["copies", "--json"]).output()?.stdout)?;
    ensure!(listed["copies"] == Value::Array(Vec::new()), "{listed}");
    // A run that goes well leaves none.
    client.batch_execute("DELETE FROM customers").await?;
    let (output, document) = run(&stand, "public.customers", &since, &[])?;
    ensure!(output.status.success(), "{document}\n{}", said(&output));
    ensure!(kept(&stand).is_empty() && stand.instances().is_empty(), "{:?}", kept(&stand));
    stand.stop().await
}
