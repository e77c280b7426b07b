//! What a transaction did besides removing rows of ordinary tables is counted and told: references that it set to null, large
//! objects, children by inheritance.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    finding::{find, find_and, now, outputs, put_back, superuser, transaction, xid},
    stand::Stand,
};

const MADE_AGAIN: &str = r#"  - id: made_again
    uses: pg/made-again
    with:
      server: primary
      machine: recovery
      set_file: "${{ steps.find.outputs.set_file }}"
      set_digest: "${{ steps.find.outputs.set_digest }}"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_only_changed_are_told_with_their_places() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE TABLE owners (id int PRIMARY KEY);
                  CREATE TABLE pets (id int PRIMARY KEY, owner int REFERENCES owners ON DELETE SET NULL);
                  CREATE TABLE toys (id int PRIMARY KEY, owner int DEFAULT 0 REFERENCES owners ON DELETE SET DEFAULT);
                  INSERT INTO owners SELECT generate_series(0, 50);
                  INSERT INTO pets SELECT n, n % 50 + 1 FROM generate_series(1, 200) n;
                  INSERT INTO toys SELECT n, n % 50 + 1 FROM generate_series(1, 30) n";
    server.batch_execute(schema).await?;
    let places = "SELECT string_agg(ctid::text, ' ' ORDER BY ctid) FROM toys WHERE owner > 0";
    let before = stand.value(&server, places).await?;
    let since = now(&stand, &server).await?;
    transaction(
        &stand,
        &server,
        "DELETE FROM owners WHERE id > 0; UPDATE toys SET owner = owner WHERE id = 1; DELETE FROM toys WHERE id = 30",
    )
    .await?;
    let found = outputs(find(&stand, &format!("table: public.owners, since: \"{since}\""))?, "find")?;
    ensure!(found["changed"] == 229 && found["rows_total"] == 51, "{found}");
    let text = found["changes_text"].as_str().unwrap_or_default();
    ensure!(text.contains("200 of public.pets, 29 of public.toys"), "{text}");
    let set = fs::read_to_string(found["set_file"].as_str().context("a path")?)?;
    ensure!(set.starts_with("lifeboat-exact-set 2\n"), "{set}");
    // The places are those of the copy: where the rows lay before.
    let toys = set.split("changed {\"schema\":\"public\",\"name\":\"toys\"}\n").nth(1).context("the changed toys")?;
    ensure!(toys.lines().next() == Some("0:1-29") && before.starts_with("(0,1) (0,2)"), "{toys}{before}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn large_objects_that_went_with_the_rows_are_counted() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE EXTENSION lo;
                  CREATE TABLE documents (id int PRIMARY KEY, content lo);
                  CREATE TRIGGER unlink BEFORE UPDATE OR DELETE ON documents FOR EACH ROW EXECUTE FUNCTION lo_manage(content);
                  INSERT INTO documents SELECT n, lo_from_bytea(0, 'text ' || n::text::bytea) FROM generate_series(1, 20) n";
    server.batch_execute(&schema.replace("'text ' || n::text::bytea", "convert_to('text ' || n, 'UTF8')")).await?;
    let since = now(&stand, &server).await?;
    let change = "SELECT lo_put(content::oid, 0, 'new') FROM documents WHERE id = 20";
    let removed = transaction(&stand, &server, &format!("DELETE FROM documents WHERE id <= 10; {change}")).await?;
    let changed = transaction(&stand, &server, &format!("{change}; DELETE FROM documents WHERE id = 0")).await?;
    server.batch_execute("DROP TRIGGER unlink ON documents").await?;
    let only_row = transaction(&stand, &server, &format!("DELETE FROM documents WHERE id = 11; {change}")).await?;
    let table = format!("table: public.documents, since: \"{since}\"");
    let found = outputs(find(&stand, &table)?, "find")?;
    ensure!(xid(&found["xid"]) == removed, "{found}");
    ensure!(found["objects"] == 10 && found["objects_changed"] == 1 && found["rows_total"] == 10, "{found}");
    let text = found["changes_text"].as_str().unwrap_or_default();
    ensure!(text.contains("10 large objects were removed"), "{text}");
    let set = fs::read_to_string(found["set_file"].as_str().context("a path")?)?;
    ensure!(set.contains("\nobjects\n0:1-10\n"), "{set}");
    let found = outputs(find(&stand, &format!("{table}, xid: {only_row}"))?, "find")?;
    ensure!(found["objects"] == 0 && found["objects_changed"] == 1, "{found}; {changed}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_children_by_inheritance_belong_to_the_table() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE TABLE animals (id int PRIMARY KEY, name text);
                  CREATE TABLE dogs (breed text, PRIMARY KEY (id)) INHERITS (animals);
                  CREATE TABLE puppies (PRIMARY KEY (id)) INHERITS (dogs);
                  INSERT INTO animals SELECT n, 'animal' FROM generate_series(1, 50) n;
                  INSERT INTO dogs SELECT n, 'dog', 'breed' FROM generate_series(51, 100) n;
                  INSERT INTO puppies SELECT n, 'puppy', 'breed' FROM generate_series(101, 120) n";
    server.batch_execute(schema).await?;
    let since = now(&stand, &server).await?;
    server.batch_execute("DELETE FROM animals WHERE id > 90").await?;
    let merged = put_back(&stand, &format!("table: public.animals, since: \"{since}\""))?;
    let found = merged.clone().map_err(anyhow::Error::msg)?["find"].clone();
    ensure!(
        found["rows"] == 30 && found["candidates"][0]["tables"].as_array().is_some_and(|it| it.len() == 2),
        "{found}"
    );
    ensure!(outputs(merged, "merge")?["rows_merged"] == 30, "{found}");
    let back = stand.value(&server, "SELECT string_agg(n::text, ' ') FROM (SELECT count(*) n FROM animals GROUP BY tableoid ORDER BY tableoid) c").await?;
    ensure!(back == "50 50 20", "{back}");
    stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_made_and_removed_again_since_are_counted() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let server = superuser(&stand).await?;
    let schema = "CREATE TABLE keys (id int PRIMARY KEY, note text); INSERT INTO keys SELECT n, 'old' FROM generate_series(1, 100) n";
    server.batch_execute(schema).await?;
    let since = now(&stand, &server).await?;
    server.batch_execute("DELETE FROM keys WHERE id <= 50").await?;
    // Of these only two are made since and removed on purpose.
    server.batch_execute("DELETE FROM keys WHERE id = 60").await?;
    server.batch_execute("INSERT INTO keys VALUES (1, 'new'), (2, 'new'), (3, 'new')").await?;
    server.batch_execute("DELETE FROM keys WHERE id = 1").await?;
    server.batch_execute("UPDATE keys SET note = 'newer' WHERE id = 2").await?;
    server.batch_execute("DELETE FROM keys WHERE id = 2").await?;
    server.batch_execute("BEGIN; DELETE FROM keys WHERE id = 3; ROLLBACK").await?;
    let found = find_and(&stand, &format!("table: public.keys, since: \"{since}\""), MADE_AGAIN)?;
    let counted = outputs(found, "made_again")?;
    ensure!(counted["rows"] == 2 && counted["tables"][0]["table"] == "public.keys", "{counted}");
    ensure!(counted["text"].as_str().is_some_and(|text| text.contains("2 of public.keys")), "{counted}");
    stand.stop().await
}
