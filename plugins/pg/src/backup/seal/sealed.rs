//! The file of a seal, which lies beside the folder of its backup. It is written once and never changed.

use jiff::Timestamp;
use lifeboat_plugin::{Failure, Machine, machine};
use serde::{Deserialize, Serialize};

use super::{inventory::CodeObject, measured::SealedTable, random_values::RandomShare};
use crate::{backup::base_backup::Backup, call::digest, wal::segment::Lsn};

const FORMAT: u32 = 2;
/// The first version, without code and shares, can still be read.
const FIRST_FORMAT: u32 = 1;
/// Behind the name of the backup.
const ENDING: &str = ".seal.json";

/// What the server held at one point of its WAL, behind the end of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Version of the document.
    pub format: u32,
    /// The backup's folder.
    pub backup: String,
    /// Where the backup begins: another one under the same name begins elsewhere.
    pub start_lsn: Lsn,
    /// The cluster.
    pub system_identifier: String,
    /// The database whose tables are in it.
    pub database: String,
    /// When it was made.
    pub made: Timestamp,
    /// The last transaction that it sees: replay stops behind its commit.
    pub xid: u32,
    /// Where that commit is.
    pub lsn: Lsn,
    /// What each table held.
    pub tables: Vec<SealedTable>,
    /// What it says nothing about, and why.
    pub left_out: Vec<String>,
    /// Everything that carries code or rights; `None` if the login could not read it, or an older version made the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Vec<CodeObject>>,
    /// How many values of each column looked random; `None` if an older version made the seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random: Option<Vec<RandomShare>>,
}

#[derive(Serialize, Deserialize)]
struct File {
    seal: Seal,
    digest: String,
}

impl Seal {
    /// One of a backup.
    pub fn of(backup: &Backup, system_identifier: u64, database: &str, made: Timestamp, point: (u32, Lsn)) -> Self {
        Self {
            format: FORMAT,
            backup: backup.name.clone(),
            start_lsn: backup.start_lsn,
            system_identifier: system_identifier.to_string(),
            database: database.to_owned(),
            made,
            xid: point.0,
            lsn: point.1,
            tables: Vec::new(),
            left_out: Vec::new(),
            code: None,
            random: None,
        }
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(SealedTable::rows).sum()
    }

    /// Fails where it asserts nothing: a copy without a row would be like it.
    pub fn asserts(self) -> Result<Self, Failure> {
        if self.rows() > 0 {
            return Ok(self);
        }
        let message = format!(
            "there is no row in the {} tables of the database {} that could be read: a seal of it would assert nothing",
            self.tables.len(),
            self.database
        );
        Err(Failure::permanent("pg-nothing-to-read", message))
    }

    /// Writes it beside its backup. Fails where one is there already.
    pub fn create(&self, caps: &impl Machine, machine: &str, folder: &str) -> Result<(), Failure> {
        let file = File { seal: self.clone(), digest: self.digest() };
        let mut content = serde_json::json!(file).to_string().into_bytes();
        content.push(b'\n');
        Ok(caps.create_file(machine, &path(folder, &self.backup), &content)?)
    }

    fn digest(&self) -> String {
        digest::of(serde_json::json!(self).to_string().as_bytes())
    }
}

fn path(folder: &str, backup: &str) -> String {
    format!("{folder}/{backup}{ENDING}")
}

/// The name of the backup whose seal a file is.
pub fn sealed_by(file: &str) -> Option<&str> {
    file.strip_suffix(ENDING).filter(|backup| !backup.is_empty())
}

/// The seal of a backup; none where it has none. Fails with `pg-seal-damaged` where the file is not as it was written, or is of another
/// backup.
pub fn find(caps: &impl Machine, machine: &str, folder: &str, backup: &Backup) -> Result<Option<Seal>, Failure> {
    let path = path(folder, &backup.name);
    let content = match caps.read_file(machine, &path) {
        Ok(content) => content,
        Err(machine::Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let damaged = |why: String| Failure::permanent("pg-seal-damaged", format!("{path}: {why}"));
    let File { seal, digest } = serde_json::from_slice(&content).map_err(|error| damaged(error.to_string()))?;
    if !(FIRST_FORMAT..=FORMAT).contains(&seal.format) {
        return Err(damaged(format!("it has the format {}; up to {FORMAT} can be read", seal.format)));
    }
    if digest != seal.digest() {
        return Err(damaged("it is not as it was written: its digest differs".to_owned()));
    }
    if (seal.backup.as_str(), seal.start_lsn) != (backup.name.as_str(), backup.start_lsn) {
        let (other, begins) = (&seal.backup, seal.start_lsn);
        return Err(damaged(format!(
            "it is of the backup {other} that begins at {begins}, and this one begins at {}",
            backup.start_lsn
        )));
    }
    Ok(Some(seal))
}

/// The seal of a backup; fails with `pg-not-sealed` where it has none.
pub fn read(caps: &impl Machine, machine: &str, folder: &str, backup: &Backup) -> Result<Seal, Failure> {
    find(caps, machine, folder, backup)?.ok_or_else(|| {
        let message = format!(
            "{folder}/{} has no seal: nobody recorded what it holds, so whether it holds that is unmeasured",
            backup.name
        );
        Failure::permanent("pg-not-sealed", message)
    })
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::fake::Machine as Fake;

    use super::*;
    use crate::backup::seal::measured::Bucket;

    fn backup() -> Backup {
        Backup {
            name: "b".to_owned(),
            label: String::new(),
            start_lsn: Lsn(100),
            end_lsn: Some(Lsn(200)),
            start_time: String::new(),
            timeline: 1,
            size_bytes: 0,
            finished_ms: 1,
            incremental: false,
        }
    }

    fn seal() -> Seal {
        let table = SealedTable {
            schema: "public".to_owned(),
            name: "t".to_owned(),
            key: None,
            buckets: vec![Bucket { number: 0, rows: 3, hash: "-7".to_owned() }],
        };
        let point = (734, Lsn(300));
        Seal { tables: vec![table], ..Seal::of(&backup(), 7, "app", Timestamp::UNIX_EPOCH, point) }
    }

    fn machine() -> Fake {
        let fake = Fake::default();
        fake.add_folder("backups", "/backups").expect("a folder");
        fake
    }

    #[test]
    fn a_seal_is_read_as_it_was_written_and_never_overwritten() {
        let fake = machine();
        assert_eq!(find(&fake, "recovery", "/backups", &backup()), Ok(None));
        assert_eq!(read(&fake, "recovery", "/backups", &backup()).expect_err("none").code(), "pg-not-sealed");
        seal().create(&fake, "recovery", "/backups").expect("a seal");
        assert_eq!(read(&fake, "recovery", "/backups", &backup()), Ok(seal()));
        assert_eq!(seal().create(&fake, "recovery", "/backups").expect_err("there").code(), "machine-exists");
    }

    #[test]
    fn a_seal_that_was_changed_or_is_of_another_backup_is_damaged() {
        let check = |change: &dyn Fn(String) -> String, backup: &Backup, why: &str| {
            let fake = machine();
            seal().create(&fake, "recovery", "/backups").expect("a seal");
            let text = fake.read_file("recovery", "/backups/b.seal.json").expect("a seal");
            let changed = change(String::from_utf8(text).expect("text"));
            fake.files().write("/backups/b.seal.json", changed.as_bytes()).expect("changed");
            let failure = find(&fake, "recovery", "/backups", backup).expect_err(why);
            assert_eq!(failure.code(), "pg-seal-damaged");
            assert!(failure.reason().message.contains(why), "{failure:?}");
        };
        check(&|text| text.replace("\"rows\":3", "\"rows\":4"), &backup(), "digest differs");
        check(&|text| text.replace("\"format\":2", "\"format\":3"), &backup(), "the format 3");
        check(&|text| text[..40].to_owned(), &backup(), "EOF");
        check(&|text| text, &Backup { start_lsn: Lsn(101), ..backup() }, "begins at 0/64");
    }

    #[test]
    fn a_seal_of_an_older_version_is_read() {
        let fake = machine();
        let older = Seal { format: FIRST_FORMAT, ..seal() };
        older.create(&fake, "recovery", "/backups").expect("a seal");
        let text = fake.read_file("recovery", "/backups/b.seal.json").expect("a seal");
        assert!(!String::from_utf8_lossy(&text).contains("random"), "it has neither code nor shares");
        assert_eq!(read(&fake, "recovery", "/backups", &backup()), Ok(older));
    }

    #[test]
    fn nothing_is_asserted_without_a_row() {
        assert!(seal().asserts().is_ok());
        let failure = Seal { tables: Vec::new(), ..seal() }.asserts().expect_err("empty");
        assert_eq!(failure.code(), "pg-nothing-to-read");
    }

    #[test]
    fn a_seal_is_named_after_its_backup() {
        assert_eq!(sealed_by("nightly.seal.json"), Some("nightly"));
        assert_eq!(sealed_by(".seal.json"), None);
        assert_eq!(sealed_by("nightly"), None);
    }
}
