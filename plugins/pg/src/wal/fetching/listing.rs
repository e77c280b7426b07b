//! The files of an archive, in any form: each under the name that PostgreSQL asks for.

use std::collections::BTreeMap;

use lifeboat_plugin::{
    Machine, Runtime,
    machine::{Entry, Error},
};

use super::is_folder;
use crate::wal::archive_format;

/// So many folders are looked into, those with the highest names first.
const FOLDERS_MAX: usize = 2_000;
/// And so many one below the other: `2026/11/30`, `15-1/0000000100000000`.
const DEPTH_MAX: usize = 4;

/// The files, by PostgreSQL's names. Of two with one name, it is that of the folder that was looked into first.
pub(super) fn walk<C: Machine + Runtime>(
    caps: &C,
    machine: &str,
    path: &str,
) -> Result<BTreeMap<String, Entry>, Error> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![(path.to_owned(), 0)];
    let mut seen = 0;
    while let Some((folder, depth)) = waiting.pop() {
        let entries = match caps.list_folder(machine, &folder) {
            Ok(entries) => entries,
            // One that must not be read, such as `lost+found`, says nothing.
            Err(_) if depth > 0 => continue,
            Err(error) => return Err(error),
        };
        seen += 1;
        if seen > FOLDERS_MAX {
            caps.warn(&format!("{path} has more than {FOLDERS_MAX} folders; those with the lowest names are left out"));
            break;
        }
        for entry in entries {
            if is_folder(&entry) {
                // By name, so that the last one is looked into next.
                if depth < DEPTH_MAX {
                    waiting.push((format!("{folder}/{}", entry.name), depth + 1));
                }
                continue;
            }
            if let Some(name) = plain(&entry.name) {
                found.entry(name.to_owned()).or_insert(Entry { name: name.to_owned(), ..entry });
            }
        }
    }
    Ok(found)
}

/// Whether a name is that of a segment, of whatever size.
pub fn is_segment(name: &str) -> bool {
    name.len() == 24 && is_hexadecimal(name)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
}

/// The name by which PostgreSQL asks for a file; none where it asks for none of them.
fn plain(name: &str) -> Option<&str> {
    let history = name.get(..8).filter(|number| is_hexadecimal(number) && name[8..].starts_with(".history"));
    if history.is_some() {
        let rest = &name[16..];
        return (rest.is_empty() || archive_format::is_packed(rest)).then_some(&name[..16]);
    }
    let segment = name.get(..24).filter(|segment| is_segment(segment))?;
    let rest = &name[24..];
    (rest.is_empty() || archive_format::is_packed(rest)).then_some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_name_that_postgresql_asks_for() {
        let segment = "000000010000000000000003";
        let sum = "b3a8e0e1f9ab1bfe3a36f231f676f78bb30a519d";
        for packed in ["", ".gz", ".zst", ".lz4", &format!("-{sum}"), &format!("-{sum}.gz")] {
            assert_eq!(plain(&format!("{segment}{packed}")), Some(segment), "{packed}");
        }
        for other in [".partial", ".partial.gz", ".00000028.backup", ".tmp", "-x.gz", ".gz.tmp", "0"] {
            assert_eq!(plain(&format!("{segment}{other}")), None, "{other}");
        }
        assert_eq!(plain("00000002.history"), Some("00000002.history"));
        assert_eq!(plain("00000002.history.gz"), Some("00000002.history"));
        for other in ["archive.info", "00000002.history.tmp", "2.history", "", "00000002"] {
            assert_eq!(plain(other), None, "{other}");
        }
    }
}
