//! Lines of pg_waldump. It writes them for people and says that the text is no stable interface: PostgreSQL 15 prints
//! `off 42 flags 0x00`, 16 and later print `off: 42, infobits: [KEYS_UPDATED], flags: 0x00`. Both are read here.
//!
//! Only what finding damage needs is parsed; every other record is [`Kind::Other`].

use std::fmt;

use crate::wal_name::Lsn;

/// A relation's file: tablespace, database, filenode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filenode {
    /// OID of the tablespace.
    pub tablespace: u32,
    /// OID of the database.
    pub database: u32,
    /// The file's number.
    pub node: u32,
}

impl fmt::Display for Filenode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tablespace, self.database, self.node)
    }
}

/// Where a row version lies: `ctid`, and in which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file.
    pub file: Filenode,
    /// Counted from 0.
    pub block: u32,
    /// Counted from 1.
    pub offset: u16,
}

/// A record that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The (sub)transaction that wrote it.
    pub xid: u32,
    /// Where it begins.
    pub lsn: Lsn,
    /// What it says.
    pub kind: Kind,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A row version was written.
    Insert(Place),
    /// A row version was removed.
    Delete(Place),
    /// A row version was replaced.
    Update {
        /// The one that was replaced.
        old: Place,
        /// The one that took its place.
        new: Place,
    },
    /// Tables were truncated (written only where `wal_level` is `logical`). OIDs.
    Truncate(Vec<u32>),
    /// A relation got a new file.
    Create {
        /// OID of the database.
        database: u32,
        /// The file's number.
        node: u32,
    },
    /// The transaction took effect.
    Commit {
        /// `2026-11-21 03:55:29.073844 UTC`.
        time: String,
        /// Its subtransactions that took effect with it.
        subtransactions: Vec<u32>,
        /// Numbers of the files that were dropped with it.
        dropped: Vec<u32>,
    },
    /// The transaction did not take effect.
    Abort {
        /// Its subtransactions.
        subtransactions: Vec<u32>,
    },
    /// Something else.
    Other,
}

/// The record on a line; none where the line is no record.
pub fn parse(line: &str) -> Option<Record> {
    let xid = number(after(line, "tx:")?.trim_start())?;
    let lsn = after(line, "lsn: ")?;
    let lsn = lsn[..lsn.find(',')?].parse().ok()?;
    let description = after(line, "desc: ")?;
    let (xid, kind) = match word(line.strip_prefix("rmgr: ")?) {
        "Heap" => (xid, heap(description)?),
        "Transaction" => transaction(xid, description)?,
        "Storage" => (xid, storage(description).unwrap_or(Kind::Other)),
        _ => (xid, Kind::Other),
    };
    Some(Record { xid, lsn, kind })
}

fn heap(description: &str) -> Option<Kind> {
    // An insertion that lost the race for a unique key (`ON CONFLICT`) takes its own row away again (0x08), never visible; and
    // an update that moves a row to another partition deletes it here and inserts it there (0x10). Neither removes a row.
    const NOT_REMOVED: u32 = 0x08 | 0x10;
    let operation = word(description);
    Some(match operation.trim_end_matches("+INIT") {
        "DELETE" if flags(description)? & NOT_REMOVED != 0 => Kind::Other,
        "DELETE" => Kind::Delete(place(description, &["off "], &["off: "], "blkref #0: ")?),
        "INSERT" => Kind::Insert(place(description, &["off "], &["off: "], "blkref #0: ")?),
        "UPDATE" | "HOT_UPDATE" => {
            // The new page comes first; where old and new lie on one page it stands alone.
            let old_page = if description.contains("blkref #1: ") { "blkref #1: " } else { "blkref #0: " };
            Kind::Update {
                old: place(description, &["UPDATE off ", "+INIT off "], &["old_off: "], old_page)?,
                new: place(description, &["new off "], &["new_off: "], "blkref #0: ")?,
            }
        }
        "TRUNCATE" => Kind::Truncate(numbers(after(description, " relids")?.trim_start_matches([':', ' ', '[']))),
        _ => Kind::Other,
    })
}

fn transaction(xid: u32, description: &str) -> Option<(u32, Kind)> {
    let (operation, rest) = description.split_once(' ').unwrap_or((description, ""));
    // The end of a prepared transaction carries the xid of that transaction in its text.
    let (xid, rest) = match operation.strip_suffix("_PREPARED") {
        Some(_) => rest.split_once(": ").and_then(|(xid, rest)| Some((xid.parse().ok()?, rest)))?,
        None => (xid, rest),
    };
    let list = |name: &str| after(rest, name).map(numbers).unwrap_or_default();
    let kind = match operation.trim_end_matches("_PREPARED") {
        "COMMIT" => Kind::Commit {
            time: rest.split(';').next()?.trim().to_owned(),
            subtransactions: list("subxacts: "),
            dropped: after(rest, "rels: ").map(dropped).unwrap_or_default(),
        },
        "ABORT" => Kind::Abort { subtransactions: list("subxacts: ") },
        _ => Kind::Other,
    };
    Some((xid, kind))
}

fn storage(description: &str) -> Option<Kind> {
    let path = description.strip_prefix("CREATE ")?;
    let (database, node) = database_and_node(word(path))?;
    Some(Kind::Create { database, node })
}

/// `base/16384/16429`, or `pg_tblspc/16390/PG_15_202209061/16384/16429`; forks (`16429_fsm`) are not meant.
fn database_and_node(path: &str) -> Option<(u32, u32)> {
    let mut parts = path.trim_end_matches([';', ',']).rsplit('/');
    let node = parts.next()?.parse().ok()?;
    Some((parts.next()?.parse().ok()?, node))
}

fn dropped(list: &str) -> Vec<u32> {
    let list = list.split(';').next().unwrap_or(list);
    list.split_ascii_whitespace().filter_map(database_and_node).map(|(_, node)| node).collect()
}

fn place(description: &str, old_style: &[&str], new_style: &[&str], page: &str) -> Option<Place> {
    let (head, pages) = description.split_at(description.find("blkref #0: ")?);
    let offset = new_style.iter().chain(old_style).find_map(|label| after(head, label)).and_then(number)?;
    let (file, block) = reference(after(pages, page)?)?;
    Some(Place { file, block, offset: u16::try_from(offset).ok()? })
}

/// `rel 1663/16384/16416 blk 16`; another fork than the main one is no row.
fn reference(text: &str) -> Option<(Filenode, u32)> {
    let (relation, rest) = text.strip_prefix("rel ")?.split_once(' ')?;
    let mut parts = relation.split('/').map(|part| part.parse::<u32>().ok());
    let file = Filenode { tablespace: parts.next()??, database: parts.next()??, node: parts.next()?? };
    Some((file, number(rest.strip_prefix("blk ")?)?))
}

fn flags(description: &str) -> Option<u32> {
    let text = after(description, "flags: 0x").or_else(|| after(description, "flags 0x"))?;
    u32::from_str_radix(text.get(..2)?, 16).ok()
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    text.find(label).map(|at| &text[at + label.len()..])
}

fn word(text: &str) -> &str {
    text.split([' ', ',']).next().unwrap_or(text)
}

fn number(text: &str) -> Option<u32> {
    let end = text.find(|each: char| !each.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// Numbers separated by blanks or commas, up to the first thing that is none.
fn numbers(text: &str) -> Vec<u32> {
    let items = text.split([' ', ',']).filter(|item| !item.is_empty());
    items.map_while(|item| item.trim_end_matches([';', ']']).parse().ok()).collect()
}

#[cfg(test)]
mod tests;
