//! The exact set: which row versions a transaction removed, by the place where they lay. A copy that was recovered to just
//! before that transaction's commit has the same row versions at the same places, because replay is physical.
//!
//! In memory and in the file it is kept by table and page, as ranges of line pointers, so that a million rows of whole
//! pages cost a few kilobytes. The file is text:
//!
//! ```text
//! lifeboat-exact-set 1
//! xid 734
//! commit 0/2129F48
//! table {"schema":"public","name":"orders"}
//! 0-99:1-61
//! 100:1-7,9
//! ```

use std::{collections::BTreeMap, fmt::Write, iter};

use sha2::{Digest, Sha256};

use crate::{identifier::TableName, wal_name::Lsn};

const FIRST_LINE: &str = "lifeboat-exact-set 1";

/// Row versions of several tables that one transaction removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactSet {
    /// The transaction.
    pub xid: u32,
    /// Where its commit record begins.
    pub commit: Lsn,
    /// Its tables, by name.
    pub tables: BTreeMap<TableName, Tuples>,
}

/// Row versions of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuples {
    pages: BTreeMap<u32, Vec<Range>>,
    count: u64,
}

/// Line pointers of a page, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
}

impl Tuples {
    /// Adds a row version; false where it was there already.
    pub fn insert(&mut self, block: u32, offset: u16) -> bool {
        let ranges = self.pages.entry(block).or_default();
        let added = insert(ranges, offset);
        self.count += u64::from(added);
        added
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Every `(block, offset)`, in the order of the table's file.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u16)> + '_ {
        self.pages.iter().flat_map(|(block, ranges)| {
            ranges.iter().flat_map(|range| (range.first..=range.last).map(|offset| (*block, offset)))
        })
    }

    /// `tid[]` literals (`{"(0,1)","(0,2)"}`) of at most `size` row versions each, with how many each has.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = (String, u64)> + '_ {
        let mut places = self.iter().peekable();
        iter::from_fn(move || {
            places.peek()?;
            let mut literal = String::from("{");
            let mut count = 0;
            for (block, offset) in places.by_ref().take(size.max(1)) {
                let comma = if count == 0 { "" } else { "," };
                // Writing to a String can not fail.
                let _ = write!(literal, "{comma}\"({block},{offset})\"");
                count += 1;
            }
            literal.push('}');
            Some((literal, count))
        })
    }

    /// Runs of pages with the same line pointers: first page, last page, ranges.
    fn runs(&self) -> Vec<(u32, u32, &Vec<Range>)> {
        let mut runs: Vec<(u32, u32, &Vec<Range>)> = Vec::new();
        for (block, ranges) in &self.pages {
            match runs.last_mut() {
                Some((_, last, same)) if last.checked_add(1) == Some(*block) && *same == ranges => *last = *block,
                _ => runs.push((*block, *block, ranges)),
            }
        }
        runs
    }
}

fn insert(ranges: &mut Vec<Range>, offset: u16) -> bool {
    let at = ranges.partition_point(|range| range.first <= offset);
    if at > 0 && offset <= ranges[at - 1].last {
        return false;
    }
    let touches_left = at > 0 && ranges[at - 1].last + 1 == offset;
    let touches_right = ranges.get(at).is_some_and(|range| offset + 1 == range.first);
    match (touches_left, touches_right) {
        (true, true) => ranges[at - 1].last = ranges.remove(at).last,
        (true, false) => ranges[at - 1].last = offset,
        (false, true) => ranges[at].first = offset,
        (false, false) => ranges.insert(at, Range { first: offset, last: offset }),
    }
    true
}

impl FromIterator<(u32, u16)> for Tuples {
    fn from_iter<I: IntoIterator<Item = (u32, u16)>>(places: I) -> Self {
        let mut tuples = Self::default();
        for (block, offset) in places {
            tuples.insert(block, offset);
        }
        tuples
    }
}

impl ExactSet {
    /// Rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(Tuples::len).sum()
    }

    /// The file's text.
    pub fn print(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nxid {}\ncommit {}\n", self.xid, self.commit);
        for (table, tuples) in &self.tables {
            let name = serde_json::json!({ "schema": table.schema, "name": table.name });
            // Writing to a String can not fail.
            let _ = writeln!(text, "table {name}");
            for (first, last, ranges) in tuples.runs() {
                let _ = writeln!(text, "{}:{}", span(first, last), spans(ranges));
            }
        }
        text
    }

    /// Reads a file's text; what is wrong with it otherwise, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate();
        let mut expect = |what: &str| lines.next().map(|(_, line)| line).ok_or_else(|| format!("{what} is missing"));
        if expect("the first line")? != FIRST_LINE {
            return Err(format!("the first line is not `{FIRST_LINE}`"));
        }
        let xid = expect("the xid")?.strip_prefix("xid ").and_then(|xid| xid.parse().ok()).ok_or("line 2: no xid")?;
        let commit =
            expect("the commit")?.strip_prefix("commit ").and_then(|lsn| lsn.parse().ok()).ok_or("line 3: no LSN")?;
        let mut set = Self { xid, commit, tables: BTreeMap::new() };
        let mut table = None;
        for (number, line) in lines {
            read_line(&mut set, &mut table, line).ok_or_else(|| format!("line {}: `{line}`", number + 1))?;
        }
        Ok(set)
    }
}

fn read_line(set: &mut ExactSet, table: &mut Option<TableName>, line: &str) -> Option<()> {
    if let Some(name) = line.strip_prefix("table ") {
        let name: TableName = serde_json::from_str(name).ok()?;
        set.tables.entry(name.clone()).or_default();
        *table = Some(name);
        return Some(());
    }
    let tuples = set.tables.get_mut(table.as_ref()?)?;
    let (blocks, offsets) = line.split_once(':')?;
    let (first, last) = read_span::<u32>(blocks)?;
    for range in offsets.split(',') {
        let (low, high) = read_span::<u16>(range)?;
        for block in first..=last {
            for offset in low..=high {
                tuples.insert(block, offset);
            }
        }
    }
    Some(())
}

fn span<T: PartialEq + ToString>(first: T, last: T) -> String {
    if first == last { first.to_string() } else { format!("{}-{}", first.to_string(), last.to_string()) }
}

fn spans(ranges: &[Range]) -> String {
    ranges.iter().map(|range| span(range.first, range.last)).collect::<Vec<_>>().join(",")
}

fn read_span<T: std::str::FromStr + PartialOrd + Copy>(text: &str) -> Option<(T, T)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// `sha256:…` of these bytes.
pub fn digest(content: &[u8]) -> String {
    format!("sha256:{}", hexadecimal(&Sha256::digest(content)))
}

/// Lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String can not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn table(name: &str) -> TableName {
        TableName { schema: "public".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn whole_pages_cost_one_line() {
        let tuples: Tuples = (0..100).flat_map(|block| (1..=61).map(move |offset| (block, offset))).collect();
        let mut odd: Tuples = [(7, 3), (7, 1), (7, 2), (7, 9)].into_iter().collect();
        assert!(!odd.insert(7, 2));
        let set = ExactSet {
            xid: 734,
            commit: Lsn(0x212_9F48),
            tables: [(table("orders"), tuples), (table("a\nb"), odd)].into(),
        };
        insta::assert_snapshot!(set.print());
        assert_eq!(set.rows(), 6104);
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_line() {
        let check = |text: &str, expect: &str| assert_eq!(ExactSet::parse(text), Err(expect.to_owned()), "{text}");
        check("", "the first line is missing");
        check("lifeboat-exact-set 2\n", "the first line is not `lifeboat-exact-set 1`");
        check("lifeboat-exact-set 1\nxid x\n", "line 2: no xid");
        check("lifeboat-exact-set 1\nxid 7\n", "the commit is missing");
        check("lifeboat-exact-set 1\nxid 7\ncommit 0/1\n0:1\n", "line 4: `0:1`");
        let table = r#"table {"schema":"s","name":"t"}"#;
        check(&format!("lifeboat-exact-set 1\nxid 7\ncommit 0/1\n{table}\n0:2-1\n"), "line 5: `0:2-1`");
    }

    #[test]
    fn batches_are_literals() {
        let tuples: Tuples = [(0, 1), (0, 2), (5, 7)].into_iter().collect();
        let batches: Vec<_> = tuples.batches(2).collect();
        assert_eq!(batches, [("{\"(0,1)\",\"(0,2)\"}".to_owned(), 2), ("{\"(5,7)\"}".to_owned(), 1)]);
        assert_eq!(Tuples::default().batches(2).count(), 0);
    }

    #[test]
    fn the_digest_is_sha_256() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(digest(b"abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    /// The places of `{"(0,1)","(0,2)"}`.
    fn read_literal(literal: &str) -> Vec<(u32, u16)> {
        let inner = literal.strip_prefix("{\"(").and_then(|rest| rest.strip_suffix(")\"}")).expect("an array");
        let place = |text: &str| {
            let (block, offset) = text.split_once(',').expect("a place");
            (block.parse().expect("a block"), offset.parse().expect("an offset"))
        };
        inner.split(")\",\"(").map(place).collect()
    }

    fn places() -> impl Strategy<Value = Vec<(u32, u16)>> {
        prop::collection::vec((0_u32..6, 1_u16..12), 0..80)
    }

    proptest! {
        #[test]
        fn it_is_a_set(places in places()) {
            let tuples: Tuples = places.iter().copied().collect();
            let model: BTreeSet<_> = places.iter().copied().collect();
            prop_assert_eq!(tuples.len(), model.len() as u64);
            prop_assert_eq!(tuples.iter().collect::<Vec<_>>(), model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn order_does_not_matter(places in places(), seed: u64) {
            let mut other = places.clone();
            if !other.is_empty() {
                let middle = usize::try_from(seed % other.len() as u64).expect("small");
                other.rotate_left(middle);
            }
            prop_assert_eq!(places.into_iter().collect::<Tuples>(), other.into_iter().collect::<Tuples>());
        }

        #[test]
        fn a_printed_set_parses(xid: u32, commit: u64, tables in prop::collection::btree_map("\\PC{1,10}", places(), 0..4)) {
            let tables = tables.into_iter().map(|(name, places)| (table(&name), places.into_iter().collect())).collect();
            let set = ExactSet { xid, commit: Lsn(commit), tables };
            prop_assert_eq!(ExactSet::parse(&set.print()), Ok(set));
        }

        #[test]
        fn batches_hold_everything_once(places in places(), size in 1_usize..9) {
            let tuples: Tuples = places.into_iter().collect();
            let batches: Vec<_> = tuples.batches(size).collect();
            let read: Vec<_> = batches.iter().map(|(literal, _)| read_literal(literal)).collect();
            prop_assert_eq!(read.concat(), tuples.iter().collect::<Vec<_>>());
            for ((_, count), read) in batches.iter().zip(&read) {
                prop_assert_eq!(*count, read.len() as u64);
                prop_assert!(*count <= size as u64);
            }
        }
    }
}
