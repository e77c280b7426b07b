//! How an archive keeps its segments. Plain files, side by side, are read; what other tools write is told by its names.

use lifeboat_plugin::{
    Failure,
    machine::{Entry, EntryKind},
};

use crate::wal::segment::{Segment, SegmentSize};

/// Endings of files that a tool has compressed or encrypted.
const PACKED: [&str; 11] = ["gz", "zst", "lz4", "bz2", "xz", "lzo", "br", "Z", "gpg", "age", "enc"];

/// The segment in a file that is compressed: `000000010000000000000003.gz`, or with a checksum in its name, as pgBackRest has it.
pub fn packed(name: &str, size: SegmentSize) -> Option<Segment> {
    let segment = Segment::parse(name.get(..24)?, size)?;
    let rest = &name[24..];
    (rest.contains('.') && is_packed(rest)).then_some(segment)
}

/// Whether this is what a tool puts behind the name of a file that it packs: an ending, a checksum as pgBackRest has it, or both.
pub fn is_packed(rest: &str) -> bool {
    let (sum, ending) = rest.split_once('.').map_or((rest, None), |(sum, ending)| (sum, Some(ending)));
    let is_sum = sum.len() == 41 && sum.starts_with('-') && sum[1..].bytes().all(|it| it.is_ascii_hexdigit());
    match ending {
        Some(ending) => (sum.is_empty() || is_sum) && PACKED.contains(&ending),
        None => is_sum,
    }
}

/// A folder that only one of the known tools makes, and the tool.
fn tool(entry: &Entry) -> Option<&'static str> {
    let name = entry.name.as_str();
    let of_log_file = name.len() == 16 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    match (entry.kind, name) {
        (EntryKind::File, "archive.info") => Some("pgBackRest"),
        (EntryKind::Folder, "wal_005") => Some("WAL-G"),
        (EntryKind::Folder, "wals") => Some("Barman"),
        (EntryKind::Folder, _) if of_log_file => Some("pgBackRest and Barman"),
        (EntryKind::Folder, _) if is_pgbackrest_history(name) => Some("pgBackRest"),
        _ => None,
    }
}

/// `15-1`: a major version and a number.
fn is_pgbackrest_history(name: &str) -> bool {
    name.split_once('-').is_some_and(|(major, number)| {
        major.parse::<u8>().is_ok_and(|major| major >= 9) && number.parse::<u16>().is_ok()
    })
}

/// Fails with `pg-archive-format` where the archive is one that is not read: its newest segment is compressed, or none lies
/// beside the folders of a known tool. `below` are the entries of its folders.
pub fn check(path: &str, entries: &[Entry], below: &[Entry], size: SegmentSize) -> Result<(), Failure> {
    let files = || entries.iter().filter(|entry| entry.kind != EntryKind::Folder);
    let plain = files().filter_map(|entry| Segment::parse(&entry.name, size)).map(|segment| segment.number).max();
    let newest = files().filter_map(|entry| Some((packed(&entry.name, size)?.number, &entry.name))).max();
    if let Some((number, name)) = newest
        && plain.is_none_or(|plain| plain < number)
    {
        return Err(refused(&format!("{path} holds {name}: compressed segments are not read")));
    }
    let of_tool = || entries.iter().chain(below).find_map(|entry| Some((tool(entry)?, &entry.name)));
    if plain.is_none()
        && let Some((tool, name)) = of_tool()
    {
        return Err(refused(&format!("{path} holds {name}, as {tool} writes it: nested archives are not read")));
    }
    Ok(())
}

/// The failure for an archive that is not read.
pub fn refused(what: &str) -> Failure {
    let message = format!(
        "{what}; give the folder `archive` in the bindings a `restore_command` that fetches them, such as `gunzip < /srv/archive/%f.gz > %p`"
    );
    Failure::permanent("pg-archive-format", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_known_by_its_names() {
        let check = |entries: &[&str], below: &[&str], expect: Option<&str>| {
            let entry = |name: &&str| {
                let kind = if name.ends_with('/') { EntryKind::Folder } else { EntryKind::File };
                Entry { name: name.trim_end_matches('/').to_owned(), kind, size: 1, modified_ms: 0 }
            };
            let list = |names: &[&str]| names.iter().map(entry).collect::<Vec<_>>();
            let failure = super::check("/a", &list(entries), &list(below), SegmentSize::DEFAULT).err();
            let message = failure.map(|failure| failure.reason().message.clone()).unwrap_or_default();
            assert_eq!(message.is_empty(), expect.is_none(), "{entries:?}: {message}");
            assert!(message.contains(expect.unwrap_or_default()), "{entries:?}: {message}");
        };
        check(&[], &[], None);
        check(&["000000010000000000000003"], &[], None);
        check(&["lost+found/"], &[], None);
        check(&["000000010000000000000003.gz"], &[], Some("holds 000000010000000000000003.gz"));
        check(&["000000010000000000000003.zst", "000000010000000000000002"], &[], Some("003.zst"));
        check(&["000000010000000000000003.lz4"], &[], Some("compressed"));
        let sum = "000000010000000000000003-b3a8e0e1f9ab1bfe3a36f231f676f78bb30a519d.zst";
        check(&[sum], &[], Some("compressed"));
        // Older ones are compressed by a job at night.
        check(&["000000010000000000000002.gz", "000000010000000000000003"], &[], None);
        for other in ["000000010000000000000003.partial", "000000010000000000000003.00000028.backup"] {
            check(&[other, "000000010000000000000003.tmp", "00000002.history.gz"], &[], None);
        }
        check(&["0000000100000000/"], &[], Some("pgBackRest and Barman"));
        check(&["15-1/"], &[], Some("pgBackRest"));
        check(&["main/"], &["archive.info", "15-1/"], Some("pgBackRest"));
        check(&["main/"], &["wals/", "base/"], Some("Barman"));
        check(&["wal_005/", "basebackups_005/"], &[], Some("WAL-G"));
        check(&["0000000100000000/", "000000010000000000000003"], &[], None);
    }
}
