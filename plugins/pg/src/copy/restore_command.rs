//! The `restore_command` of a copy. PostgreSQL takes every failure of it for the end of the archive, unless it ends with more
//! than 125: so it says "not there" only if that is proven, and ends recovery for everything else, with one line in the log.

use lifeboat_plugin::Failure;

use crate::wal::segment::SegmentSize;

/// How its lines in the server's log begin.
const MARK: &str = "lifeboat: restore_command: ";

/// The archive of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreCommand {
    /// Its absolute path.
    pub archive: String,
    /// Of its segments; a file of another size is none.
    pub segment_size: SegmentSize,
    /// The name of a segment in the archive: if that is gone, the archive is gone, and nothing about it is known.
    pub witness: String,
}

impl RestoreCommand {
    /// The command, for `sh`. PostgreSQL puts file names in place of `%f` and `%p`; both are plain.
    pub fn print(&self) -> String {
        let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''").replace('%', "%%"));
        let (archive, witness) = (quote(&self.archive), quote(&self.witness));
        let (mark, bytes) = (MARK, self.segment_size.bytes());
        [
            &format!("no() {{ rm -f -- \"%p\"; echo \"{mark}%f: $1\" >&2; exit 200; }}"),
            &format!("f={archive}/%f"),
            // A folder that vanished, or must not be read, answers otherwise than one that lacks the file.
            "s=$(LC_ALL=C stat -L -c \"%%F/%%s\" -- \"$f\" 2>&1) || case \"$s\" in *\"No such file or directory\") \
             if [ -L \"$f\" ]; then no \"is a link to nothing\"; fi",
            &format!("[ -f {archive}/{witness} ] || no \"the archive no longer holds \"{witness}"),
            "exit 1;; *) no \"$s\";; esac",
            "case \"$s\" in \"regular file/\"*|\"regular empty file/\"*) ;; *) no \"is not a file but a ${s%%%%/*}\";; esac",
            // The server, which waits for this segment, is told that it is not there, and why.
            &format!(
                "case %f in *.*) ;; *) if [ \"${{s##*/}}\" != {bytes} ]; then echo \"{mark}%f: has ${{s##*/}} bytes, not \
                 {bytes}\" >&2; exit 1; fi;; esac"
            ),
            "e=$(LC_ALL=C cp -- \"$f\" \"%p\" 2>&1) || no \"$e\"",
        ]
        .join("; ")
    }
}

/// The command's last line in a server's log, as a failure.
pub fn failure(log: &str) -> Option<Failure> {
    let line = log.lines().rev().find(|line| line.starts_with(MARK))?;
    let (name, reason) = line[MARK.len()..].split_once(": ")?;
    let (code, what) = if reason.contains("No space left on device") {
        ("pg-no-space", "the disk of the copy is full")
    } else if reason.starts_with("has ") {
        ("pg-wal-damaged", "a file of the archive is no whole segment")
    } else {
        ("pg-wal-unreadable", "a file of the archive cannot be fetched")
    };
    Some(Failure::permanent(code, format!("{what}: {name}: {reason}")))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

    use super::*;

    const SEGMENT: &str = "000000010000000000000002";
    const NEXT: &str = "000000010000000000000003";

    fn command(archive: &Path) -> RestoreCommand {
        RestoreCommand {
            archive: archive.display().to_string(),
            segment_size: SegmentSize::new(1 << 20).expect("a size"),
            witness: SEGMENT.to_owned(),
        }
    }

    /// Runs it as PostgreSQL does: in the data folder, by `sh`. Its exit code and what it says.
    fn fetch(command: &RestoreCommand, data: &Path, name: &str) -> (Option<i32>, String) {
        let text = command.print();
        let text = text.replace("%%", "\0").replace("%f", name).replace("%p", "RECOVERYXLOG").replace('\0', "%");
        let output = Command::new("sh").arg("-c").arg(text).current_dir(data).output().expect("a shell");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn only_a_missing_file_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let (archive, data) = (folder.path().join("it's 100% an archive"), folder.path().join("data"));
        fs::create_dir(&archive).expect("a folder");
        fs::create_dir(&data).expect("a folder");
        fs::write(archive.join(SEGMENT), vec![7; 1 << 20]).expect("a segment");
        fs::write(archive.join("00000002.history"), "1\t0/5\t").expect("a history");
        fs::write(archive.join("00000001000000000000000A"), vec![7; 1 << 19]).expect("a short one");
        fs::create_dir(archive.join("00000001000000000000000B")).expect("a folder");
        symlink("/nothing/there", archive.join("00000001000000000000000C")).expect("a link");
        let check = |name: &str, exit: i32, code: Option<&str>| {
            let (found, says) = fetch(&command(&archive), &data, name);
            assert_eq!(found, Some(exit), "{name}: {says}");
            assert_eq!(failure(&says).as_ref().map(Failure::code), code, "{name}: {says}");
        };
        check(SEGMENT, 0, None);
        assert_eq!(fs::read(data.join("RECOVERYXLOG")).expect("the segment"), vec![7; 1 << 20]);
        check("00000002.history", 0, None);
        check(NEXT, 1, None);
        check("00000003.history", 1, None);
        check("00000001000000000000000A", 1, Some("pg-wal-damaged"));
        check("00000001000000000000000B", 200, Some("pg-wal-unreadable"));
        check("00000001000000000000000C", 200, Some("pg-wal-unreadable"));
        fs::create_dir(data.join("RECOVERYXLOG")).expect("a folder in the way");
        fs::create_dir(data.join("RECOVERYXLOG").join(SEGMENT)).expect("another one");
        check(SEGMENT, 200, Some("pg-wal-unreadable"));
        // What a stale mount leaves is an empty folder.
        fs::remove_file(archive.join(SEGMENT)).expect("the witness");
        check(NEXT, 200, Some("pg-wal-unreadable"));
        fs::remove_dir_all(&archive).expect("the archive");
        check(NEXT, 200, Some("pg-wal-unreadable"));
        fs::write(&archive, "a file").expect("in its place");
        check(NEXT, 200, Some("pg-wal-unreadable"));
    }

    #[test]
    fn a_full_disk_is_told_from_a_bad_archive() {
        let check = |reason: &str, expect: &str| {
            let log = format!("LOG:  x\n{MARK}{SEGMENT}: {reason}\nFATAL:  could not restore file \"{SEGMENT}\"\n");
            let failure = failure(&log).expect("a failure");
            assert_eq!(failure.code(), expect, "{reason}");
            assert!(failure.reason().message.contains(SEGMENT), "{failure:?}");
        };
        check("cp: error writing 'pg_wal/RECOVERYXLOG': No space left on device", "pg-no-space");
        check("cp: cannot open '/a/x' for reading: Permission denied", "pg-wal-unreadable");
        check("cp: error reading '/a/x': Input/output error", "pg-wal-unreadable");
        assert_eq!(failure("LOG:  database system is ready"), None);
    }
}
