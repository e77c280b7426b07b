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
//! emptied {"schema":"public","name":"baskets"}
//! changed {"schema":"public","name":"notes"}
//! 3:1-4
//! became {"schema":"public","name":"notes"}
//! 3:1-4>5:7
//! objects
//! 0:5
//! unplaced 2 {"schema":"public","name":"orders"}
//! outdated 7 {"schema":"public","name":"orders"}
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    iter,
};

use crate::{rows::successors::Successors, server::identifier::TableName, wal::segment::Lsn};

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
    /// Tables that one of them emptied (`TRUNCATE`): of these, every row that the copy has. They are among `tables` too, which gets
    /// the places from the copy.
    pub emptied: BTreeSet<TableName>,
    /// What they changed and is still there afterwards, as it lies in the copy, by table.
    pub changed: BTreeMap<TableName, Tuples>,
    /// Of a change whose values come back: where the changed rows lie afterwards, by table.
    pub became: BTreeMap<TableName, Successors>,
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
        let (tables, changed, became) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (objects, unplaced, outdated) = (Tuples::default(), BTreeMap::new(), BTreeMap::new());
        let emptied = BTreeSet::new();
        Self { transactions, commit, tables, emptied, changed, became, objects, unplaced, outdated }
    }

    /// Rows that were removed, of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(Tuples::len).sum()
    }

    /// Rows that were changed, of all tables.
    pub fn rows_changed(&self) -> u64 {
        self.changed.values().map(Tuples::len).sum()
    }

    /// Rows whose values come back, of all tables.
    pub fn values(&self) -> u64 {
        self.became.values().map(Successors::len).sum()
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
        for table in &self.emptied {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "emptied {}", table_line(table));
        }
        for (table, rows) in &self.became {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "became {}", table_line(table));
            rows.print(&mut text);
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
    Became(TableName),
    Objects,
}

impl Section {
    /// The section that a line begins, if it begins one.
    fn begun_by(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        match kind {
            "table" => serde_json::from_str(rest).ok().map(Self::Table),
            "changed" => serde_json::from_str(rest).ok().map(Self::Changed),
            "became" => serde_json::from_str(rest).ok().map(Self::Became),
            "objects" if rest.is_empty() => Some(Self::Objects),
            _ => None,
        }
    }

    /// Adds a line; none if it is none of its kind.
    fn read_line(&self, set: &mut ExactSet, line: &str) -> Option<()> {
        match self {
            Self::Table(table) => read_places(set.tables.entry(table.clone()).or_default(), line),
            Self::Changed(table) => read_places(set.changed.entry(table.clone()).or_default(), line),
            Self::Became(table) => set.became.entry(table.clone()).or_default().read_line(line),
            Self::Objects => read_places(&mut set.objects, line),
        }
    }

    /// Notes that it is there, also without a line.
    fn begin(&self, set: &mut ExactSet) {
        match self {
            Self::Table(table) => {
                set.tables.entry(table.clone()).or_default();
            }
            Self::Changed(table) => {
                set.changed.entry(table.clone()).or_default();
            }
            Self::Became(table) => {
                set.became.entry(table.clone()).or_default();
            }
            Self::Objects => {}
        }
    }
}

fn read_line(set: &mut ExactSet, section: &mut Option<Section>, line: &str) -> Option<()> {
    if let Some(table) = line.strip_prefix("emptied ") {
        let table: TableName = serde_json::from_str(table).ok()?;
        set.tables.entry(table.clone()).or_default();
        set.emptied.insert(table);
        return Some(());
    }
    for (kind, counts) in [("unplaced ", &mut set.unplaced), ("outdated ", &mut set.outdated)] {
        if let Some((count, table)) = line.strip_prefix(kind).and_then(|rest| rest.split_once(' ')) {
            counts.insert(serde_json::from_str(table).ok()?, count.parse().ok()?);
            return Some(());
        }
    }
    if let Some(begun) = Section::begun_by(line) {
        begun.begin(set);
        *section = Some(begun);
        return Some(());
    }
    section.as_ref()?.read_line(set, line)
}

fn read_places(tuples: &mut Tuples, line: &str) -> Option<()> {
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
mod tests;
