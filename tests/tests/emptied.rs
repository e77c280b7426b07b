//! A TRUNCATE: the WAL names no row, and every row that the copy has comes back beside what was written since.

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    finding::{find, now, outputs, put_back, says, superuser, transaction},
    stand::Stand,
};
use tokio_postgres::Client;

/// Two levels that go with the table by cascade, one of them in partitions; a table that is only beside it.
const SCHEMA: &str = "
    CREATE TABLE shops (id serial PRIMARY KEY, name text UNIQUE);
    CREATE TABLE goods (id bigint GENERATED ALWAYS AS IDENTITY, shop int NOT NULL REFERENCES shops, note text, PRIMARY KEY (id, shop))
        PARTITION BY HASH (id);
    CREATE TABLE goods_0 PARTITION OF goods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE goods_1 PARTITION OF goods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    CREATE TABLE labels (good bigint, shop int, n int, PRIMARY KEY (good, shop, n), FOREIGN KEY (good, shop) REFERENCES goods);
    CREATE TABLE beside (id int PRIMARY KEY);
    INSERT INTO shops (name) SELECT 'shop ' || n FROM generate_series(1, 40) n;
    INSERT INTO goods (shop, note) SELECT n % 40 + 1, repeat(md5(n::text), 80) FROM generate_series(1, 2000) n;
    INSERT INTO labels SELECT id, shop, 1 FROM goods;
    INSERT INTO beside SELECT generate_series(1, 9);
    SELECT nextval('shops_id_seq') FROM generate_series(1, 5)";

const ROWS: [&str; 3] = [
    "SELECT s::text FROM shops s WHERE id > 2 ORDER BY id",
    "SELECT md5(g::text) FROM goods g WHERE shop > 2 ORDER BY id",
    "SELECT l::text FROM labels l WHERE shop > 2 ORDER BY good",
];

async fn texts(client: &Client, sql: &str) -> Result<Vec<String>> {
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_comes_back_beside_what_was_written_since() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    server.batch_execute(SCHEMA).await?;
    stand.testbed.base_backup("with-shops").await?;
    let mut before = Vec::new();
    for rows in ROWS {
        before.push(texts(&server, rows).await?);
    }
    let since = now(&stand, &server).await?;
    // It makes a table of its own, and removes rows of another one by themselves.
    let mistake = "DELETE FROM beside WHERE id <= 4; TRUNCATE shops RESTART IDENTITY CASCADE; CREATE TABLE made AS SELECT 1 AS id";
    let xid = transaction(&stand, &server, mistake).await?;
    // The application goes on: the same keys again, and one of the names under a new key.
    server.batch_execute("INSERT INTO shops (name) VALUES ('new 1'), ('new 2')").await?;
    server.batch_execute("INSERT INTO goods (shop, note) VALUES (1, 'new')").await?;
    let parameters = format!("table: public.goods, since: \"{since}\"");
    let done = put_back(&stand, &parameters)?;
    let (found, merge) = match &done {
        Ok(steps) => (&steps["find"], &steps["merge"]),
        Err(said) => anyhow::bail!("{said}"),
    };
    ensure!(found["xid"] == xid.parse::<u64>()? && found["damage"] == "removed", "{found}");
    let emptied: Vec<_> = found["emptied"].as_array().into_iter().flatten().filter_map(|name| name.as_str()).collect();
    ensure!(emptied == ["public.goods_0", "public.goods_1", "public.labels", "public.shops"], "{emptied:?}");
    // Shops 1 and 2 are others now, and stay; what belongs to them comes back, for the keys are there.
    ensure!(merge["conflicts_changed"] == 2 && merge["rows_left"] == 2, "{merge}");
    ensure!(merge["rows_merged"] == 38 + 2000 + 2000 + 4, "{merge}");
    for (rows, before) in ROWS.iter().zip(before) {
        ensure!(texts(&server, rows).await? == before, "{rows}");
    }
    ensure!(
        texts(&server, "SELECT name FROM shops WHERE id <= 2 ORDER BY id").await? == ["new 1", "new 2"],
        "newer rows"
    );
    // The sequences go on where they had been, behind numbers that no row has; the WAL knows them up to 32 numbers ahead.
    for (table, first) in [("shops", 46), ("goods", 2001)] {
        let next = texts(&server, &format!("SELECT nextval(pg_get_serial_sequence('{table}', 'id'))::text")).await?;
        let next: i64 = next.first().context("a number")?.parse()?;
        ensure!((first..=first + 32).contains(&next), "{table}: {next}");
    }
    ensure!(texts(&server, "SELECT count(*)::text FROM goods").await? == ["2001"], "{merge}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_new_file_is_no_truncate() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE TABLE a (id int PRIMARY KEY, v int); INSERT INTO a SELECT n, n FROM generate_series(1, 50) n;
                  CREATE TABLE b (LIKE a INCLUDING ALL); INSERT INTO b SELECT * FROM a;
                  CREATE TABLE c (LIKE a INCLUDING ALL); INSERT INTO c SELECT * FROM a";
    server.batch_execute(schema).await?;
    let since = now(&stand, &server).await?;
    server.batch_execute("VACUUM FULL a").await?;
    server.batch_execute("ALTER TABLE b ALTER v TYPE bigint").await?;
    server.batch_execute("BEGIN; TRUNCATE c; INSERT INTO c VALUES (1, 1); COMMIT").await?;
    for table in ["a", "b", "c"] {
        let found = find(&stand, &format!("table: {table}, since: \"{since}\""))?;
        says(&found, &["pg-table-rewritten", "VACUUM FULL"])?;
    }
    // A transaction that is named and is another one is never taken for it.
    let wrong = transaction(&stand, &server, "DELETE FROM a WHERE id = 1").await?;
    server.batch_execute("TRUNCATE a").await?;
    says(&find(&stand, &format!("table: a, since: \"{since}\", xid: {wrong}"))?, &["pg-table-rewritten"])?;
    let found = outputs(find(&stand, &format!("table: a, since: \"{since}\""))?, "find")?;
    ensure!(found["emptied"][0] == "public.a", "{found}");
    stand.stop().await
}
