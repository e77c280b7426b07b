//! The file from which the textfile collector of the node exporter reads metrics.

use std::{
    fs::Permissions,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// How the name of a file ends that the collector reads.
pub const TEXTFILE_SUFFIX: &str = "prom";

/// The collector runs as another user, whatever the umask of whoever writes is; nothing in the file is a secret.
const READABLE: u32 = 0o644;

/// Whether the collector reads a file of that name.
pub fn is_textfile(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == TEXTFILE_SUFFIX)
}

/// Replaces the file at once: the collector sees the old one or the new one. The new one lies beside it until then, under a name that the
/// collector does not read; whatever goes wrong, the old one stays.
///
/// # Errors
/// If the file cannot be replaced.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".lifeboat-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(READABLE))?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_anybody_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lifeboat.prom");
        fs::write(&path, "old and longer than the new one\n").unwrap();
        let old = fs::File::open(&path).unwrap();
        replace(&path, "new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(
            io::read_to_string(old).unwrap(),
            "old and longer than the new one\n",
            "whoever reads it reads it whole"
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, READABLE);
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["lifeboat.prom"], "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lifeboat.prom");
        fs::create_dir(&path).unwrap();
        assert!(replace(&path, "new\n").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("gone/lifeboat.prom"), "new\n").is_err());
    }
}
