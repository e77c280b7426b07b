//! The exact set: which row versions one or several transactions removed, by the place where they lay. A copy that was
//! recovered to just before the first one's commit has the same row versions at the same places, because replay is physical.
//!
//! In memory and in the file it is kept by table and page, as ranges of line pointers, so that a million rows of whole
//! pages cost a few kilobytes. The file is text:
//!
//! ```text
//! lifeboat-exact-set 2
//! transactions 734,736
//! commit 0/2129F48
//! table {"schema":"public","name":"orders"}
//! 0-99:1-61
//! 100:1-7,9
//! changed {"schema":"public","name":"notes"}
//! 3:1-4
//! objects
//! 0:5
//! unplaced 2 {"schema":"public","name":"orders"}
//! outdated 7 {"schema":"public","name":"orders"}
//! ```

use std::{collections::BTreeMap, fmt::Write, iter};

use crate::{server::identifier::TableName, wal::segment::Lsn};

const FIRST_LINE: &str = "lifeboat-exact-set 2";
/// Of a file that knows one transaction and the rows that it removed, nothing else.
const FIRST_LINE_BEFORE: &str = "lifeboat-exact-set 1";

/// Row versions of several tables that transactions removed or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactSet {
    /// The transactions, in the order of their commits; never empty.
    pub transactions: Vec<u32>,
    /// Where the commit record of the first one begins: the copy stands just before it.
    pub commit: Lsn,
    /// What they removed, as it lies in the copy, by table.
    pub tables: BTreeMap<TableName, Tuples>,
    /// What they changed and is still there afterwards, as it lies in the copy, by table.
    pub changed: BTreeMap<TableName, Tuples>,
    /// Rows of `pg_largeobject_metadata` that they removed, as they lie in the copy: a large object each.
    pub objects: Tuples,
    /// Rows that they removed and that the copy does not have, by table: inserted between the first commit and their removal.
    pub unplaced: BTreeMap<TableName, u64>,
    /// Rows that they removed and that the copy has with an older content, by table: changed between the first commit and their
    /// removal.
    pub outdated: BTreeMap<TableName, u64>,
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

    /// Whether a row version is there.
    pub fn contains(&self, block: u32, offset: u16) -> bool {
        let Some(ranges) = self.pages.get(&block) else { return false };
        let after = ranges.partition_point(|range| range.first <= offset);
        after > 0 && offset <= ranges[after - 1].last
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
                // Writing to a String cannot fail.
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
    /// The set of these transactions, the first of which committed there, with nothing in it.
    pub fn empty(transactions: Vec<u32>, commit: Lsn) -> Self {
        let (tables, changed, objects) = (BTreeMap::new(), BTreeMap::new(), Tuples::default());
        Self { transactions, commit, tables, changed, objects, unplaced: BTreeMap::new(), outdated: BTreeMap::new() }
    }

    /// Rows that were removed, of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(Tuples::len).sum()
    }

    /// Rows that were changed, of all tables.
    pub fn rows_changed(&self) -> u64 {
        self.changed.values().map(Tuples::len).sum()
    }

    /// The transaction that committed first: just before it is where the copy stands.
    pub fn first(&self) -> u32 {
        self.transactions.first().copied().unwrap_or_default()
    }

    /// The file's text.
    pub fn print(&self) -> String {
        let transactions: Vec<_> = self.transactions.iter().map(u32::to_string).collect();
        let mut text = format!("{FIRST_LINE}\ntransactions {}\ncommit {}\n", transactions.join(","), self.commit);
        for (kind, tables) in [("table", &self.tables), ("changed", &self.changed)] {
            for (table, tuples) in tables {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{kind} {}", table_line(table));
                print_places(&mut text, tuples);
            }
        }
        if !self.objects.is_empty() {
            text.push_str("objects\n");
            print_places(&mut text, &self.objects);
        }
        for (kind, counts) in [("unplaced", &self.unplaced), ("outdated", &self.outdated)] {
            for (table, count) in counts {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{kind} {count} {}", table_line(table));
            }
        }
        text
    }

    /// Reads a file's text; what is wrong with it otherwise, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate();
        let mut expect = |what: &str| lines.next().map(|(_, line)| line).ok_or_else(|| format!("{what} is missing"));
        let transactions = match expect("the first line")? {
            FIRST_LINE => expect("the list of transactions")?.strip_prefix("transactions ").and_then(read_numbers),
            FIRST_LINE_BEFORE => expect("the xid")?.strip_prefix("xid ").and_then(|xid| Some(vec![xid.parse().ok()?])),
            _ => return Err(format!("the first line is not `{FIRST_LINE}`")),
        };
        let transactions = transactions.ok_or("line 2: no xid")?;
        let commit =
            expect("the commit")?.strip_prefix("commit ").and_then(|lsn| lsn.parse().ok()).ok_or("line 3: no LSN")?;
        let mut set = Self::empty(transactions, commit);
        let mut section = None;
        for (number, line) in lines {
            read_line(&mut set, &mut section, line).ok_or_else(|| format!("line {}: `{line}`", number + 1))?;
        }
        Ok(set)
    }
}

/// What the lines of places that follow belong to.
enum Section {
    Table(TableName),
    Changed(TableName),
    Objects,
}

impl Section {
    /// The section that a line begins, if it begins one.
    fn begun_by(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "table" => serde_json::from_str(rest).ok().map(Self::Table),
            "changed" => serde_json::from_str(rest).ok().map(Self::Changed),
            "objects" if rest.is_empty() => Some(Self::Objects),
            _ => None,
        }
    }

    fn tuples<'a>(&self, set: &'a mut ExactSet) -> &'a mut Tuples {
        match self {
            Self::Table(table) => set.tables.entry(table.clone()).or_default(),
            Self::Changed(table) => set.changed.entry(table.clone()).or_default(),
            Self::Objects => &mut set.objects,
        }
    }
}

fn read_line(set: &mut ExactSet, section: &mut Option<Section>, line: &str) -> Option<()> {
    for (kind, counts) in [("unplaced ", &mut set.unplaced), ("outdated ", &mut set.outdated)] {
        if let Some((count, table)) = line.strip_prefix(kind).and_then(|rest| rest.split_once(' ')) {
            counts.insert(serde_json::from_str(table).ok()?, count.parse().ok()?);
            return Some(());
        }
    }
    if let Some(begun) = Section::begun_by(line) {
        begun.tuples(set);
        *section = Some(begun);
        return Some(());
    }
    let tuples = section.as_ref()?.tuples(set);
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

fn read_numbers(text: &str) -> Option<Vec<u32>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}

fn table_line(table: &TableName) -> String {
    serde_json::json!({ "schema": table.schema, "name": table.name }).to_string()
}

fn print_places(text: &mut String, tuples: &Tuples) {
    for (first, last, ranges) in tuples.runs() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}:{}", span(first, last), spans(ranges));
    }
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
            transactions: vec![734, 736],
            commit: Lsn(0x212_9F48),
            tables: [(table("orders"), tuples), (table("a\nb"), odd.clone())].into(),
            changed: [(table("notes"), odd.clone())].into(),
            objects: odd,
            unplaced: [(table("orders"), 2)].into(),
            outdated: [(table("orders"), 7)].into(),
        };
        insta::assert_snapshot!(set.print());
        assert_eq!(set.rows(), 6104);
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_line() {
        let check = |text: &str, expect: &str| assert_eq!(ExactSet::parse(text), Err(expect.to_owned()), "{text}");
        check("", "the first line is missing");
        check("lifeboat-exact-set 3\n", "the first line is not `lifeboat-exact-set 2`");
        check("lifeboat-exact-set 1\nxid x\n", "line 2: no xid");
        check("lifeboat-exact-set 2\ntransactions\n", "line 2: no xid");
        check("lifeboat-exact-set 2\ntransactions 7,\n", "line 2: no xid");
        check("lifeboat-exact-set 2\ntransactions 7\n", "the commit is missing");
        let head = "lifeboat-exact-set 2\ntransactions 7\ncommit 0/1\n";
        check(&format!("{head}0:1\n"), "line 4: `0:1`");
        check(&format!("{head}objects of mine\n"), "line 4: `objects of mine`");
        check(&format!("{head}unplaced x {{}}\n"), "line 4: `unplaced x {}`");
        check(&format!("{head}table {{\"schema\":\"s\",\"name\":\"t\"}}\n0:2-1\n"), "line 5: `0:2-1`");
    }

    #[test]
    fn a_file_of_the_first_format_is_one_transaction() {
        let text = "lifeboat-exact-set 1\nxid 7\ncommit 0/1\ntable {\"schema\":\"public\",\"name\":\"t\"}\n0:1-2\n";
        let places = [(0, 1), (0, 2)].into_iter().collect();
        let tables = [(table("t"), places)].into();
        let expect = ExactSet { tables, ..ExactSet::empty(vec![7], Lsn(1)) };
        assert_eq!(ExactSet::parse(text), Ok(expect));
    }

    #[test]
    fn batches_are_literals() {
        let tuples: Tuples = [(0, 1), (0, 2), (5, 7)].into_iter().collect();
        let batches: Vec<_> = tuples.batches(2).collect();
        assert_eq!(batches, [("{\"(0,1)\",\"(0,2)\"}".to_owned(), 2), ("{\"(5,7)\"}".to_owned(), 1)]);
        assert_eq!(Tuples::default().batches(2).count(), 0);
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
            for (block, offset) in (0..7).flat_map(|block| (0..13).map(move |offset| (block, offset))) {
                prop_assert_eq!(tuples.contains(block, offset), model.contains(&(block, offset)));
            }
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
        fn a_printed_set_parses(
            transactions in prop::collection::vec(any::<u32>(), 1..4),
            commit: u64,
            tables in prop::collection::btree_map("\\PC{1,10}", places(), 0..4),
            changed in prop::collection::btree_map("\\PC{1,10}", places(), 0..3),
            objects in places(),
            unplaced in prop::collection::btree_map("\\PC{1,10}", any::<u64>(), 0..3),
            outdated in prop::collection::btree_map("\\PC{1,10}", any::<u64>(), 0..3),
        ) {
            let named = |tables: BTreeMap<String, Vec<(u32, u16)>>| {
                tables.into_iter().map(|(name, places)| (table(&name), places.into_iter().collect())).collect()
            };
            let counted = |counts: BTreeMap<String, u64>| {
                counts.into_iter().map(|(name, count)| (table(&name), count)).collect()
            };
            let set = ExactSet {
                transactions,
                commit: Lsn(commit),
                tables: named(tables),
                changed: named(changed),
                objects: objects.into_iter().collect(),
                unplaced: counted(unplaced),
                outdated: counted(outdated),
            };
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
