//! The last clean moment of a server, on real servers: data and code have one each, and what cannot be known ends in an error.

use std::fs;

use anyhow::{Context, Result, ensure};
use lifeboat_simulator::testbed::PageDamage;
use lifeboat_tests::{scene::superuser, stand::Stand};
use tokio_postgres::Client;

const FIND: &str = "
lifeboat: 1
id: LOOK
name: Find the last clean moment
targets:
  primary: { kind: postgres, access: read, description: The server }
  recovery: { kind: machine, access: destroy, description: Where copies are made }
steps:
  - id: find
    uses: pg/find-clean-point
    with: { server: primary, machine: recovery, cold: COLD }
    timeout: 9m
";
const COLD: &str = "[{ table: public.customers, below: 101 }]";
/// As ciphertext in hexadecimal digits looks.
const SEALED: &str =
    "(SELECT string_agg(encode(sha256((id || 'x' || n)::bytea), 'hex'), '') FROM generate_series(1, 4) n)";

/// A server whose backup is sealed.
struct Watched {
    stand: Stand,
    client: Client,
}

impl Watched {
    async fn new() -> Result<Self> {
        let stand = Stand::loaded(500).await?;
        let client = superuser(&stand).await?;
        let watched = Self { stand, client };
        let (code, said) = watched.run(&["workflows/backup-seal.yaml"])?;
        ensure!(code == Some(0), "{said}");
        Ok(watched)
    }

    fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = self.stand.lifeboat(&["run"]);
        let run = command.args(arguments).arg("--bindings").arg(&self.stand.bindings).output()?;
        let said = String::from_utf8_lossy(&run.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((run.status.code(), said))
    }

    /// Searches; no copy may be left, whatever comes of it.
    fn find(&self, cold: &str) -> Result<(Option<i32>, String)> {
        let path = self.stand.home.path().join("find.yaml");
        fs::write(&path, FIND.replace("COLD", cold))?;
        let found = self.run(&[&path.display().to_string()])?;
        ensure!(self.stand.instances().is_empty(), "left: {:?}", self.stand.instances());
        Ok(found)
    }

    /// It must fail with this code and say that.
    fn fails(&self, cold: &str, code: &str, says: &str) -> Result<()> {
        let (exit, said) = self.find(cold)?;
        ensure!(exit == Some(1) && said.contains(code) && said.contains(says), "{code} {says}: {exit:?} {said}");
        Ok(())
    }

    /// Does something, and ends the segment; where it began and where it ended.
    async fn act(&self, sql: &str) -> Result<(u64, u64)> {
        let from = self.position().await?;
        self.client.batch_execute(sql).await?;
        let to = self.position().await?;
        self.client.batch_execute("SELECT pg_switch_wal()").await?;
        Ok((from, to))
    }

    async fn position(&self) -> Result<u64> {
        lsn(&self.stand.value(&self.client, "SELECT pg_current_wal_insert_lsn()::text").await?)
    }

    /// Everything that was written is in the archive.
    fn archived(&self) -> Result<()> {
        let path = self.stand.home.path().join("archive.yaml");
        let text = "
lifeboat: 1
id: ARCHIVE
name: Archive
targets:
  primary: { kind: postgres, access: write, description: The server }
  recovery: { kind: machine, access: read, description: The archive }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
    timeout: 2m
";
        fs::write(&path, text)?;
        let (code, said) = self.run(&[&path.display().to_string()])?;
        ensure!(code == Some(0), "{said}");
        Ok(())
    }
}

fn lsn(text: &str) -> Result<u64> {
    let (high, low) = text.split_once('/').with_context(|| text.to_owned())?;
    Ok((u64::from_str_radix(high, 16)? << 32) + u64::from_str_radix(low, 16)?)
}

/// The two moments between which something became dirty, by what was said of it.
fn between(said: &str, what: &str) -> Result<(u64, u64)> {
    let (_, rest) = said.split_once(&format!("{what} were clean at ")).with_context(|| said.to_owned())?;
    let mut words = rest.split([' ', ';', ',']);
    let clean = words.next().context("a moment")?;
    let dirty = words.nth(3).context("another one")?;
    Ok((lsn(clean)?, lsn(dirty)?))
}

/// Two cold rows are encrypted long after a role was planted; somebody encrypts more, and the application writes all the time.
#[tokio::test(flavor = "multi_thread")]
async fn data_and_code_have_a_clean_moment_each() -> Result<()> {
    let watched = Watched::new().await?;
    let work = "INSERT INTO customers (name) SELECT 'later' FROM generate_series(1, 20); UPDATE orders SET total = total + 1 WHERE id > 4000";
    for _ in 0..3 {
        watched.act(work).await?;
    }
    let planted = watched
        .act("CREATE ROLE stat_agent SUPERUSER LOGIN; ALTER DATABASE app SET search_path = nowhere, public")
        .await?;
    watched.act(work).await?;
    watched.stand.testbed.base_backup("later").await?;
    for _ in 0..2 {
        watched.act(work).await?;
    }
    let encrypted = watched.act(&format!("UPDATE customers SET name = {SEALED} WHERE id <= 2")).await?;
    watched.act(work).await?;
    watched.act(&format!("UPDATE customers SET name = {SEALED} WHERE id BETWEEN 3 AND 300")).await?;
    watched.act(work).await?;
    watched.archived()?;

    let (code, said) = watched.find(COLD)?;
    ensure!(code == Some(0), "{said}");
    for (what, (from, to)) in [("the data", encrypted), ("code and rights", planted)] {
        let (clean, dirty) = between(&said, what)?;
        ensure!(clean <= from && dirty >= to, "{what}: {clean:X} {dirty:X} for {from:X} to {to:X}: {said}");
        ensure!(dirty - clean <= 16 << 20, "{what}: not next to each other: {said}");
    }
    ensure!(said.contains("compared with the seal of nightly"), "{said}");

    // Without cold rows, two of many are not seen, and what is seen comes later.
    let (code, said) = watched.find("[]")?;
    ensure!(code == Some(0), "{said}");
    let (clean, _) = between(&said, "the data")?;
    ensure!(clean >= encrypted.1, "a few rows cannot be seen by their look alone: {said}");
    watched.stand.stop().await
}

/// What is never seen, what is always seen, and what nobody has recorded: never a guess.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_known_is_an_error() -> Result<()> {
    let watched = Watched::new().await?;
    watched.act("INSERT INTO customers (name) SELECT 'later' FROM generate_series(1, 20)").await?;
    watched.archived()?;
    watched.fails(COLD, "pg-nothing-suspicious", "as nightly was sealed")?;
    watched.fails("[{ table: public.nothing, below: 101 }]", "pg-not-cold", "no table of that name")?;
    watched.fails("[{ table: public.customers, below: 3 }]", "pg-not-cold", "no bucket")?;

    // The backup itself is not as it was sealed: every look would be dirty.
    let file = watched.stand.value(&watched.client, "SELECT pg_relation_filepath('customers')").await?;
    let shelf = watched.stand.testbed.backups("recovery").context("a machine with backups")?;
    let aside = shelf.put_aside("nightly").await?;
    shelf.damage_page(&format!("nightly/{file}"), 0, PageDamage::Zeroed).await?;
    shelf.renew_manifest("nightly", &file).await?;
    watched.fails(COLD, "pg-no-clean-point", "public.customers: cold rows, id")?;
    shelf.bring_back(&aside).await?;

    fs::remove_file(watched.stand.testbed.backups_folder().join("nightly.seal.json"))?;
    watched.fails(COLD, "pg-not-sealed", "nobody recorded what was clean")?;
    watched.stand.stop().await
}
