//! A folder of files that nobody should change any more: base backups, or archived WAL. A fault changes some of them, and puts them back
//! when it is healed.

use lifeboat_core::digest::sha256;

use super::{
    disk_damage::{PageDamage, read, write},
    error::TestbedError,
    place::{Call, Place},
    server::Server,
};

/// Copies an entry aside, within the folder of its system, and prints where.
const ASIDE: &str = r#"aside=$(mktemp -d "$0.aside.XXXXXX") && cp -a "$0/$1" "$aside/entry" && echo "$aside""#;
/// Puts it back in its place.
const BACK: &str = r#"rm -rf "$0/$1" && cp -a "$2/entry" "$0/$1" && rm -rf "$2""#;
/// Prints where each base backup begins: `NAME/backup_label:START WAL LOCATION: 0/2000028 (file …)`.
const BEGINS: &str = r#"cd "$0" && grep -H '^START WAL LOCATION' -- */backup_label"#;
/// Prints the manifest of each base backup: `NAME/backup_manifest`.
const WHOLE: &str =
    r#"cd "$0" && for manifest in */backup_manifest; do if [ -f "$manifest" ]; then echo "$manifest"; fi; done"#;
/// The digest of a manifest by itself, which is its last line.
const OWN_DIGEST: &str = "\"Manifest-Checksum\": \"";

/// The folder.
#[derive(Debug, Clone)]
pub struct Shelf {
    pub(super) place: Place,
    pub(super) folder: String,
    /// Folder of PostgreSQL's programs there.
    pub(super) bin: String,
}

/// An entry that was copied aside before it was changed.
#[derive(Debug)]
pub struct Aside {
    entry: String,
    copy: String,
}

impl Shelf {
    /// The names of what lies in it, sorted.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub async fn names(&self) -> Result<Vec<String>, TestbedError> {
        let listed = self.place.run("ls", Call::new(&["-1", "--", &self.folder])).await?;
        Ok(listed.lines().map(str::to_owned).collect())
    }

    /// The names of the base backups that have their manifest, which is written last.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn whole_backups(&self) -> Result<Vec<String>, TestbedError> {
        let listed = self.place.run("sh", Call::new(&["-c", WHOLE, &self.folder])).await?;
        Ok(listed.lines().filter_map(|path| path.strip_suffix("/backup_manifest")).map(str::to_owned).collect())
    }

    /// The base backup that begins last, and where: `0/2000028`. None where there is none.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn newest_backup(&self) -> Result<Option<(String, String)>, TestbedError> {
        let found = self.place.run("sh", Call::new(&["-c", BEGINS, &self.folder])).await?;
        let begin = |line: &str| {
            let (path, rest) = line.split_once(":START WAL LOCATION: ")?;
            let lsn = rest.split_whitespace().next()?;
            let (high, low) = lsn.split_once('/')?;
            let number = |part: &str| u64::from_str_radix(part, 16).ok();
            let name = path.strip_suffix("/backup_label")?;
            Some((number(high)?, number(low)?, name.to_owned(), lsn.to_owned()))
        };
        let newest = found.lines().filter_map(begin).max();
        Ok(newest.map(|(.., name, lsn)| (name, lsn)))
    }

    /// Copies an entry aside, so that it can be brought back.
    ///
    /// # Errors
    /// If it is not there, or there is no room.
    pub async fn put_aside(&self, entry: &str) -> Result<Aside, TestbedError> {
        let copy = self.place.run("sh", Call::new(&["-c", ASIDE, &self.folder, entry])).await?;
        Ok(Aside { entry: entry.to_owned(), copy: copy.trim().to_owned() })
    }

    /// Puts an entry back as it was.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn bring_back(&self, aside: &Aside) -> Result<(), TestbedError> {
        self.place.run("sh", Call::new(&["-c", BACK, &self.folder, &aside.entry, &aside.copy])).await.map(drop)
    }

    /// How many bytes a file has.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn size(&self, file: &str) -> Result<u64, TestbedError> {
        let path = self.path(file);
        let size = self.place.run("stat", Call::new(&["-c", "%s", "--", &path])).await?;
        let odd =
            || TestbedError::Program { program: "stat".to_owned(), message: format!("the size of {path} is `{size}`") };
        size.trim().parse().map_err(|_| odd())
    }

    /// Removes a file.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn remove(&self, file: &str) -> Result<(), TestbedError> {
        self.place.run("rm", Call::new(&["--", &self.path(file)])).await.map(drop)
    }

    /// Cuts a file to its first half.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn cut_short(&self, file: &str) -> Result<(), TestbedError> {
        let script = r#"truncate -s $(($(stat -c %s "$0") / 2)) "$0""#;
        self.place.run("sh", Call::new(&["-c", script, &self.path(file)])).await.map(drop)
    }

    /// Damages a page of a file, by its number in the file.
    ///
    /// # Errors
    /// If the file has no such page.
    pub async fn damage_page(&self, file: &str, page: u64, damage: PageDamage) -> Result<(), TestbedError> {
        let path = self.path(file);
        let content = read(&self.place, &path, page).await?;
        write(&self.place, &path, page, &damage.of(content)).await
    }

    /// Makes the manifest of a base backup fit a file that was changed, and itself: nothing that looks at files alone sees the change.
    ///
    /// # Errors
    /// If the manifest does not name the file.
    pub async fn renew_manifest(&self, backup: &str, file: &str) -> Result<(), TestbedError> {
        let manifest = self.path(&format!("{backup}/backup_manifest"));
        let odd = |what: &str| TestbedError::Program {
            program: "backup_manifest".to_owned(),
            message: format!("{manifest} {what}"),
        };
        let text = self.place.run("cat", Call::new(&[&manifest])).await?;
        let digest = self.place.run("sha256sum", Call::new(&["--", &self.path(&format!("{backup}/{file}"))])).await?;
        let digest = digest.split_whitespace().next().unwrap_or_default();
        let renewed =
            renewed(&text, file, digest).ok_or_else(|| odd("does not have that file, or no digest of itself"))?;
        self.place.write(&manifest, &renewed).await
    }

    /// Whether a base backup fits its manifest, as PostgreSQL's own program says.
    pub async fn fits_manifest(&self, backup: &str) -> bool {
        let program = format!("{}/pg_verifybackup", self.bin);
        self.place.run(&program, Call::new(&["-n", "-q", &self.path(backup)])).await.is_ok()
    }

    /// Whether a segment of the WAL can be read to its end, as PostgreSQL's own program says.
    pub async fn reads(&self, segment: &str) -> bool {
        let program = format!("{}/pg_waldump", self.bin);
        self.place.run(&program, Call::new(&["-q", &self.path(segment)])).await.is_ok()
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

impl Server {
    /// The WAL that it has archived.
    pub fn archive(&self) -> Shelf {
        Shelf { place: self.place.clone(), folder: self.path("archive"), bin: self.bin.clone() }
    }
}

/// The manifest with another digest of that file, and the digest of itself that follows.
fn renewed(manifest: &str, file: &str, digest: &str) -> Option<String> {
    const KEY: &str = "\"Checksum\": \"";
    let entry = manifest.find(&format!("\"Path\": \"{file}\""))?;
    let begin = entry + manifest[entry..].find(KEY)? + KEY.len();
    let end = begin + manifest[begin..].find('"')?;
    let changed = format!("{}{digest}{}", &manifest[..begin], &manifest[end..]);
    let own = changed.find(OWN_DIGEST)?;
    let of_itself = sha256(&changed.as_bytes()[..own]);
    Some(format!("{}{OWN_DIGEST}{}\"}}\n", &changed[..own], of_itself.trim_start_matches("sha256:")))
}

#[cfg(test)]
mod tests {
    use lifeboat_core::bindings::Via;

    use super::*;

    fn shelf(folder: &std::path::Path) -> Shelf {
        Shelf {
            place: Place { via: Via::Local, user: None },
            folder: folder.display().to_string(),
            bin: "/nowhere".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_was_changed_is_brought_back_as_it_was() {
        let system = tempfile::tempdir().unwrap();
        let folder = system.path().join("backups");
        let shelf = shelf(&folder);
        std::fs::create_dir_all(folder.join("b/base")).unwrap();
        let file = folder.join("b/base/1");
        std::fs::write(&file, "content").unwrap();
        let aside = shelf.put_aside("b").await.unwrap();
        assert_eq!(std::fs::read_dir(system.path()).unwrap().count(), 2, "what is put aside lies beside the folder");
        assert_eq!(shelf.size("b/base/1").await.unwrap(), 7);
        shelf.cut_short("b/base/1").await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "con");
        shelf.remove("b/base/1").await.unwrap();
        shelf.bring_back(&aside).await.unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "content");
        assert_eq!(shelf.names().await.unwrap(), ["b"]);
        assert_eq!(std::fs::read_dir(system.path()).unwrap().count(), 1, "nothing stays aside");
        shelf.put_aside("gone").await.unwrap_err();
    }

    #[tokio::test]
    async fn the_backup_that_begins_last_is_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        for (name, lsn) in [("z", "0/2000028"), ("a", "1/28"), ("b", "0/F0000028")] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            let label = format!("START WAL LOCATION: {lsn} (file 000000010000000000000002)\n");
            std::fs::write(folder.path().join(name).join("backup_label"), label).unwrap();
        }
        let newest = shelf(folder.path()).newest_backup().await.unwrap();
        assert_eq!(newest, Some(("a".to_owned(), "1/28".to_owned())));
    }

    #[test]
    fn a_manifest_fits_itself_again() {
        let head = "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{ \"Path\": \"base/1/2\", \"Size\": 8, \"Checksum\": \"aa\" },\n{ \"Path\": \"base/1/3\", \"Size\": 8, \"Checksum\": \"bb\" }\n],\n";
        let manifest = format!("{head}{OWN_DIGEST}cc\"}}\n");
        let renewed = renewed(&manifest, "base/1/3", "dd").unwrap();
        let changed = head.replace("bb", "dd");
        let own = sha256(changed.as_bytes());
        assert_eq!(renewed, format!("{changed}{OWN_DIGEST}{}\"}}\n", own.trim_start_matches("sha256:")));
        assert_eq!(super::renewed(&manifest, "base/1/4", "dd"), None);
    }
}
