//! A wrong UPDATE: in each row those columns come back that still have what it wrote. What the application wrote or removed since stays.

use anyhow::{Result, ensure};
use lifeboat_tests::{
    finding::{change_back, find, now, outputs, says, superuser, transaction, xid},
    stand::Stand,
};
use tokio_postgres::Client;

async fn texts(client: &Client, sql: &str) -> Result<Vec<String>> {
    Ok(client.query(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// `a` is indexed, so that the server cannot keep a change of it in the page; `big` lies outside of the row, and is not touched.
const SCHEMA: &str = "
    CREATE TABLE prices (id int PRIMARY KEY, a int, b text, twice int GENERATED ALWAYS AS (a * 2) STORED, big text, seen int DEFAULT 0);
    CREATE INDEX ON prices (a);
    ALTER TABLE prices ALTER big SET STORAGE EXTERNAL;
    INSERT INTO prices (id, a, b, big) SELECT n, n, 'b' || n, repeat(md5(n::text), 100) FROM generate_series(1, 300) n;
    CREATE TABLE owners (id int PRIMARY KEY);
    CREATE TABLE pets (id int PRIMARY KEY, owner int REFERENCES owners, chip text UNIQUE, doc json);
    INSERT INTO owners SELECT generate_series(1, 9);
    INSERT INTO pets SELECT n, n, 'chip ' || n, '{\"a\": 1.0}' FROM generate_series(1, 9) n;
    CREATE TABLE parts (id int, kind text, note text, PRIMARY KEY (id, kind)) PARTITION BY LIST (kind);
    CREATE TABLE parts_x PARTITION OF parts FOR VALUES IN ('x');
    CREATE TABLE parts_y PARTITION OF parts FOR VALUES IN ('y');
    INSERT INTO parts SELECT n, CASE WHEN n % 2 = 0 THEN 'x' ELSE 'y' END, 'old' FROM generate_series(1, 10) n";

const ALL: [&str; 3] = [
    "SELECT md5(p::text) || p.id FROM prices p ORDER BY id",
    "SELECT p::text FROM pets p ORDER BY id",
    "SELECT p::text FROM parts p ORDER BY id",
];

#[tokio::test(flavor = "multi_thread")]
async fn exactly_what_the_mistake_wrote_comes_back() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    server.batch_execute(SCHEMA).await?;
    stand.testbed.base_backup("with-prices").await?;
    let since = now(&stand, &server).await?;
    // Some rows twice, some of them rolled back, some in other tables; a row that it moves to another partition.
    let mistake = "UPDATE prices SET a = 0 WHERE id <= 200; UPDATE prices SET b = 'wrong' WHERE id <= 50;
                   SAVEPOINT s; UPDATE prices SET b = 'never' WHERE id > 250; ROLLBACK TO s;
                   UPDATE prices SET a = -1 WHERE id BETWEEN 10 AND 20; UPDATE prices SET seen = seen WHERE id = 299;
                   UPDATE pets SET owner = 1, chip = 'none ' || id, doc = '{\"a\": 1.00}';
                   UPDATE parts SET note = 'wrong' WHERE id <= 8; UPDATE parts SET kind = 'x' WHERE id = 9";
    transaction(&stand, &server, mistake).await?;
    // On the server itself nothing has the older versions any more.
    server.batch_execute("VACUUM prices").await?;
    // The application goes on: it writes a column that was changed, all of them, one that was not; removes rows and makes one again.
    for statement in [
        "UPDATE prices SET b = 'mine' WHERE id = 1",
        "UPDATE prices SET a = 777, b = 'mine' WHERE id = 2",
        "UPDATE prices SET seen = 5 WHERE id = 3",
        "DELETE FROM prices WHERE id IN (4, 5)",
        "INSERT INTO prices VALUES (5, 55, 'again', DEFAULT, 'big'), (1000, 1, 'new', DEFAULT, 'big')",
        // An older value that cannot come back: another row has it, or its parent is gone.
        "INSERT INTO pets VALUES (50, 1, 'chip 7', NULL)",
        "DELETE FROM owners WHERE id = 8",
    ] {
        server.batch_execute(statement).await?;
    }
    let found = change_back(
        &stand,
        &format!("table: public.prices, since: \"{since}\", damage: changed"),
        "refuse",
        "restore_after",
    )?;
    let (of_find, merge, verify) = match &found {
        Ok(steps) => (&steps["find"], &steps["merge"], &steps["verify"]),
        Err(said) => anyhow::bail!("{said}"),
    };
    ensure!(of_find["damage"] == "changed" && of_find["rows"] == 0 && of_find["values"] == 201 + 9 + 8, "{of_find}");
    for (what, count) in
        [("values_back", 212), ("values_newer", 3), ("values_gone", 1), ("changed_left", 3), ("rows_merged", 0)]
    {
        ensure!(merge[what] == count, "{what}: {merge}");
    }
    ensure!(verify["values_wrong"] == 2 && verify["values"] == 218, "{verify}");
    let left = merge["left_text"].as_str().unwrap_or_default();
    for said in [
        "1 changed rows are in another partition",
        "b was b2, became wrong, is mine",
        "pets_chip_key",
        "pets_owner_fkey",
    ] {
        ensure!(left.contains(said), "{said}: {left}");
    }
    check_rows(&server).await?;
    stand.stop().await
}

/// Every row of all tables after it.
async fn check_rows(server: &Client) -> Result<()> {
    let expected = "UPDATE prices SET a = id, b = 'b' || id WHERE id NOT IN (1, 2, 5, 1000); UPDATE prices SET a = 1 WHERE id = 1;";
    let rows = texts(server, ALL[0]).await?;
    server.batch_execute(&format!("BEGIN; {expected}")).await?;
    ensure!(rows == texts(server, ALL[0]).await?, "prices");
    server.batch_execute("ROLLBACK").await?;
    let odd =
        "SELECT concat_ws(' ', id, a, b, twice, seen) FROM prices WHERE id IN (1, 2, 3, 4, 5, 299, 1000) ORDER BY id";
    let odd = texts(server, odd).await?;
    ensure!(
        odd == [
            "1 1 mine 2 0",
            "2 777 mine 1554 0",
            "3 3 b3 6 5",
            "5 55 again 110 0",
            "299 299 b299 598 0",
            "1000 1 new 2 0"
        ],
        "{odd:?}"
    );
    let pets = texts(server, "SELECT p::text FROM pets p WHERE id IN (6, 7, 8) ORDER BY id").await?;
    ensure!(
        pets == [
            "(6,6,\"chip 6\",\"{\"\"a\"\": 1.0}\")",
            "(7,1,\"none 7\",\"{\"\"a\"\": 1.00}\")",
            "(8,1,\"none 8\",\"{\"\"a\"\": 1.00}\")"
        ],
        "{pets:?}"
    );
    let parts = texts(server, "SELECT concat_ws(' ', id, kind, note) FROM parts WHERE note <> 'old' OR id = 9").await?;
    ensure!(parts == ["9 x old"], "{parts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_were_shifted_come_back_with_what_references_them() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema =
        "CREATE TABLE nodes (id int PRIMARY KEY, v text, up int REFERENCES nodes ON UPDATE CASCADE DEFERRABLE);
                  CREATE TABLE leaves (id int PRIMARY KEY, node int REFERENCES nodes ON UPDATE CASCADE);
                  INSERT INTO nodes SELECT n, 'v' || n, nullif(n / 2, 0) FROM generate_series(1, 40) n;
                  INSERT INTO leaves SELECT n, n FROM generate_series(1, 40) n";
    server.batch_execute(schema).await?;
    stand.testbed.base_backup("with-nodes").await?;
    let rows = "SELECT n::text FROM nodes n UNION ALL SELECT l::text FROM leaves l ORDER BY 1";
    let (before, since) = (texts(&server, rows).await?, now(&stand, &server).await?);
    let shifted = transaction(&stand, &server, "UPDATE nodes SET id = id + 100").await?;
    server.batch_execute("INSERT INTO nodes VALUES (500, 'new', 140); INSERT INTO leaves VALUES (500, 120)").await?;
    let parameters = format!("table: nodes, since: \"{since}\", xid: {shifted}, damage: changed");
    let skipped = change_back(&stand, &parameters, "skip", "restore_after")?;
    says(&skipped, &["pg-referenced-key", "other tables reference", "triggers=fire"])?;
    let merge = outputs(change_back(&stand, &parameters, "refuse", "restore_after")?, "merge")?;
    ensure!(merge["changed_left"] == 0 && merge["complete"] == true, "{merge}");
    let mut expected = before;
    // What came since points at the same rows under their old keys.
    expected.extend(["(500,new,40)".to_owned(), "(500,20)".to_owned()]);
    expected.sort_unstable();
    let mut now = texts(&server, rows).await?;
    now.sort_unstable();
    ensure!(now == expected, "{now:?}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_and_copies_of_another_moment_are_refused() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE TABLE owners (id int PRIMARY KEY);
                  INSERT INTO owners VALUES (1), (9);
                  CREATE TABLE stamped (id int PRIMARY KEY, v int, owner int REFERENCES owners, at timestamptz DEFAULT '2020-01-01');
                  CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.at := clock_timestamp(); RETURN NEW; END';
                  CREATE TRIGGER stamp BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION stamp();
                  INSERT INTO stamped SELECT n, n, CASE WHEN n = 28 THEN 9 ELSE 1 END FROM generate_series(1, 30) n";
    server.batch_execute(schema).await?;
    stand.testbed.base_backup("with-stamps").await?;
    let (rows, since) = ("SELECT s::text FROM stamped s ORDER BY id", now(&stand, &server).await?);
    let before = texts(&server, rows).await?;
    let wrong = transaction(&stand, &server, "UPDATE stamped SET v = 7, owner = 1").await?;
    let changed = texts(&server, rows).await?;
    // Small changes by others stand beside it; a deletion is what is looked for first.
    server.batch_execute("UPDATE stamped SET v = 8 WHERE id = 30; DELETE FROM stamped WHERE id = 29; DELETE FROM owners WHERE id = 9").await?;
    let parameters = format!("table: stamped, since: \"{since}\", damage: changed");
    let removed = find(&stand, &format!("table: stamped, since: \"{since}\", damage: any"))?;
    ensure!(outputs(removed, "find")?["rows"] == 1, "a deletion comes first");
    let both = find(&stand, &format!("table: stamped, since: \"{since}\", damage: changed, all: true"))?;
    says(&both, &["pg-which-transactions", "begin with the last one"])?;
    says(
        &change_back(&stand, &parameters, "refuse", "restore_after")?,
        &["pg-triggers", "triggers on UPDATE (stamp)"],
    )?;
    says(&change_back(&stand, &parameters, "skip", "restore")?, &["pg-copy-elsewhere", "the values that it wrote"])?;
    ensure!(texts(&server, rows).await?[..28] == changed[..28], "nothing was changed");
    let done = change_back(&stand, &parameters, "skip", "restore_after")?;
    let merge = outputs(done, "merge")?;
    ensure!(merge["values_back"] == 27 && merge["values_newer"] == 1 && merge["values_gone"] == 1, "{merge}");
    // Without triggers the server itself would have let the reference point at nothing.
    ensure!(merge["changed_left"] == 1, "{merge}");
    let after = texts(&server, rows).await?;
    ensure!(after[..27] == before[..27] && after[27] == changed[27] && after[28].starts_with("(30,8,"), "{after:?}");
    ensure!(xid(&merge["rows_left"]) == "0" && wrong.parse::<u64>().is_ok(), "{merge}");
    stand.stop().await
}
