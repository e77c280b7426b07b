//! What `pg/find-damage` says that a transaction removed is what the tables of a real server lost, whatever else the
//! transaction did, and whatever others did meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect, files_below};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use serde_json::Value;
use tokio_postgres::Client;

const CASES: u32 = 12;

/// Only finds.
const RUNBOOK: &str = r#"lifeboat: 1
id: FIND-001
name: Find what a transaction removed
inputs:
  table: { type: string, description: "The table" }
  since: { type: timestamp, description: "Earliest moment of the commit" }
  xid: { type: int, description: "The transaction" }
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the archive lies" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
  - id: find
    uses: pg/find-damage
    with:
      server: primary
      machine: recovery
      table: "${{ inputs.table }}"
      since: "${{ inputs.since }}"
      xid: "${{ inputs.xid }}"
"#;

/// A table, and one in two partitions with long values; parts go with their thing.
const TABLES: &str = "
    CREATE SCHEMA NAME;
    SET search_path = NAME;
    CREATE TABLE things (id bigint PRIMARY KEY, kind int NOT NULL, note text);
    CREATE INDEX ON things (kind);
    CREATE TABLE parts (id bigint PRIMARY KEY, thing bigint REFERENCES things ON DELETE CASCADE);
    CREATE TABLE moved (id bigint, half int, note text, PRIMARY KEY (id, half)) PARTITION BY LIST (half);
    CREATE TABLE moved_1 PARTITION OF moved FOR VALUES IN (1);
    CREATE TABLE moved_2 PARTITION OF moved FOR VALUES IN (2);
    ALTER TABLE moved_1 ALTER note SET STORAGE EXTERNAL;
    ALTER TABLE moved_2 ALTER note SET STORAGE EXTERNAL;
    INSERT INTO things SELECT n, n % 5, 'thing ' || n FROM generate_series(1, 300) n;
    INSERT INTO parts SELECT n, n % 300 + 1 FROM generate_series(1, 600) n;
    INSERT INTO moved SELECT n, n % 2 + 1, repeat('x', CASE WHEN n % 7 = 0 THEN 5000 ELSE 10 END) FROM generate_series(1, 200) n;
";

/// Rows up to here are the transaction's to change; of those behind, others have theirs.
const OURS: i64 = 150;
/// Rows that the transaction inserts begin here.
const NEW: i64 = 10_000;

#[derive(Debug, Clone, Copy)]
enum Table {
    Things,
    Moved,
}

/// What the transaction does next. Rows are chosen by their position among those that it may change.
#[derive(Debug, Clone)]
enum Step {
    Delete(Table, u8, u8),
    Update(Table, u8, u8),
    UpdateIndexed(u8, u8),
    MoveToOtherHalf(u8, u8),
    Insert(Table, u8),
    Upsert(u8),
    Copy(u8),
    Nested(Vec<Step>, bool),
    Elsewhere(Other),
}

/// What others do meanwhile, each time in a transaction of its own.
#[derive(Debug, Clone)]
enum Other {
    Vacuum,
    Checkpoint,
    SwitchWal,
    LockAndLetGo,
    Change(u8),
    Delete(u8),
}

fn others() -> impl Strategy<Value = Other> {
    prop_oneof![
        Just(Other::Vacuum),
        Just(Other::Checkpoint),
        Just(Other::SwitchWal),
        Just(Other::LockAndLetGo),
        (0_u8..60).prop_map(Other::Change),
        (0_u8..60).prop_map(Other::Delete),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let table = || prop_oneof![Just(Table::Things), Just(Table::Moved)];
    let step = prop_oneof![
        3 => (table(), any::<u8>(), 1_u8..40).prop_map(|(table, from, count)| Step::Delete(table, from, count)),
        2 => (table(), any::<u8>(), 1_u8..40).prop_map(|(table, from, count)| Step::Update(table, from, count)),
        1 => (any::<u8>(), 1_u8..40).prop_map(|(from, count)| Step::UpdateIndexed(from, count)),
        3 => (any::<u8>(), 1_u8..40).prop_map(|(from, count)| Step::MoveToOtherHalf(from, count)),
        2 => (table(), 1_u8..40).prop_map(|(table, count)| Step::Insert(table, count)),
        1 => any::<u8>().prop_map(Step::Upsert),
        1 => (1_u8..60).prop_map(Step::Copy),
        3 => others().prop_map(Step::Elsewhere),
    ];
    let nested = (prop::collection::vec(step.clone(), 1..5), any::<bool>());
    let step = prop_oneof![6 => step, 1 => nested.prop_map(|(steps, keep)| Step::Nested(steps, keep))];
    prop::collection::vec(step, 1..14)
}

/// Runs a random transaction beside other sessions.
struct Sessions {
    ours: Client,
    others: Client,
    schema: String,
    next: i64,
    copied: bool,
}

impl Sessions {
    async fn execute(&mut self, steps: &[Step]) -> Result<()> {
        for step in steps {
            match step {
                Step::Nested(steps, keep) => {
                    self.ours.batch_execute("SAVEPOINT nested").await?;
                    for step in steps {
                        self.one(step).await?;
                    }
                    let end = if *keep { "RELEASE nested" } else { "ROLLBACK TO nested" };
                    self.ours.batch_execute(end).await?;
                }
                step => self.one(step).await?,
            }
        }
        Ok(())
    }

    async fn one(&mut self, step: &Step) -> Result<()> {
        let chosen = |table: Table, from: u8, count: u8| {
            let name = name(table);
            let mine = format!("id <= {OURS} OR id >= {NEW}");
            format!("id IN (SELECT id FROM {name} WHERE {mine} ORDER BY id OFFSET {from} LIMIT {count})")
        };
        let first = self.next;
        let sql = match step {
            Step::Delete(table, from, count) => {
                format!("DELETE FROM {} WHERE {}", name(*table), chosen(*table, *from, *count))
            }
            Step::Update(table, from, count) => {
                let rows = chosen(*table, *from, *count);
                format!("UPDATE {} SET note = left(note, 50) || '.' WHERE {rows}", name(*table))
            }
            Step::UpdateIndexed(from, count) => {
                format!("UPDATE things SET kind = kind + 1 WHERE {}", chosen(Table::Things, *from, *count))
            }
            Step::MoveToOtherHalf(from, count) => {
                format!("UPDATE moved SET half = 3 - half WHERE {}", chosen(Table::Moved, *from, *count))
            }
            Step::Insert(table, count) => {
                self.next += i64::from(*count);
                let series = format!("generate_series({first}, {}) n", self.next - 1);
                format!("INSERT INTO {} SELECT n, n % 2 + 1, 'new' FROM {series}", name(*table))
            }
            Step::Upsert(from) => format!(
                "INSERT INTO things SELECT id, 9, 'upserted' FROM things WHERE {} ON CONFLICT (id) DO UPDATE SET note = excluded.note",
                chosen(Table::Things, *from, 3)
            ),
            Step::Copy(count) => {
                self.next += i64::from(*count);
                self.copied = true;
                format!("COPY things (id, kind) FROM PROGRAM 'seq -f \"%.0f\t1\" {first} {}'", self.next - 1)
            }
            Step::Elsewhere(other) => return self.elsewhere(other).await,
            Step::Nested(..) => anyhow::bail!("savepoints are not nested twice"),
        };
        self.ours.batch_execute(&sql).await.with_context(|| sql)
    }

    async fn elsewhere(&self, other: &Other) -> Result<()> {
        let sql = match other {
            Other::Vacuum => "VACUUM things; VACUUM moved".to_owned(),
            Other::Checkpoint => "CHECKPOINT".to_owned(),
            Other::SwitchWal => "SELECT pg_switch_wal()".to_owned(),
            Other::LockAndLetGo => format!("SELECT FROM things WHERE id <= {OURS} FOR SHARE SKIP LOCKED"),
            Other::Change(id) => format!("UPDATE things SET note = 'theirs' WHERE id = {}", OURS + 1 + i64::from(*id)),
            Other::Delete(id) => format!("DELETE FROM moved WHERE id = {}", OURS + 1 + i64::from(*id) % 40),
        };
        for statement in sql.split("; ") {
            self.others.batch_execute(statement).await.with_context(|| statement.to_owned())?;
        }
        Ok(())
    }

    /// Where each row lies, by its name: `things 7` in `things (0,7)`.
    async fn places(&self) -> Result<BTreeMap<String, String>> {
        let part = |table: &str| {
            format!("SELECT '{table} ' || id, t.tableoid::regclass::text || ' ' || ctid::text FROM {table} t")
        };
        let sql = ["things", "parts", "moved"].map(part).join(" UNION ALL ");
        let rows = self.ours.query(&sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn text(&self, sql: &str) -> Result<String> {
        Ok(self.ours.query_one(sql, &[]).await.with_context(|| sql.to_owned())?.get(0))
    }
}

fn name(table: Table) -> &'static str {
    match table {
        Table::Things => "things",
        Table::Moved => "moved",
    }
}

async fn superuser(stand: &Stand) -> Result<Client> {
    let mut config = stand.testbed.observer();
    config.dbname("app");
    connect(&config).await
}

/// A server on which transactions can be prepared.
async fn stand() -> Result<Stand> {
    let stand = Stand::loaded(1).await?;
    superuser(&stand).await?.batch_execute("ALTER SYSTEM SET max_prepared_transactions = 5").await?;
    stand.testbed.stop_primary().await?;
    stand.testbed.start_primary().await?;
    Ok(stand)
}

/// The outputs of the step that finds.
fn find(stand: &Stand, table: &str, since: &str, xid: &str) -> Result<Value> {
    let path = stand.home.path().join("find.yaml");
    fs::write(&path, RUNBOOK)?;
    let mut command = stand.lifeboat(&["run"]);
    command.arg(&path).arg("--bindings").arg(&stand.bindings);
    for input in [format!("table={table}"), format!("since={since}"), format!("xid={xid}")] {
        command.args(["--input", &input]);
    }
    let runs = || {
        files_below(&stand.home.path().join("state/runs")).into_iter().filter(|file| file.ends_with("journal.jsonl"))
    };
    let known: BTreeSet<PathBuf> = runs().collect();
    let output = command.output()?;
    ensure!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    let journal = runs().find(|file| !known.contains(file)).context("the run has a journal")?;
    let journal = fs::read_to_string(journal)?;
    let records = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ends = records.filter(|record| record["event"] == "step_succeeded" && record["step"] == "find");
    Ok(ends.next().context("the step's end is in the journal")?["outputs"].clone())
}

/// Every place of an exact set's file: `things (0,7)`.
fn places_in(set: &str) -> Result<BTreeSet<String>> {
    let mut places = BTreeSet::new();
    let mut table = String::new();
    let range = |text: &str| -> Result<std::ops::RangeInclusive<u32>> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Ok(first.parse()?..=last.parse()?)
    };
    for line in set.lines().skip(3).take_while(|line| !line.starts_with("changed ") && *line != "objects") {
        if let Some(name) = line.strip_prefix("table ") {
            let name: Value = serde_json::from_str(name)?;
            table = name["name"].as_str().context("a name")?.to_owned();
            continue;
        }
        let (blocks, offsets) = line.split_once(':').context("blocks and offsets")?;
        for block in range(blocks)? {
            for offsets in offsets.split(',') {
                places.extend(range(offsets)?.map(|offset| format!("{table} ({block},{offset})")));
            }
        }
    }
    Ok(places)
}

async fn holds(stand: &Stand, number: u32, steps: &[Step], prepared: bool) -> Result<()> {
    let (ours, others) = (superuser(stand).await?, superuser(stand).await?);
    let schema = format!("case_{number}");
    let mut sessions = Sessions { ours, others, schema: schema.clone(), next: NEW, copied: false };
    sessions.ours.batch_execute(&TABLES.replace("NAME", &schema)).await?;
    sessions.others.batch_execute(&format!("SET search_path = {}", sessions.schema)).await?;
    let since = sessions.text("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')").await?;
    let before = sessions.places().await?;
    sessions.ours.batch_execute("BEGIN; DELETE FROM things WHERE id = 1").await?;
    let xid = sessions.text("SELECT pg_current_xact_id()::text").await?;
    sessions.execute(steps).await?;
    let after = sessions.places().await?;
    sessions.elsewhere(&Other::SwitchWal).await?;
    let end = if prepared { "PREPARE TRANSACTION 'p'" } else { "COMMIT" };
    sessions.ours.batch_execute(end).await?;
    if prepared {
        sessions.others.batch_execute("COMMIT PREPARED 'p'").await?;
    }
    let found = find(stand, &format!("{schema}.things"), &since, &xid)?;
    let path = PathBuf::from(found["set_file"].as_str().context("a path")?);
    let set = places_in(&fs::read_to_string(path)?)?;
    compare(&before, &after, &set, sessions.copied)
}

/// Others change and remove rows too, but none of those that are the transaction's.
fn compare(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
    set: &BTreeSet<String>,
    copied: bool,
) -> Result<()> {
    let number = |row: &str| row.split(' ').nth(1).and_then(|id| id.parse::<i64>().ok()).unwrap_or_default();
    let is_theirs = |row: &str| row.starts_with("moved ") && number(row) > OURS;
    let plain = |place: &String| place.rsplit_once('.').map_or(place.as_str(), |(_, plain)| plain).to_owned();
    let gone = before.iter().filter(|(row, _)| !after.contains_key(*row) && !is_theirs(row));
    let lost: BTreeSet<String> = gone.map(|(_, place)| plain(place)).collect();
    let was_there: BTreeSet<String> = before.values().map(plain).collect();
    // The text of version 15 does not say where COPY writes: a place at which no row was then is the copy's to sort out.
    let found: BTreeSet<String> = set.iter().filter(|place| !copied || was_there.contains(*place)).cloned().collect();
    let (missing, surplus): (Vec<_>, Vec<_>) = (lost.difference(&found).collect(), found.difference(&lost).collect());
    ensure!(missing.is_empty() && surplus.is_empty(), "missing from the set: {missing:?}; wrongly in it: {surplus:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exact_set_is_what_the_tables_lost() -> Result<()> {
    let stand = stand().await?;
    let mut runner = TestRunner::new(Config::default());
    for case in 0..CASES {
        let tree = (steps(), any::<bool>()).new_tree(&mut runner).map_err(|reason| anyhow::anyhow!("{reason}"))?;
        let (steps, prepared) = tree.current();
        holds(&stand, case, &steps, prepared).await.with_context(|| format!("prepared: {prepared}, {steps:#?}"))?;
    }
    stand.stop().await
}

/// Of the keys of `races` an index holds what `slow` gives. At its second call in a session that asks for it, `slow` waits for
/// an advisory lock: the row is written then, and the index not yet.
const RACE: &str = "
    CREATE SCHEMA race;
    SET search_path = race;
    CREATE SEQUENCE calls;
    CREATE FUNCTION slow(key text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN
            IF current_setting('race.waits', true) = 'yes' AND nextval('race.calls') = 2 THEN
                PERFORM pg_advisory_xact_lock_shared(7777);
            END IF;
            RETURN key;
        END $$;
    CREATE TABLE races (key text);
    CREATE UNIQUE INDEX ON races (slow(key));
";

#[tokio::test(flavor = "multi_thread")]
async fn a_row_in_the_place_of_one_that_lost_a_race_is_in_the_set() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let (ours, others) = (superuser(&stand).await?, superuser(&stand).await?);
    others.batch_execute(RACE).await?;
    let since =
        stand.value(&others, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')").await?;
    others.batch_execute("SELECT pg_advisory_lock(7777)").await?;
    ours.batch_execute("SET search_path = race; SET race.waits = 'yes'; BEGIN").await?;
    let xid = stand.value(&ours, "SELECT pg_current_xact_id()::text").await?;
    let race = tokio::spawn(async move {
        let inserted = ours.execute("INSERT INTO races VALUES ('k') ON CONFLICT (slow(key)) DO NOTHING", &[]).await;
        (ours, inserted)
    });
    let waits = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    while stand.value(&others, waits).await? == "0" {
        tokio::task::yield_now().await;
    }
    others.batch_execute("INSERT INTO races VALUES ('k')").await?;
    others.batch_execute("SELECT pg_advisory_unlock(7777)").await?;
    let (ours, inserted) = race.await?;
    ensure!(inserted? == 0, "the race was won");
    // The place of the row that lost is free now, although its transaction goes on.
    others.batch_execute("VACUUM races").await?;
    others.batch_execute("INSERT INTO races VALUES ('z')").await?;
    let place = stand.value(&others, "SELECT ctid::text FROM races WHERE key = 'z'").await?;
    ensure!(place == "(0,1)", "the place was not used again: {place}");
    ours.batch_execute("DELETE FROM races; COMMIT").await?;
    let found = find(&stand, "race.races", &since, &xid)?;
    let set = places_in(&fs::read_to_string(found["set_file"].as_str().context("a path")?)?)?;
    ensure!(set.iter().eq(["races (0,1)", "races (0,2)"]), "{set:?}");
    stand.stop().await
}
