//! What a merge could not put back, by place: the rows whose parent is gone, and those in whose place there is other content.
//! Later steps read it: a row that is known to be left is not missing, and an older version replaces only exactly the content
//! that a person was shown.
//!
//! ```text
//! lifeboat-left 1
//! horizon 4711
//! table {"schema":"public","name":"orders"}
//! gone 12:1,2,7
//! kept 12:9
//! wrong 13:1
//! shown 12,9 0f343b0931126a20f133d67c2b018a3b
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use lifeboat_plugin::{Failure, Machine};

use crate::{call::digest, server::identifier::TableName};

const FIRST_LINE: &str = "lifeboat-left 1";
/// The most rows whose shown content is kept: the file has a limit.
pub const SHOWN_MAX: usize = 200_000;

/// Blocks and offsets.
pub type Places = BTreeSet<(u32, u16)>;

/// Of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Rows whose parent is gone.
    pub gone: Places,
    /// Rows that are not back for another reason: their key or another unique value has other content, or a rule of the
    /// table refuses them.
    pub kept: Places,
    /// Changed rows that still have a value that the mistake wrote, because a rule of the table refuses the older one.
    pub wrong: Places,
    /// What the server has under the key of a row, as a digest.
    pub shown: BTreeMap<(u32, u16), String>,
}

/// Everything that is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Every transaction before this one had ended when the merge looked.
    pub horizon: u64,
    /// By table.
    pub tables: BTreeMap<TableName, Rows>,
}

impl Left {
    /// The file's text.
    pub fn print(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nhorizon {}\n", self.horizon);
        for (table, rows) in &self.tables {
            let name = serde_json::json!({ "schema": table.schema, "name": table.name });
            // Writing to a String cannot fail.
            let _ = writeln!(text, "table {name}");
            for (word, places) in [("gone", &rows.gone), ("kept", &rows.kept), ("wrong", &rows.wrong)] {
                for (block, offsets) in by_block(places) {
                    let _ = writeln!(text, "{word} {block}:{}", offsets.join(","));
                }
            }
            for ((block, offset), digest) in &rows.shown {
                let _ = writeln!(text, "shown {block},{offset} {digest}");
            }
        }
        text
    }

    /// Reads a file's text; what is wrong with it otherwise, with the line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate();
        let mut next = || lines.next().map(|(_, line)| line).unwrap_or_default();
        if next() != FIRST_LINE {
            return Err(format!("the first line is not `{FIRST_LINE}`"));
        }
        let horizon = next().strip_prefix("horizon ").and_then(|xid| xid.parse().ok()).ok_or("line 2: no horizon")?;
        let mut left = Self { horizon, tables: BTreeMap::new() };
        let mut table = None;
        for (number, line) in lines {
            left.read(&mut table, line).ok_or_else(|| format!("line {}: `{line}`", number + 1))?;
        }
        Ok(left)
    }

    fn read(&mut self, table: &mut Option<TableName>, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        if word == "table" {
            let name: TableName = serde_json::from_str(rest).ok()?;
            self.tables.entry(name.clone()).or_default();
            *table = Some(name);
            return Some(());
        }
        let rows = self.tables.get_mut(table.as_ref()?)?;
        match word {
            "gone" => read_places(&mut rows.gone, rest),
            "kept" => read_places(&mut rows.kept, rest),
            "wrong" => read_places(&mut rows.wrong, rest),
            "shown" => {
                let (place, digest) = rest.split_once(' ')?;
                let (block, offset) = place.split_once(',')?;
                rows.shown.insert((block.parse().ok()?, offset.parse().ok()?), digest.to_owned());
                Some(())
            }
            _ => None,
        }
    }

    /// Reads the file of a merge; fails with `pg-set-changed` where it is not the one with that digest.
    pub fn read_file(caps: &impl Machine, machine: &str, path: &str, expected: &str) -> Result<Self, Failure> {
        let content = caps.read_file(machine, path)?;
        let found = digest::of(&content);
        if found != expected {
            let message =
                format!("{path} has the digest {found}, not {expected}: it was changed after the merge wrote it");
            return Err(Failure::permanent("pg-set-changed", message));
        }
        Self::parse(&String::from_utf8_lossy(&content))
            .map_err(|what| Failure::permanent("pg-set-damaged", format!("{path}: {what}")))
    }

    /// How many rows are left.
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|rows| (rows.gone.len() + rows.kept.len()) as u64).sum()
    }
}

fn by_block(places: &Places) -> BTreeMap<u32, Vec<String>> {
    let mut blocks: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (block, offset) in places {
        blocks.entry(*block).or_default().push(offset.to_string());
    }
    blocks
}

fn read_places(places: &mut Places, text: &str) -> Option<()> {
    let (block, offsets) = text.split_once(':')?;
    let block = block.parse().ok()?;
    for offset in offsets.split(',') {
        places.insert((block, offset.parse().ok()?));
    }
    Some(())
}

/// Reads `(12,9)`.
pub fn place(text: &str) -> Option<(u32, u16)> {
    let (block, offset) = text.strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
    Some((block.parse().ok()?, offset.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Vec<(u32, u16)>> {
        prop::collection::vec((0_u32..6, 1_u16..12), 0..30)
    }

    #[test]
    fn a_damaged_file_is_refused_with_its_line() {
        let check = |text: &str, expect: &str| assert_eq!(Left::parse(text), Err(expect.to_owned()), "{text}");
        check("", "the first line is not `lifeboat-left 1`");
        check("lifeboat-left 1\n", "line 2: no horizon");
        check("lifeboat-left 1\nhorizon 7\ngone 1:1\n", "line 3: `gone 1:1`");
        check("lifeboat-left 1\nhorizon 7\ntable {\"schema\":\"s\",\"name\":\"t\"}\nlost 1:1\n", "line 4: `lost 1:1`");
        assert_eq!(place("(12,9)"), Some((12, 9)));
        assert_eq!(place("12,9"), None);
    }

    proptest! {
        #[test]
        fn a_printed_file_parses(horizon: u64, tables in prop::collection::btree_map("\\PC{1,10}", (places(), places(), places(), places()), 0..4)) {
            let rows = |(gone, kept, wrong, shown): (Vec<_>, Vec<_>, Vec<_>, Vec<(u32, u16)>)| Rows {
                gone: gone.into_iter().collect(),
                kept: kept.into_iter().collect(),
                wrong: wrong.into_iter().collect(),
                shown: shown.into_iter().map(|place| (place, "0a".to_owned())).collect(),
            };
            let name = |name| TableName { schema: "public".to_owned(), name };
            let tables = tables.into_iter().map(|(table, all)| (name(table), rows(all))).collect();
            let left = Left { horizon, tables };
            prop_assert_eq!(Left::parse(&left.print()), Ok(left));
        }
    }
}
