//! A look at a copy: what of its data and of its code is not as it was recorded.

use lifeboat_plugin::{Connection, Failure, Runtime};
use serde::Deserialize;

use crate::{
    backup::seal::{
        inventory, measured,
        random_values::{self, RandomShare},
        sealed::Seal,
    },
    server::databases::some,
};

/// By so many of ten thousand rows the share of random values of a column may grow.
const SHARE_MAY_GROW: u64 = 50;

/// Rows of a table that by policy never change: those whose key is below a number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColdRows {
    /// The table, with its schema.
    pub table: String,
    /// The first key that may change.
    pub below: i64,
}

/// What was seen, in words; each list is empty where nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Of what the tables hold.
    pub data: Vec<String>,
    /// Of what carries code or rights.
    pub code: Vec<String>,
}

impl Look {
    /// Whether what the tables hold is not as it should be.
    pub fn has_dirty_data(&self) -> bool {
        !self.data.is_empty()
    }

    /// Whether code or rights are not as they were recorded.
    pub fn has_dirty_code(&self) -> bool {
        !self.code.is_empty()
    }
}

/// Looks at all of it: every cold row, every value that may be ciphertext, and every object that carries code or rights.
pub fn look<C: Connection>(
    caps: &impl Runtime,
    connection: &C,
    seal: &Seal,
    cold: &[ColdRows],
) -> Result<Look, Failure> {
    let mut look = Look::default();
    for rows in cold {
        look.data.extend(measured::cold_differences(connection, &seal.tables, &rows.table, rows.below)?);
    }
    let recorded = seal.random.as_deref().unwrap_or_default();
    look.data.extend(grown(recorded, &random_values::shares(caps, connection)?));
    look.code = inventory::differences(seal.code.as_deref().unwrap_or_default(), &inventory::read(connection)?);
    caps.info(&format!("data: {}; code: {}", said(&look.data), said(&look.code)));
    Ok(look)
}

fn said(found: &[String]) -> String {
    if found.is_empty() { "as recorded".to_owned() } else { some(found) }
}

/// Columns in which more values look random than were recorded.
fn grown(recorded: &[RandomShare], now: &[RandomShare]) -> Vec<String> {
    let before = |share: &RandomShare| recorded.iter().find(|before| before.column == share.column);
    let has_grown = |share: &&RandomShare| {
        let (random, rows) = before(share).map_or((0, 0), |before| (before.random, before.rows));
        // Of the share that was recorded, so that a table that grows does not count.
        let expected = (random * share.rows.max(rows)).checked_div(rows).unwrap_or(0);
        share.random > expected + share.rows * SHARE_MAY_GROW / 10_000
    };
    let words = |share: &RandomShare| {
        let before = before(share).map_or(0, |before| before.random);
        format!(
            "{}: {} of {} values look random, {before} were recorded",
            share.column.plain(),
            share.random,
            share.rows
        )
    };
    now.iter().filter(has_grown).map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::seal::random_values::ValueColumn;

    fn share(rows: u64, random: u64) -> RandomShare {
        let (schema, table, column) = ("public".to_owned(), "orders".to_owned(), "note".to_owned());
        RandomShare { column: ValueColumn { schema, table, column, bytes: false }, rows, random }
    }

    #[test]
    fn only_a_share_that_grows_counts() {
        let check = |before: (u64, u64), now: (u64, u64), expect: bool| {
            let grown = grown(&[share(before.0, before.1)], &[share(now.0, now.1)]);
            assert_eq!(!grown.is_empty(), expect, "{before:?} {now:?}");
        };
        check((1_000, 0), (1_000, 5), false);
        check((1_000, 0), (1_000, 6), true);
        check((1_000, 1_000), (1_000, 1_000), false);
        check((1_000, 500), (2_000, 1_000), false);
        check((1_000, 500), (2_000, 1_100), true);
        assert_eq!(
            super::grown(&[], &[share(100, 100)]),
            ["public.orders.note: 100 of 100 values look random, 0 were recorded"]
        );
    }
}
