//! Where each row that was changed lies afterwards: a copy from just after the commit has there what the change wrote. In a file it is
//! text, with runs of neighbours on one line: `3:1-4>5:7` says that the rows `(3,1)` to `(3,4)` became `(5,7)` to `(5,10)`.

use std::{collections::BTreeMap, fmt::Write};

/// Block and line pointer of a row version.
pub type At = (u32, u16);

/// The rows of one table: for each place before, the place afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Successors(BTreeMap<At, At>);

impl Successors {
    /// Adds a row.
    pub fn insert(&mut self, before: At, after: At) {
        self.0.insert(before, after);
    }

    /// How many rows there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Before and after, in the order of the places before; at most `size` at once.
    pub fn batches(&self, size: usize) -> impl Iterator<Item = Vec<(At, At)>> + '_ {
        let mut pairs = self.0.iter().map(|(before, after)| (*before, *after)).peekable();
        std::iter::from_fn(move || {
            pairs.peek()?;
            Some(pairs.by_ref().take(size.max(1)).collect())
        })
    }

    /// Writes it, a run a line.
    pub fn print(&self, text: &mut String) {
        let mut runs: Vec<(At, At, u16)> = Vec::new();
        for (before, after) in &self.0 {
            match runs.last_mut() {
                Some((first, becomes, count))
                    if follows(*first, *count, *before) && follows(*becomes, *count, *after) =>
                {
                    *count += 1;
                }
                _ => runs.push((*before, *after, 1)),
            }
        }
        for ((block, offset), (to, at), count) in runs {
            let last = if count == 1 { String::new() } else { format!("-{}", offset + count - 1) };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{block}:{offset}{last}>{to}:{at}");
        }
    }

    /// Reads a line; none if it is none.
    pub fn read_line(&mut self, line: &str) -> Option<()> {
        let (before, after) = line.split_once('>')?;
        let (block, offsets) = before.split_once(':')?;
        let (to, at) = after.split_once(':')?;
        let (first, last) = offsets.split_once('-').unwrap_or((offsets, offsets));
        let (block, first, last) = (block.parse().ok()?, first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
        let (to, at) = (to.parse().ok()?, at.parse::<u16>().ok()?);
        at.checked_add(last.checked_sub(first)?)?;
        for step in 0..=last - first {
            self.insert((block, first + step), (to, at + step));
        }
        Some(())
    }
}

/// Whether a place is the one behind `count` places that begin with `first`.
fn follows(first: At, count: u16, place: At) -> bool {
    place.0 == first.0 && first.1.checked_add(count) == Some(place.1)
}

/// `tid[]` literal of these places.
pub fn literal(places: impl Iterator<Item = At>) -> String {
    let places: Vec<String> = places.map(|(block, offset)| format!("\"({block},{offset})\"")).collect();
    format!("{{{}}}", places.join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_that_stay_neighbours_cost_one_line() {
        let mut rows = Successors::default();
        for offset in 1..=61 {
            rows.insert((0, offset), (9, offset + 3));
        }
        rows.insert((1, 1), (1, 2));
        rows.insert((1, 2), (1, 9));
        let mut text = String::new();
        rows.print(&mut text);
        assert_eq!(text, "0:1-61>9:4\n1:1>1:2\n1:2>1:9\n");
        assert_eq!(rows.batches(40).map(|some| some.len()).collect::<Vec<_>>(), [40, 23]);
    }

    #[test]
    fn a_damaged_line_is_none() {
        for line in ["", "1:1", "1:2-1>1:1", "1:1-9>1:65530", "1:x>1:1"] {
            assert_eq!(Successors::default().read_line(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(pairs in prop::collection::btree_map((0_u32..4, 1_u16..9), (0_u32..4, 1_u16..9), 0..40)) {
            let rows = Successors(pairs);
            let (mut text, mut read) = (String::new(), Successors::default());
            rows.print(&mut text);
            for line in text.lines() {
                prop_assert_eq!(read.read_line(line), Some(()));
            }
            prop_assert_eq!(read, rows);
        }
    }
}
