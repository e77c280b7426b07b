//! Lines of pg_waldump. It writes them for people and says that the text is no stable interface: PostgreSQL 15 prints
//! `off 42 flags 0x00`, 16 and later print `off: 42, infobits: [KEYS_UPDATED], flags: 0x00`. Both are read here.
//!
//! Only what finding damage needs is parsed; every other record is [`Kind::Other`]. A line that cannot be trusted is no
//! record: better no set than an incomplete one.

use std::fmt;

use crate::wal::segment::Lsn;

/// The host cuts longer lines.
const LINE_BYTES_MAX: usize = 4 << 20;

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
    /// Many row versions were written to one page (`COPY`).
    InsertMany {
        /// The file.
        file: Filenode,
        /// The page.
        block: u32,
        /// Where on the page; none where the text does not say: before version 16, and beside an image of the page.
        offsets: Option<Vec<u16>>,
    },
    /// A row version was removed.
    Delete(Place),
    /// A row left this place for another partition, where it is inserted next.
    MoveAway(Place),
    /// An insertion lost the race for a unique key (`ON CONFLICT`) and removed its own row version, which no other transaction saw.
    TakeBack(Place),
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
    /// Which transactions ran at this moment.
    Running {
        /// No transaction had been given this xid, or a later one, yet.
        next_xid: u32,
    },
    /// Tables were locked against reading: OID of the database, OID of the table.
    Lock(Vec<(u32, u32)>),
    /// Something else.
    Other,
}

/// The record on a line; none where the line is no record.
pub fn parse(line: &str) -> Option<Record> {
    let rest = after(line, "tx:")?;
    let xid = number(rest.trim_start())?;
    let rest = after(rest, "lsn: ")?;
    let (lsn, rest) = rest.split_once(',')?;
    let lsn = lsn.parse().ok()?;
    let description = after(rest, "desc: ")?;
    let cut = line.len() >= LINE_BYTES_MAX;
    let (xid, kind) = match word(line.strip_prefix("rmgr: ")?) {
        "Heap" => (xid, heap(description)?),
        "Heap2" => (xid, heap2(description)?),
        // If a line ends with messages, what a cut removed from its end does not matter.
        "Transaction" if cut && !description.contains("inval msgs: ") => return None,
        "Transaction" => transaction(xid, description)?,
        "Storage" => (xid, storage(description).unwrap_or(Kind::Other)),
        "Standby" => (xid, standby(description)?),
        _ => (xid, Kind::Other),
    };
    Some(Record { xid, lsn, kind })
}

fn heap(description: &str) -> Option<Kind> {
    const IS_TAKEN_BACK: u32 = 0x08;
    const IS_MOVED_AWAY: u32 = 0x10;
    let operation = word(description);
    let here = || place(description, &["off"], "blkref #0: ");
    Some(match operation.trim_end_matches("+INIT") {
        "DELETE" => match flags(description)? {
            flags if flags & IS_TAKEN_BACK != 0 => Kind::TakeBack(here()?),
            flags if flags & IS_MOVED_AWAY != 0 => Kind::MoveAway(here()?),
            _ => Kind::Delete(here()?),
        },
        "INSERT" => Kind::Insert(here()?),
        "UPDATE" | "HOT_UPDATE" => {
            // The new page comes first; where old and new lie on one page it stands alone.
            let old_page = if description.contains("blkref #1: ") { "blkref #1: " } else { "blkref #0: " };
            Kind::Update {
                old: place(description, &["old_off", "off"], old_page)?,
                new: place(description, &["new_off", "new off"], "blkref #0: ")?,
            }
        }
        "TRUNCATE" => Kind::Truncate(numbers(after(description, " relids")?.trim_start_matches([':', ' ', '[']))),
        _ => Kind::Other,
    })
}

fn heap2(description: &str) -> Option<Kind> {
    let operation = word(description);
    let Some(kind) = operation.strip_prefix("MULTI_INSERT") else { return Some(Kind::Other) };
    let (head, pages) = description.split_at(find(description, "blkref #0: ")?);
    let (file, block) = reference(after(pages, "blkref #0: ")?)?;
    let count = after(head, "ntuples: ").or_else(|| after(head, operation).map(str::trim_start)).and_then(number)?;
    let count = u16::try_from(count).ok()?;
    let offsets = match after(head, "offsets: [") {
        // A page that is written from scratch is filled from its begin.
        _ if kind == "+INIT" => Some((1..=count).collect()),
        Some(list) => {
            let offsets: Vec<u16> = numbers(list).into_iter().map(u16::try_from).collect::<Result<_, _>>().ok()?;
            (offsets.len() == usize::from(count)).then_some(Some(offsets))?
        }
        None => None,
    };
    Some(Kind::InsertMany { file, block, offsets })
}

fn standby(description: &str) -> Option<Kind> {
    Some(match word(description) {
        "RUNNING_XACTS" => Kind::Running { next_xid: number(after(description, "nextXid ")?)? },
        "LOCK" => Kind::Lock(description.split("xid ").skip(1).filter_map(lock).collect()),
        _ => Kind::Other,
    })
}

/// `750 db 16384 rel 16416`.
fn lock(text: &str) -> Option<(u32, u32)> {
    Some((number(after(text, "db ")?)?, number(after(text, "rel ")?)?))
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

/// The first of these labels that is there names the offset: `off 42`, `off: 42`.
fn place(description: &str, labels: &[&str], page: &str) -> Option<Place> {
    let (head, pages) = description.split_at(find(description, "blkref #0: ")?);
    let offset = labels.iter().find_map(|label| after(head, label))?;
    let offset = number(offset.trim_start_matches([':', ' ']))?;
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
    let text = after(description, "flags")?.trim_start_matches([':', ' ']).strip_prefix("0x")?;
    u32::from_str_radix(text.get(..2)?, 16).ok()
}

/// Labels are short and lines too: looking at each place costs less than preparing a cleverer search.
fn find(text: &str, label: &str) -> Option<usize> {
    let (text, label) = (text.as_bytes(), label.as_bytes());
    let last = text.len().checked_sub(label.len())?;
    (0..=last).find(|at| text[*at] == label[0] && text[*at..].starts_with(label))
}

fn after<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    find(text, label).map(|at| &text[at + label.len()..])
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
