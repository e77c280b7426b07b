//! What DR-003 does with rows that do not simply go back, on a real server: those that are there again with other content, that
//! have lost their parent, or that their table refuses; and with tables that are not made for it.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect};
use serde_json::Value;
use tokio_postgres::Client;

/// The moment before which nothing of a case happened.
async fn now(client: &Client) -> Result<String> {
    let sql = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

async fn superuser(stand: &Stand) -> Result<Client> {
    let mut login = stand.testbed.observer();
    login.dbname("app");
    connect(&login).await
}

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
    ended(command.output()?)
}

fn ended(output: Output) -> Result<(Output, Value)> {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).with_context(|| said)?;
    Ok((output, document))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn texts(client: &Client, sql: &str) -> Result<Vec<String>> {
    Ok(client.query(sql, &[]).await.with_context(|| sql.to_owned())?.iter().map(|row| row.get(0)).collect())
}

/// Tables of which the first backup holds the rows.
const TABLES: &str = "
    CREATE TABLE settings (user_id int PRIMARY KEY, prefs jsonb, theme text);
    INSERT INTO settings SELECT n, jsonb_build_object('n', n), 'dark' FROM generate_series(1, 40) n;
    CREATE TABLE boxes (id int PRIMARY KEY);
    CREATE TABLE things (id int PRIMARY KEY, box int NOT NULL REFERENCES boxes);
    INSERT INTO boxes SELECT generate_series(1, 3);
    INSERT INTO things SELECT n, n % 3 + 1 FROM generate_series(1, 30) n;
    CREATE TABLE ranked (id int PRIMARY KEY, list int, pos int, UNIQUE (list, pos) DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO ranked SELECT n, n % 5, n FROM generate_series(1, 50) n;
    CREATE TABLE heads (id int PRIMARY KEY, best int);
    CREATE TABLE hands (id int PRIMARY KEY, head int REFERENCES heads ON DELETE CASCADE);
    ALTER TABLE heads ADD FOREIGN KEY (best) REFERENCES hands DEFERRABLE INITIALLY DEFERRED;
    INSERT INTO heads SELECT n, NULL FROM generate_series(1, 20) n;
    INSERT INTO hands SELECT n, n FROM generate_series(1, 20) n;
    UPDATE heads SET best = id;
    CREATE TABLE renamed (id int PRIMARY KEY, a text, gone text, price numeric(6,2));
    INSERT INTO renamed SELECT n, 'a' || n, 'g' || n, n FROM generate_series(1, 30) n;
    CREATE TABLE strict (id int PRIMARY KEY, price int);
    INSERT INTO strict SELECT n, n FROM generate_series(1, 2000) n;
    CREATE TABLE touched (id int PRIMARY KEY, v text);
    INSERT INTO touched SELECT n, 'v' || n FROM generate_series(1, 20) n;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := ''touched''; RETURN NEW; END';
    CREATE TRIGGER touch BEFORE INSERT ON touched FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TABLE keyless (a int);
    INSERT INTO keyless SELECT generate_series(1, 20);
    CREATE RULE log AS ON INSERT TO keyless DO ALSO NOTIFY keyless;
    CREATE TRIGGER touch BEFORE INSERT ON keyless FOR EACH ROW EXECUTE FUNCTION touch();
";

async fn stand() -> Result<(Stand, Client)> {
    let stand = Stand::loaded(1).await?;
    let client = superuser(&stand).await?;
    client.batch_execute(TABLES).await?;
    stand.testbed.base_backup("with-tables").await?;
    Ok((stand, client))
}

/// What people were told.
fn told(stand: &Stand) -> String {
    stand.testbed.notifications().iter().map(|sent| format!("{}\n", sent.body)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_there_again_with_other_content_is_a_question_and_no_success() -> Result<()> {
    let (stand, client) = stand().await?;
    let rows = "SELECT s::text FROM settings s ORDER BY user_id";
    let before = texts(&client, rows).await?;
    let since = now(&client).await?;
    client.batch_execute("DELETE FROM settings").await?;
    client.batch_execute("INSERT INTO settings SELECT n, '{}', 'light' FROM generate_series(1, 40) n").await?;

    let (output, document) = run(&stand, "public.settings", &since, &[])?;
    ensure!(output.status.code() == Some(5), "{document}\n{}", said(&output));
    let asked = said(&output) + &document.to_string();
    ensure!(asked.contains("dark, is light") && asked.contains("40 are not"), "both versions are not shown:\n{asked}");
    // Somebody changes one of the rows while the question stands: it is not what was shown any more.
    client.batch_execute("UPDATE settings SET theme = 'mine' WHERE user_id = 7").await?;
    let command = stand.lifeboat(&["resume", "last", "--json", "--evidence", "decide.decision=take theme"]).output()?;
    let (output, document) = ended(command)?;
    ensure!(document["outcome"] == "succeeded_with_exceptions", "{document}\n{}", said(&output));
    let themes = "SELECT theme || ' ' || prefs || ' ' || count(*) FROM settings GROUP BY theme, prefs ORDER BY 1";
    ensure!(texts(&client, themes).await? == ["dark {} 39", "mine {} 1"], "{:?}", texts(&client, themes).await?);
    ensure!(stand.instances().len() == 1, "the copy, which alone has the older content, is gone");

    // Nothing is left where everything was taken, and the copy goes.
    let (output, document) = run(&stand, "public.settings", &since, &["conflicts=take"])?;
    ensure!(output.status.success(), "{document}\n{}", said(&output));
    ensure!(texts(&client, rows).await? == before, "not every row has its older content");
    ensure!(stand.instances().len() == 1, "the copy of the second run is left: {:?}", stand.instances());
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_their_parent_are_told_and_the_copy_stays() -> Result<()> {
    let (stand, client) = stand().await?;
    let since = now(&client).await?;
    client.batch_execute("DELETE FROM things").await?;
    client.batch_execute("DELETE FROM boxes WHERE id = 2").await?;
    let (output, document) = run(&stand, "public.things", &since, &["conflicts=keep"])?;
    ensure!(document["outcome"] == "succeeded_with_exceptions", "{document}\n{}", said(&output));
    ensure!(told(&stand).contains("not all rows are back"), "{}", told(&stand));
    let there = texts(&client, "SELECT count(*)::text FROM things").await?;
    ensure!(there == ["20"], "{there:?}");
    ensure!(stand.instances().len() == 1, "the copy is gone");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_not_simple_get_their_rows_back() -> Result<()> {
    let (stand, client) = stand().await?;
    let since = now(&client).await?;
    let ranked = texts(&client, "SELECT r::text FROM ranked r ORDER BY id").await?;
    client.batch_execute("DELETE FROM ranked WHERE id <= 20").await?;
    let (output, document) = run(&stand, "public.ranked", &since, &[])?;
    ensure!(output.status.success(), "{document}\n{}", said(&output));
    ensure!(
        texts(&client, "SELECT r::text FROM ranked r ORDER BY id").await? == ranked,
        "a deferrable unique constraint"
    );

    let circle = "SELECT h::text || d::text FROM heads h JOIN hands d ON d.id = h.best ORDER BY h.id";
    let heads = texts(&client, circle).await?;
    let since = now(&client).await?;
    client.batch_execute("DELETE FROM heads WHERE id <= 10").await?;
    let (output, document) = run(&stand, "public.heads", &since, &[])?;
    ensure!(output.status.success(), "{document}\n{}", said(&output));
    ensure!(texts(&client, circle).await? == heads, "a circle of foreign keys");

    let since = now(&client).await?;
    client.batch_execute("DELETE FROM renamed WHERE id <= 10").await?;
    client
        .batch_execute(
            "ALTER TABLE renamed RENAME a TO b; ALTER TABLE renamed DROP gone; ALTER TABLE renamed ADD later int DEFAULT 7;
             ALTER TABLE renamed ALTER price TYPE numeric(8,2); ALTER TABLE renamed RENAME TO named_anew",
        )
        .await?;
    let (output, document) = run(&stand, "public.named_anew", &since, &[])?;
    ensure!(output.status.success(), "{document}\n{}", said(&output));
    let row = texts(&client, "SELECT n::text FROM named_anew n WHERE id = 3").await?;
    ensure!(row == ["(3,a3,3.00,7)"], "columns that were renamed, dropped, added and widened: {row:?}");

    // Of 1,000 rows two break a rule that is newer than they are.
    let since = now(&client).await?;
    client.batch_execute("DELETE FROM strict WHERE id <= 1000").await?;
    client.batch_execute("ALTER TABLE strict ADD CHECK (price <> 300 AND price <> 301) NOT VALID").await?;
    let (output, document) = run(&stand, "public.strict", &since, &["conflicts=keep"])?;
    ensure!(document["outcome"] == "succeeded_with_exceptions", "{document}\n{}", said(&output));
    let missing = "SELECT n::text FROM generate_series(1, 2000) n WHERE n NOT IN (SELECT id FROM strict) ORDER BY n";
    ensure!(texts(&client, missing).await? == ["300", "301"], "{:?}", texts(&client, missing).await?);
    ensure!(told(&stand).contains("violates check constraint"), "{}", told(&stand));
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_in_the_way_is_told_before_a_copy_is_restored() -> Result<()> {
    let (stand, client) = stand().await?;
    let since = now(&client).await?;
    client.batch_execute("DELETE FROM keyless").await?;
    let (output, document) = run(&stand, "public.keyless", &since, &[])?;
    ensure!(output.status.code() == Some(1), "{document}");
    let text = said(&output);
    for expected in ["pg-obstacles", "pg-no-primary-key", "pg-triggers", "pg-rules", "ADD PRIMARY KEY"] {
        ensure!(text.contains(expected), "`{expected}` is not told:\n{text}");
    }
    ensure!(stand.instances().is_empty(), "a copy was restored all the same");

    let since = now(&client).await?;
    client.batch_execute("DELETE FROM touched").await?;
    let (output, document) = run(&stand, "public.touched", &since, &[])?;
    ensure!(said(&output).contains("pg-triggers"), "{document}\n{}", said(&output));
    let (output, document) = run(&stand, "public.touched", &since, &["triggers=skip"])?;
    ensure!(output.status.success(), "{document}\n{}", said(&output));
    let rows = texts(&client, "SELECT v FROM touched WHERE id < 3 ORDER BY id").await?;
    ensure!(rows == ["v1", "v2"], "the trigger fired: {rows:?}");
    ensure!(stand.instances().is_empty(), "a copy is left: {:?}", stand.instances());
    stand.stop().await
}
