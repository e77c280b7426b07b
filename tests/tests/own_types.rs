//! Types that a database defines itself: a session on a copy finds them under their schema alone, as its search path holds the system's.

use anyhow::{Result, ensure};
use lifeboat_tests::stand::{Stand, connect};

const TYPES: &str = "
    CREATE TYPE mood AS ENUM ('fine', 'bad');
    CREATE DOMAIN code AS varchar(8) CHECK (VALUE <> '');
    CREATE DOMAIN \"Mood of All\" AS mood;
    CREATE TABLE parents (mood mood, code code, PRIMARY KEY (mood, code));
    CREATE TABLE moods (id int PRIMARY KEY, mood mood, code code, tags mood[], of_all \"Mood of All\",
        FOREIGN KEY (mood, code) REFERENCES parents ON DELETE CASCADE);
    INSERT INTO parents SELECT m, 'c' || n FROM unnest(enum_range(NULL::mood)) AS m, generate_series(1, 10) AS n;
    INSERT INTO moods SELECT row_number() OVER (), mood, code, ARRAY[mood, 'bad'], mood FROM parents;
";
const CONTENT: &str = "SELECT string_agg(t, ';' ORDER BY t) FROM (SELECT p::text AS t FROM parents AS p
    UNION ALL SELECT m::text FROM moods AS m) AS all_rows";

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_types_of_their_own_schema_come_back() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let application = stand.application().await?;
    application.batch_execute(TYPES).await?;
    let before = stand.value(&application, CONTENT).await?;
    application.batch_execute("DELETE FROM parents WHERE mood = 'bad'").await?;
    ensure!(stand.value(&application, CONTENT).await? != before);
    let mut run = stand.lifeboat(&["run", "workflows/dr-003-accidental-deletion.yaml", "--approve", "sign_off"]);
    run.arg("--bindings").arg(&stand.bindings).args(["--input", "damaged_table=public.parents"]);
    let output = run.arg("--input").arg(format!("not_before={}", stand.not_before)).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(stand.value(&connect(&stand.testbed.observer()).await?, CONTENT).await? == before, "not every row is back");
    stand.stop().await
}
