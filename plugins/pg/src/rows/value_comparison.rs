//! What became of rows that a change gave other values: by the row before it and after it, from two copies, and by the row that the
//! server has now.

use std::collections::BTreeMap;

use lifeboat_plugin::{
    Connection, Failure,
    postgres::{Rows, Value},
};

use crate::{
    rows::{
        content,
        left::{self, Places},
        preparation::{self, Matched},
        successors::{self, At, Successors},
        value_statements::ValueStatements,
    },
    server::{Capabilities, identifier::TableName},
};

const ROWS_AT_ONCE: usize = 10_000;
/// Rows of one table of which all versions are shown.
const EXAMPLES: usize = 3;

/// The state of changed rows of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Rows that the change left there.
    pub rows: u64,
    /// Those that have all values that they had before.
    pub back: u64,
    /// Those of which something was written since: it stays.
    pub newer: u64,
    /// Those that are gone since: they stay away.
    pub gone: u64,
    /// Those that cannot be looked at: a copy does not have them, or their table is another one today.
    pub unknown: u64,
    /// Those that have a value that the change wrote, by their place before it.
    pub wrong: Places,
    /// All versions of a few that are neither back nor gone.
    pub examples: Vec<String>,
}

/// A look at changed rows.
pub struct ValueComparison<'a, C: Capabilities> {
    /// Tells progress.
    pub caps: &'a C,
    /// The server.
    pub primary: &'a C::Connection,
    /// The copy from just before the change.
    pub before: &'a C::Connection,
    /// The copy from just after it.
    pub after: &'a C::Connection,
    /// Whether values were put back: of a row whose key was changed, the key before is looked up first.
    pub merged: bool,
}

/// A row of a copy.
struct Version {
    key: Vec<String>,
    digests: Vec<String>,
}

/// A row of which both versions are known.
struct Pair {
    place: At,
    became: At,
    before: Version,
    after: Version,
}

impl Pair {
    /// What the values that the server has now say of it.
    fn state(&self, now: &[String]) -> State {
        let (before, after) = (&self.before.digests, &self.after.digests);
        let changed: Vec<usize> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
        if changed.iter().any(|at| now[*at] == after[*at]) {
            State::Wrong
        } else if changed.iter().all(|at| now[*at] == before[*at]) {
            State::Back
        } else {
            State::Newer
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Back,
    Newer,
    Wrong,
}

impl<C: Capabilities> ValueComparison<'_, C> {
    /// Looks at all tables.
    pub fn all(&self, became: &BTreeMap<TableName, Successors>) -> Result<BTreeMap<TableName, Values>, Failure> {
        became.iter().map(|(name, rows)| Ok((name.clone(), self.table(name, rows)?))).collect()
    }

    fn table(&self, name: &TableName, rows: &Successors) -> Result<Values, Failure> {
        let mut values = Values { rows: rows.len(), ..Values::default() };
        let before = preparation::match_changed(self.primary, self.before, name)?;
        let after = preparation::match_changed(self.primary, self.after, name)?;
        let (Some((_, before)), Some((_, after))) = (before, after) else {
            return Ok(Values { unknown: rows.len(), ..values });
        };
        if before.now.written() != after.now.written() {
            return Ok(Values { unknown: rows.len(), ..values });
        }
        let statements = (ValueStatements::of(&before), ValueStatements::of(&after));
        let mut shown = Vec::new();
        let mut done = 0;
        for some in rows.batches(ROWS_AT_ONCE) {
            let pairs = self.pairs(&before, &statements, &some)?;
            values.unknown += (some.len() - pairs.len()) as u64;
            self.sort(&statements.0, pairs, &mut values, &mut shown)?;
            done += some.len() as u64;
            self.caps.progress(done, Some(rows.len()), "rows", &format!("comparing values of {}", name.plain()));
        }
        for pair in &shown {
            values.examples.extend(self.example(&before, &statements, pair)?);
        }
        Ok(values)
    }

    fn pairs(
        &self,
        matched: &Matched,
        statements: &(ValueStatements, ValueStatements),
        some: &[(At, At)],
    ) -> Result<Vec<Pair>, Failure> {
        let key = matched.now.key.len();
        let places = successors::literal(some.iter().map(|(before, _)| *before));
        let mut before = versions(key, &self.before.query(&statements.0.fetch, &[Value::from(places)])?)?;
        let places = successors::literal(some.iter().map(|(_, after)| *after));
        let mut after = versions(key, &self.after.query(&statements.1.fetch, &[Value::from(places)])?)?;
        let pair = |(place, became): &(At, At)| {
            let (before, after) = (before.remove(place)?, after.remove(became)?);
            Some(Pair { place: *place, became: *became, before, after })
        };
        Ok(some.iter().filter_map(pair).collect())
    }

    fn sort(
        &self,
        statements: &ValueStatements,
        mut pairs: Vec<Pair>,
        values: &mut Values,
        shown: &mut Vec<Pair>,
    ) -> Result<(), Failure> {
        let firsts: Vec<&Vec<String>> =
            pairs.iter().map(|it| if self.merged { &it.before.key } else { &it.after.key }).collect();
        let mut now = self.look_up(statements, &firsts)?;
        // Where the change gave a row another key, it has the one or the other.
        let others: Vec<usize> = (0..pairs.len())
            .filter(|at| !now.contains_key(at) && pairs[*at].before.key != pairs[*at].after.key)
            .collect();
        let seconds: Vec<&Vec<String>> =
            others.iter().map(|at| if self.merged { &pairs[*at].after.key } else { &pairs[*at].before.key }).collect();
        let found = self.look_up(statements, &seconds)?;
        now.extend(found.into_iter().filter_map(|(at, digests)| Some((*others.get(at)?, digests))));
        for (at, pair) in pairs.drain(..).enumerate() {
            let Some(now) = now.get(&at).filter(|now| now.len() == pair.before.digests.len()) else {
                values.gone += 1;
                continue;
            };
            match pair.state(now) {
                State::Back => {
                    values.back += 1;
                    continue;
                }
                State::Newer => values.newer += 1,
                State::Wrong => {
                    values.wrong.insert(pair.place);
                }
            }
            if shown.len() < EXAMPLES {
                shown.push(pair);
            }
        }
        Ok(())
    }

    /// The digests of the rows with these keys, by the number of the key.
    fn look_up(
        &self,
        statements: &ValueStatements,
        keys: &[&Vec<String>],
    ) -> Result<BTreeMap<usize, Vec<String>>, Failure> {
        let Some(first) = keys.first() else { return Ok(BTreeMap::new()) };
        let column = |at: usize| Value::from(keys.iter().map(|key| key[at].clone()).collect::<Vec<_>>());
        let parameters: Vec<Value> = (0..first.len()).map(column).collect();
        let mut found = BTreeMap::new();
        for row in self.primary.query(&statements.look_up, &parameters)?.iter() {
            let number: String = row.get("n")?;
            if let Some(at) = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)) {
                found.insert(at, split(&row.get::<String>("digests")?));
            }
        }
        Ok(found)
    }

    fn example(
        &self,
        matched: &Matched,
        statements: &(ValueStatements, ValueStatements),
        pair: &Pair,
    ) -> Result<Option<String>, Failure> {
        let place = |at: At| [Value::from(successors::literal([at].into_iter()))];
        let then = shown(&self.before.query(&statements.0.shown, &place(pair.place))?)?;
        let wrote = shown(&self.after.query(&statements.1.shown, &place(pair.became))?)?;
        let mut now = None;
        for key in [&pair.after.key, &pair.before.key] {
            let parameters: Vec<Value> = key.iter().cloned().map(Value::from).collect();
            now = now.or(shown(&self.primary.query(&statements.0.shown_now, &parameters)?)?);
        }
        let (Some(then), Some(wrote), Some(now)) = (then, wrote, now) else { return Ok(None) };
        let names = matched.now.written();
        let texts: Vec<String> = (0..names.len().min(then.len()))
            .filter(|at| then[*at] != wrote[*at])
            .map(|at| {
                let [name, then, wrote, now] =
                    [&names[at], &then[at], &wrote[at], &now[at]].map(|it| content::clean(it));
                format!("{name} was {then}, became {wrote}, is {now}")
            })
            .collect();
        let key = content::clean(&pair.after.key.join(", "));
        Ok(Some(format!("{} ({key}): {}", matched.now.name.plain(), texts.join("; "))))
    }
}

fn shown(rows: &Rows) -> Result<Option<Vec<String>>, Failure> {
    rows.first().map(|row| row.get("shown")).transpose()
}

fn split(digests: &str) -> Vec<String> {
    digests.split(',').map(str::to_owned).collect()
}

/// Rows of a copy by their place.
fn versions(key: usize, rows: &Rows) -> Result<BTreeMap<At, Version>, Failure> {
    let mut found = BTreeMap::new();
    for row in rows.iter() {
        let Some(place) = left::place(&row.get::<String>("place")?) else { continue };
        let key = (1..=key).map(|at| row.get(&format!("k{at}"))).collect::<Result<_, _>>()?;
        found.insert(place, Version { key, digests: split(&row.get::<String>("digests")?) });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_by_itself() {
        let version = |digests: &[&str]| Version {
            key: vec!["1".to_owned()],
            digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
        };
        let pair =
            Pair { place: (0, 1), became: (0, 2), before: version(&["k", "a", "b"]), after: version(&["k", "x", "y"]) };
        let check = |now: &[&str], expect: State| assert_eq!(pair.state(&version(now).digests), expect, "{now:?}");
        check(&["k", "a", "b"], State::Back);
        check(&["k", "x", "y"], State::Wrong);
        check(&["k", "a", "y"], State::Wrong);
        check(&["k", "n", "b"], State::Newer);
        check(&["k", "n", "n"], State::Newer);
        check(&["k", "n", "y"], State::Wrong);
    }
}
