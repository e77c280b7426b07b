//! Where more than one transaction removed rows, which one is meant is never chosen in silence, and several are put back together.

use anyhow::{Result, ensure};
use lifeboat_tests::{
    finding::{find, now, outputs, put_back, says, superuser, transaction, xid},
    stand::Stand,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_other_transaction_that_removed_rows_is_told() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    server
        .batch_execute("CREATE TABLE visits (id int PRIMARY KEY); INSERT INTO visits SELECT generate_series(1, 1200)")
        .await?;
    let since = now(&stand, &server).await?;
    let mistake = transaction(&stand, &server, "DELETE FROM visits WHERE id > 1100").await?;
    let large = transaction(&stand, &server, "DELETE FROM visits WHERE id <= 1000").await?;
    let found = outputs(find(&stand, &format!("table: public.visits, since: \"{since}\""))?, "find")?;
    ensure!(xid(&found["xid"]) == large && found["others"] == 1, "{found}");
    let candidates = found["candidates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let seen: Vec<_> =
        candidates.iter().map(|it| (it["xid"].to_string(), it["rows"].as_u64(), it["chosen"].as_bool())).collect();
    let expected = [(large.clone(), Some(1000), Some(true)), (mistake.clone(), Some(100), Some(false))];
    ensure!(seen == expected && candidates[0]["tables"][0] == "public.visits", "{candidates:?}");
    let text = found["candidates_text"].as_str().unwrap_or_default();
    ensure!(text.contains(&format!("NOT chosen: {mistake} at ")) && text.contains("(100 rows)"), "{text}");
    let chosen = outputs(find(&stand, &format!("table: public.visits, since: \"{since}\", xid: {mistake}"))?, "find")?;
    ensure!(xid(&chosen["xids"][0]) == mistake && chosen["rows"] == 100, "{chosen}");
    // `until` leaves out what came later; a moment before `since` is no range.
    let until = found["commit_time"].as_str().unwrap_or_default();
    let after = now(&stand, &server).await?;
    let nobody = find(&stand, &format!("table: public.visits, since: \"{after}\", until: \"{until}\""))?;
    says(&nobody, &["pg-until-before-since"])?;
    let both = find(&stand, &format!("table: public.visits, since: \"{since}\", xid: {mistake}, all: true"))?;
    says(&both, &["pg-which-transactions"])?;
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_in_batches_comes_back_in_one_merge_whatever_others_did_meanwhile() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let (server, other) = (superuser(&stand).await?, superuser(&stand).await?);
    let schema = "CREATE TABLE batches (id int PRIMARY KEY, note text);
                  CREATE TABLE parts (id int PRIMARY KEY, batch int REFERENCES batches ON DELETE CASCADE);
                  INSERT INTO batches SELECT n, 'old' FROM generate_series(1, 1000) n;
                  INSERT INTO parts SELECT n, n FROM generate_series(1, 1000) n";
    server.batch_execute(schema).await?;
    let since = now(&stand, &server).await?;
    // Begun before all batches, ended between them: its rows are not in the copy although it wrote them first.
    other
        .batch_execute(
            "BEGIN; INSERT INTO batches VALUES (2001, 'began early'); UPDATE batches SET note = 'new' WHERE id = 150",
        )
        .await?;
    let mut xids = Vec::new();
    for batch in 0..6 {
        let sql = format!(
            "DELETE FROM batches WHERE id BETWEEN {} AND {} OR id IN (2000, 2001)",
            batch * 100 + 1,
            batch * 100 + 100
        );
        xids.push(transaction(&stand, &server, &sql).await?);
        if batch == 0 {
            other.batch_execute("COMMIT").await?;
            // Moved by others, some within their page: still found where the copy has them. A place that is free again is used.
            let meanwhile = [
                "UPDATE batches SET note = 'new' WHERE id BETWEEN 201 AND 220",
                "VACUUM batches",
                "INSERT INTO batches VALUES (2000, 'made meanwhile')",
                "DELETE FROM batches WHERE id = 599",
            ];
            for statement in meanwhile {
                other.batch_execute(statement).await?;
            }
        }
    }
    let table = format!("table: public.batches, since: \"{since}\"");
    says(&find(&stand, &table)?, &["pg-damage-ambiguous", "--input xid=", "--input 'xids=[", "--input all=true"])?;
    let list = xids.join(", ");
    let merged = put_back(&stand, &format!("{table}, xids: [{list}]"))?;
    let found = merged.clone().map_err(anyhow::Error::msg)?["find"].clone();
    ensure!(xid(&found["xid"]) == xids[0] && found["rows"] == 599 && found["rows_total"] == 1198, "{found}");
    ensure!(found["unplaced"] == 2 && found["outdated"] == 21, "{found}");
    let text = found["changes_text"].as_str().unwrap_or_default();
    ensure!(text.contains("no copy has them: 2 of public.batches"), "{text}");
    let merge = outputs(merged, "merge")?;
    ensure!(merge["rows_merged"] == 1198 && merge["rows_not_found"] == 0, "{merge}");
    // 599 was removed by somebody else, 2000 and 2001 are in no copy.
    let back = stand
        .value(&server, "SELECT count(*) || ' ' || (SELECT count(*) FROM parts) || ' ' || sum(id) FROM batches")
        .await?;
    ensure!(back == format!("999 999 {}", 1000 * 1001 / 2 - 599), "{back}");
    let old = stand.value(&server, "SELECT count(*)::text FROM batches WHERE note = 'old'").await?;
    ensure!(old == "999", "{old} rows are as they were before the first batch");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_between_two_moments_are_put_back_together() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE TABLE readings (id int, year int, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
                  CREATE TABLE readings_1 PARTITION OF readings FOR VALUES IN (1);
                  CREATE TABLE readings_2 PARTITION OF readings FOR VALUES IN (2);
                  INSERT INTO readings SELECT n, 1 + n % 2 FROM generate_series(1, 100) n";
    server.batch_execute(schema).await?;
    let since = now(&stand, &server).await?;
    server.batch_execute("DELETE FROM readings WHERE id <= 10").await?;
    server.batch_execute("UPDATE readings SET year = 2 WHERE id BETWEEN 21 AND 30").await?;
    server.batch_execute("DELETE FROM readings WHERE id BETWEEN 11 AND 30").await?;
    let until = now(&stand, &server).await?;
    server.batch_execute("DELETE FROM readings WHERE id > 90").await?;
    let parameters = format!("table: public.readings, since: \"{since}\", until: \"{until}\", all: true");
    let merged = put_back(&stand, &parameters)?;
    let found = merged.clone().map_err(anyhow::Error::msg)?["find"].clone();
    ensure!(found["xids"].as_array().is_some_and(|xids| xids.len() == 2) && found["rows"] == 30, "{found}");
    ensure!(outputs(merged, "merge")?["rows_merged"] == 30, "{found}");
    let back = stand
        .value(&server, "SELECT count(*) || ' ' || count(*) FILTER (WHERE year = 1 + id % 2) FROM readings")
        .await?;
    ensure!(back == "90 90", "{back}");
    stand.stop().await
}
