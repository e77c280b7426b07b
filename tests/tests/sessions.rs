//! What a role, a database or the server's file says of sessions changes nothing of a recovery: how values are written and read, how
//! long a statement may take, how transactions are isolated, what a COMMIT waits for.

use anyhow::{Result, ensure};
use lifeboat_tests::{
    finding::{compare, find, now, outputs, put_back, superuser},
    stand::Stand,
};

/// A key of types whose texts depend on settings, and a value that loses digits in them.
const SCHEMA: &str = "
    CREATE TABLE readings (
        at timestamptz, day date, part float8, span interval, price money, note bytea, tags text[], exact float8,
        PRIMARY KEY (at, day, part, span, price));
    INSERT INTO readings
    SELECT '2026-01-01 00:00:00.123456+00'::timestamptz + n * interval '1 hour', date '2026-01-01' + n, n / 3.0,
           make_interval(months => n % 5, days => -n, secs => n + 0.5), (n * 1000.5)::numeric::money, decode(md5(n::text), 'hex'),
           ARRAY[n::text, NULL, 'NULL'], CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN n / 7.0 ELSE 1e-300 / n END
      FROM generate_series(1, 3000) n;";

/// What other people's logins are made to say.
const BEFORE: &str = "
    ALTER ROLE lifeboat SET statement_timeout = '20ms';
    ALTER ROLE lifeboat SET lock_timeout = '1ms';
    ALTER ROLE lifeboat SET idle_in_transaction_session_timeout = '20ms';
    ALTER ROLE lifeboat SET idle_session_timeout = '20ms';
    ALTER ROLE lifeboat SET datestyle = 'SQL, DMY';
    ALTER ROLE lifeboat SET extra_float_digits = -5;
    ALTER ROLE lifeboat SET array_nulls = off;
    ALTER ROLE lifeboat SET synchronous_commit = off;
    ALTER DATABASE app SET default_transaction_isolation = 'serializable';
    ALTER DATABASE app SET default_transaction_deferrable = on;";
/// The copy has those from before the damage, the primary those of today.
const SINCE: &str = "
    ALTER ROLE lifeboat SET datestyle = 'SQL, MDY';
    ALTER ROLE lifeboat SET intervalstyle = 'sql_standard';
    ALTER ROLE lifeboat SET session_replication_role = 'replica';
    ALTER ROLE lifeboat SET transform_null_equals = on;
    ALTER TABLE readings ADD said text DEFAULT concat_ws(' ', current_setting('synchronous_commit'),
        current_setting('session_replication_role'), current_setting('transaction_isolation'), current_setting('statement_timeout'));";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_login_is_made_to_say_changes_no_row() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let server = superuser(&stand).await?;
    server.batch_execute(SCHEMA).await?;
    server.batch_execute("CREATE TABLE untouched AS TABLE readings").await?;
    server
        .batch_execute(&BEFORE.replace("app", &stand.value(&server, "SELECT current_database()::text").await?))
        .await?;
    if stand.value(&server, "SELECT (current_setting('server_version_num')::int >= 170000)::text").await? == "true" {
        server.batch_execute("ALTER ROLE lifeboat SET transaction_timeout = '20ms'").await?;
    }
    stand.testbed.base_backup("with-settings").await?;
    let since = now(&stand, &server).await?;
    server.batch_execute("DELETE FROM readings WHERE day > '2027-01-01'").await?;
    server.batch_execute(SINCE).await?;
    let parameters = format!("table: public.readings, since: \"{since}\"");
    let back = put_back(&stand, &parameters)?.map_err(anyhow::Error::msg)?;
    ensure!(
        back["merge"]["rows_merged"] == back["find"]["rows"] && back["find"]["rows"].as_u64() > Some(2_000),
        "{back}"
    );
    // A column that was added since gets its default in the session that puts the row back.
    let said = "SELECT string_agg(DISTINCT said, '; ') FROM readings WHERE day > '2027-01-01'";
    let said = stand.value(&server, said).await?;
    ensure!(said == "on origin read committed 0", "{said}");
    server.batch_execute("ALTER TABLE readings DROP said").await?;
    let differ = stand
        .value(
            &server,
            "SELECT count(*)::text FROM ((SELECT readings::text FROM readings EXCEPT ALL SELECT untouched::text FROM untouched)
               UNION ALL (SELECT untouched::text FROM untouched EXCEPT ALL SELECT readings::text FROM readings)) AS d",
        )
        .await?;
    ensure!(differ == "0", "{differ} rows differ");
    let compared = outputs(compare(&stand, &parameters)?, "compare")?;
    ensure!(compared["rows_back"] == compared["rows_removed"] && compared["rows_missing"] == 0, "{compared}");
    stand.stop().await
}

/// A right that is missing is named with what to do, also by an action that has no words of its own for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_is_explained() -> Result<()> {
    let stand = Stand::loaded(10).await?;
    let server = superuser(&stand).await?;
    let since = now(&stand, &server).await?;
    server.batch_execute("ALTER ROLE lifeboat NOSUPERUSER").await?;
    let said = find(&stand, &format!("table: public.customers, since: \"{since}\""))?;
    let said = said.err().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "pg-privileges",
        "lacks a right for having the WAL archived",
        "function pg_switch_wal",
        "grant what is missing",
    ] {
        ensure!(said.contains(text), "no `{text}`: {said}");
    }
    stand.stop().await
}
