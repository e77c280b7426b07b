//! DR-001 on damage of kinds that people have reported: each is repaired without a row lost, or refused with nothing written.

use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    bindings,
    killing::{killed_at_random, seeds},
    scene::superuser,
    stand::{Stand, connect},
};
use serde_json::json;

const PAGE: usize = 8_192;

/// Beside the stand's tables: one with values that are kept apart, and statistics that are too.
const DOCUMENTS: &str = "
    CREATE TABLE documents (id bigint PRIMARY KEY, body text NOT NULL);
    ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
    INSERT INTO documents SELECT n, repeat(md5(n::text), 200) FROM generate_series(1, 60) n;
";

/// A server that has been backed up, and the machine that it runs on in its bindings.
struct Damaged {
    stand: Stand,
    data: PathBuf,
    before: Vec<String>,
}

impl Damaged {
    async fn ready() -> Result<Self> {
        let stand = Stand::loaded(2_000).await?;
        stand.application().await?.batch_execute(DOCUMENTS).await?;
        // Visibility maps, and statistics.
        superuser(&stand).await?.batch_execute("VACUUM ANALYZE").await?;
        let data = stand.testbed.folder_of("primary", "data");
        let work = stand.testbed.folder_of("primary", "work");
        fs::create_dir(&work)?;
        fs::write(work.join(".lifeboat-identity"), "host")?;
        let owner = fs::metadata(&data)?;
        for path in [work.clone(), work.join(".lifeboat-identity")] {
            chown(path, Some(owner.uid()), Some(owner.gid()))?;
        }
        bindings::changed(&stand.bindings, &stand.bindings, |targets| {
            let mut host = targets["recovery"].clone();
            host["identity"] = "host".into();
            host["programs"] = json!({ "dd": { "path": "/bin/dd", "access": "destroy" } });
            let folder = |path: &Path| json!({ "path": path, "access": "destroy" });
            host["folders"] = json!({ "work": folder(&work), "data": folder(&data) });
            targets["host"] = host;
        })?;
        let mut damaged = Self { stand, data, before: Vec::new() };
        damaged.before = damaged.content().await?;
        Ok(damaged)
    }

    async fn content(&self) -> Result<Vec<String>> {
        let mut rows = self.stand.content().await?;
        let client = self.stand.application().await?;
        let documents = client.query("SELECT t::text FROM documents t ORDER BY id", &[]).await?;
        rows.extend(documents.iter().map(|row| row.get::<_, String>(0)));
        Ok(rows)
    }

    /// The file of a relation.
    async fn file(&self, relation: &str) -> Result<PathBuf> {
        let client = superuser(&self.stand).await?;
        let path = self.stand.value(&client, &format!("SELECT pg_relation_filepath({relation})")).await?;
        Ok(self.data.join(path))
    }

    async fn files<const N: usize>(&self, relations: [&str; N]) -> Result<[PathBuf; N]> {
        let mut files = Vec::new();
        for relation in relations {
            files.push(self.file(relation).await?);
        }
        files.try_into().ok().context("a file of each")
    }

    /// With the server stopped, so that it has no page in its memory.
    async fn strike(&self, damage: impl FnOnce() -> Result<()>) -> Result<()> {
        self.stand.testbed.stop_primary().await?;
        damage()?;
        Ok(self.stand.testbed.start_primary().await?)
    }

    /// DR-001, with the sign-off given.
    fn command(&self) -> Command {
        let runbook = "workflows/dr-001-database-corruption.yaml";
        let mut command = self.stand.lifeboat(&["run", runbook, "--approve", "sign_off", "--bindings"]);
        command.arg(&self.stand.bindings);
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command().args(arguments).output()?)
    }

    fn journal(&self) -> Result<String> {
        Ok(fs::read_to_string(self.stand.run_folder()?.join("journal.jsonl"))?)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Other bytes from there on.
fn change(file: &Path, at: u64, length: usize) -> Result<()> {
    let file = fs::File::options().read(true).write(true).open(file)?;
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)?;
    bytes.iter_mut().for_each(|byte| *byte ^= 0x10);
    Ok(file.write_all_at(&bytes, at)?)
}

fn zero(file: &Path, page: u64) -> Result<()> {
    Ok(fs::File::options().write(true).open(file)?.write_all_at(&[0; PAGE], page * PAGE as u64)?)
}

fn pages(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file)?.len() / PAGE as u64)
}

/// All at once, each in another relation:
/// - a position in the WAL that lies in the future (`xlog flush request … is not satisfied`),
/// - the end of a file lost, in the middle of a page (`could not read block …: read only 0 of 8192 bytes`),
/// - the last page empty, which the server takes for one that it never used,
/// - large values damaged (`missing chunk number 0 for toast value …`), and their index,
/// - a table of the catalog damaged (`invalid page in block … of relation`),
/// - the file of a table gone (`could not open file …: No such file or directory`), and that of an index,
/// - a visibility map damaged (`invalid page in block … of relation …_vm; zeroing out page`);
/// and an empty page that is none: a crash has left it.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_reported_is_repaired_without_a_row_lost() -> Result<()> {
    let damaged = Damaged::ready().await?;
    let toast = "(SELECT reltoastrelid FROM pg_class WHERE oid = 'documents'::regclass)";
    let toast_index = format!("(SELECT indexrelid FROM pg_index WHERE indrelid = {toast})");
    let [customers, orders, items, large, large_index, catalog, documents, email] = damaged
        .files([
            "'customers'",
            "'orders'",
            "'items'",
            toast,
            &toast_index,
            "'pg_statistic'",
            "'documents'",
            "'customers_email_key'",
        ])
        .await?;
    let map = items.with_file_name(format!("{}_vm", items.file_name().context("a name")?.to_string_lossy()));
    // Never used: the pages that a table had grown by when the server crashed.
    damaged
        .strike(|| {
            let grown = fs::File::options().write(true).open(&orders)?;
            Ok(grown.set_len((pages(&orders)? + 3) * PAGE as u64)?)
        })
        .await?;
    let client = damaged.stand.application().await?;
    client.batch_execute("INSERT INTO orders (customer_id, total) SELECT 1, 7 FROM generate_series(1, 2000)").await?;
    let before = damaged.content().await?;
    damaged
        .strike(|| {
            change(&customers, 3 * PAGE as u64, 4)?;
            fs::File::options().write(true).open(&items)?.set_len((pages(&items)? - 3) * PAGE as u64 + 5_000)?;
            zero(&orders, pages(&orders)? - 1)?;
            change(&large, 2 * PAGE as u64 + 5_000, 100)?;
            change(&large_index, PAGE as u64 + 8_000, 10)?;
            change(&catalog, 6_000, 100)?;
            change(&map, 200, 50)?;
            fs::remove_file(&documents)?;
            Ok(fs::remove_file(&email)?)
        })
        .await?;
    let output = damaged.run(&[])?;
    ensure!(output.status.success(), "{}", said(&output));
    ensure!(damaged.content().await? == before, "not every row is as it was");
    let journal = damaged.journal()?;
    for problem in ["missing", "zeroed", "checksum", "lost"] {
        ensure!(journal.contains(&format!(r#""problem":"{problem}""#)), "{problem}: {journal}");
    }
    ensure!(journal.contains(r#""kind":"map""#), "{journal}");
    // The damaged files are kept as they were.
    let kept: Vec<_> = fs::read_dir(damaged.stand.testbed.folder_of("primary", "work"))?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains(".damaged-"))
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with(".kept"))
        .collect();
    ensure!(kept.len() == 5, "{kept:?}");
    damaged.stand.stop().await
}

/// The newest backup was taken of damaged pages: nothing is written, and an older backup has what is needed.
#[tokio::test(flavor = "multi_thread")]
async fn damage_that_the_newest_backup_has_too_is_repaired_from_an_older_one() -> Result<()> {
    let damaged = Damaged::ready().await?;
    let [customers, orders] = damaged.files(["'customers'", "'orders'"]).await?;
    damaged
        .strike(|| {
            zero(&customers, 2)?;
            zero(&orders, 1)
        })
        .await?;
    damaged.stand.testbed.base_backup("too-late").await?;
    let state = || Ok::<_, anyhow::Error>([fs::read(&customers)?, fs::read(&orders)?]);
    let struck = state()?;
    let output = damaged.run(&[])?;
    ensure!(output.status.code() == Some(1), "{}", said(&output));
    ensure!(said(&output).contains("pg-page-not-in-copy"), "{}", said(&output));
    ensure!(state()? == struck, "something was written");
    connect(&damaged.stand.testbed.observer()).await?;
    let output = damaged.run(&["--input", "backup=nightly"])?;
    ensure!(output.status.success(), "{}", said(&output));
    ensure!(damaged.content().await? == damaged.before, "not every row is as it was");
    damaged.stand.stop().await
}

/// Pages of a table and of an index, and an engine that is killed on its way: it ends as without the kill.
#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_killed_at_any_moment_repairs_all_the_same() -> Result<()> {
    for seed in seeds()? {
        let damaged = Damaged::ready().await?;
        let [customers, email] = damaged.files(["'customers'", "'customers_email_key'"]).await?;
        damaged
            .strike(|| {
                change(&customers, 3 * PAGE as u64, 4)?;
                change(&customers, 5 * PAGE as u64 + 8_000, 4)?;
                change(&email, 2 * PAGE as u64 + 8_000, 4)
            })
            .await?;
        let ended = killed_at_random(seed, 24, damaged.command(), || damaged.stand.resume())?;
        let told =
            format!("seed {seed}, killed after lines {:?}, {}:\n{}", ended.killed_after, ended.status, ended.said);
        ensure!(ended.status.success(), "{told}");
        ensure!(damaged.content().await? == damaged.before, "not every row is as it was; {told}");
        ensure!(damaged.stand.instances().is_empty(), "left: {:?}; {told}", damaged.stand.instances());
        damaged.stand.stop().await?;
    }
    Ok(())
}
