//! What goes wrong around a recovery gives a coded error, loses nothing, and leaves a run that can go on.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, files_below};

/// What a command must say and how it must end.
struct Expectation {
    exit: i32,
    code: &'static str,
}

fn check(mut command: Command, expect: Expectation) -> Result<Output> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(expect.exit), "{}, expected {}:\n{text}", output.status, expect.exit);
    ensure!(text.contains(expect.code), "no `{}` in:\n{text}", expect.code);
    Ok(output)
}

fn ends_well(mut command: Command) -> Result<Output> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(output)
}

/// Deletes half of the customers in one transaction.
async fn damaged() -> Result<(Stand, Vec<String>)> {
    let stand = Stand::loaded(200).await?;
    let before = stand.content().await?;
    stand.application().await?.batch_execute("DELETE FROM customers WHERE id <= 100").await?;
    Ok((stand, before))
}

/// Completed segments of the archive, oldest first.
fn segments(stand: &Stand) -> Vec<PathBuf> {
    let mut files = files_below(&stand.testbed.archive_folder());
    files.retain(|file| file.file_name().is_some_and(|name| name.len() == 24));
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_segment_is_named_and_the_run_goes_on_when_it_is_back() -> Result<()> {
    let (stand, before) = damaged().await?;
    let application = stand.application().await?;
    let observer = lifeboat_tests::stand::connect(&stand.testbed.observer()).await?;
    for round in 0..3 {
        application.batch_execute(&format!("INSERT INTO customers (name) VALUES ('round {round}')")).await?;
        observer.batch_execute("SELECT pg_switch_wal()").await?;
    }
    application.batch_execute("DELETE FROM customers WHERE name LIKE 'round%'").await?;
    wait_for_segments(&stand, 5)?;
    let archived = segments(&stand);
    let missing = archived[archived.len() - 2].clone();
    let aside = missing.with_extension("aside");
    fs::rename(&missing, &aside)?;
    check(stand.run(), Expectation { exit: 1, code: "pg-wal-gap" })?;
    fs::rename(&aside, &missing)?;
    ends_well(stand.run())?;
    ensure!(stand.content().await? == before, "not every row is back");
    stand.stop().await
}

/// The archiver works behind the server's back; there is nothing to wait on but the folder itself.
fn wait_for_segments(stand: &Stand, least: usize) -> Result<()> {
    for _ in 0..600 {
        if segments(stand).len() >= least {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    anyhow::bail!("only {} segments were archived", segments(stand).len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_another_cluster_is_refused() -> Result<()> {
    let (stand, _) = damaged().await?;
    let (other, _) = damaged().await?;
    for stand in [&stand, &other] {
        let observer = lifeboat_tests::stand::connect(&stand.testbed.observer()).await?;
        observer.batch_execute("SELECT pg_switch_wal()").await?;
        wait_for_segments(stand, 3)?;
    }
    for segment in segments(&stand) {
        let foreign = other.testbed.archive_folder().join(segment.file_name().context("a name")?);
        if foreign.exists() {
            fs::copy(foreign, segment)?;
        }
    }
    check(stand.run(), Expectation { exit: 1, code: "pg-wal-foreign" })?;
    other.stop().await?;
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_by_its_reference() -> Result<()> {
    let (stand, before) = damaged().await?;
    let text = fs::read_to_string(&stand.bindings)?;
    let wrong = stand.home.path().join("wrong-password");
    fs::write(&wrong, "not-the-password")?;
    let reference = text.lines().find_map(|line| line.trim().strip_prefix("password: ")).context("a password")?;
    let real = reference.trim_matches('"').to_owned();
    fs::write(&stand.bindings, text.replacen(&real, &format!("file:{}", wrong.display()), 1))?;
    let output = check(stand.run(), Expectation { exit: 1, code: "pg-login" })?;
    ensure!(!String::from_utf8_lossy(&output.stderr).contains("not-the-password"), "the password was shown");
    fs::write(&stand.bindings, text)?;
    ends_well(stand.run())?;
    ensure!(stand.content().await? == before, "not every row is back");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_cannot_be_merged_safely_are_refused() -> Result<()> {
    let (stand, _) = damaged().await?;
    let application = stand.application().await?;
    application
        .batch_execute(
            "CREATE FUNCTION noisy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER noisy BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION noisy();",
        )
        .await?;
    check(stand.run(), Expectation { exit: 1, code: "pg-triggers" })?;
    application.batch_execute("DROP TRIGGER noisy ON orders; ALTER TABLE items DROP CONSTRAINT items_pkey").await?;
    check(stand.run(), Expectation { exit: 1, code: "pg-no-primary-key" })?;
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_refers_to_itself_comes_back_whole() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let application = stand.application().await?;
    application
        .batch_execute(
            "CREATE TABLE parts (id bigint PRIMARY KEY, whole bigint REFERENCES parts ON DELETE CASCADE);
             INSERT INTO parts SELECT n, CASE WHEN n > 1 THEN n / 2 END FROM generate_series(1, 1000) n;",
        )
        .await?;
    application.batch_execute("DELETE FROM parts WHERE id = 3").await?;
    let mut run = stand.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--approve", "sign_off"]);
    run.arg("--bindings").arg(&stand.bindings).args(["--input", "damaged_table=public.parts"]);
    run.arg("--input").arg(format!("not_before={}", stand.not_before));
    ends_well(run)?;
    let back =
        stand.value(&application, "SELECT count(*)::text || ' ' || sum(id) || ' ' || sum(whole) FROM parts").await?;
    ensure!(back == "1000 500500 250000", "found {back}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_mend_is_said_and_changes_nothing() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let before = stand.content().await?;
    check(stand.run(), Expectation { exit: 1, code: "pg-no-damage-found" })?;
    ensure!(stand.content().await? == before, "something changed");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_server_is_refused_before_anything_happens() -> Result<()> {
    let (stand, _) = damaged().await?;
    let text = fs::read_to_string(&stand.bindings)?;
    let line = text.lines().find(|line| line.contains("system_identifier")).context("an identity")?;
    fs::write(&stand.bindings, text.replace(line, "    system_identifier: \"1\""))?;
    check(stand.run(), Expectation { exit: 6, code: "host-identity-mismatch" })?;
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_waited_for_by_resuming() -> Result<()> {
    let (stand, before) = damaged().await?;
    stand.testbed.kill_primary().await?;
    check(stand.run(), Expectation { exit: 1, code: "pg-connection" })?;
    stand.testbed.start_primary().await?;
    ends_well(stand.run())?;
    ensure!(stand.content().await? == before, "not every row is back");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_found_nowhere() -> Result<()> {
    let (stand, _) = damaged().await?;
    let text = fs::read_to_string(&stand.bindings)?;
    let mut secrets = Vec::new();
    for line in text.lines() {
        let Some(reference) = line.split_once("file:").map(|(_, path)| path.trim().trim_matches('"')) else { continue };
        secrets.push(fs::read_to_string(reference).with_context(|| reference.to_owned())?.trim().to_owned());
    }
    ensure!(secrets.len() >= 2, "expected a password and a webhook's key in {text}");
    // Parameters and literals of statements are no secrets of the bindings, and are as little to be logged.
    let mut run = stand.run();
    run.env("LIFEBOAT_LOG", "trace").env("LIFEBOAT_LOG_FORMAT", "json");
    let output = ends_well(run)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let logged: Vec<&str> = said.lines().filter(|line| line.starts_with('{')).collect();
    for span in ["run", "step", "attempt", "call", "capability", "statement", "program"] {
        let mark = format!("\"name\":\"{span}\"");
        ensure!(logged.iter().any(|line| line.contains(&mark)), "no line is of a {span}");
    }
    for private in [stand.not_before.as_str(), "public.customers", "customer 1"] {
        ensure!(!logged.iter().any(|line| line.contains(private)), "`{private}` was logged");
    }
    let mut places = vec![(PathBuf::from("stdout"), output.stdout), (PathBuf::from("stderr"), output.stderr)];
    for file in files_below(&stand.home.path().join("state")) {
        places.push((file.clone(), fs::read(&file)?));
    }
    ensure!(places.iter().any(|(path, _)| path.ends_with("journal.jsonl")), "no journal was looked at");
    for (place, content) in places {
        let content = String::from_utf8_lossy(&content).into_owned();
        ensure!(!secrets.iter().any(|secret| content.contains(secret)), "a secret stands in {}", place.display());
    }
    stand.stop().await
}
