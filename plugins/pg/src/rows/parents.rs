//! Which missing rows have lost their parent: it is not in the server, and does not come back with the set either.

use std::collections::{BTreeMap, BTreeSet};

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use crate::{
    rows::{
        exact_set::Tuples,
        left,
        preparation::Matched,
        relation::{self, Reference},
    },
    server::identifier::{TableName, quote_identifier},
};

const ROWS_AT_ONCE: usize = 10_000;
/// All parents may be read for each of these batches, where the copy finds that cheaper than to look each one up.
const PARENTS_AT_ONCE: usize = 50_000;

/// What is known of the parents of a set's rows.
pub struct Parents<'a, C> {
    primary: &'a C,
    copy: &'a C,
    tables: BTreeMap<&'a TableName, &'a Matched>,
    set: &'a BTreeMap<TableName, Tuples>,
    /// Rows of the set that do not come back, by table.
    dead: BTreeMap<TableName, Tuples>,
    leaves: BTreeMap<TableName, Vec<TableName>>,
}

/// A row that hangs on another one of its own table.
type Pair = ((u32, u16), (u32, u16));

impl<'a, C: Connection> Parents<'a, C> {
    /// Of the tables of a set.
    pub fn new(primary: &'a C, copy: &'a C, tables: &'a [Matched], set: &'a BTreeMap<TableName, Tuples>) -> Self {
        let tables = tables.iter().map(|matched| (&matched.now.name, matched)).collect();
        Self { primary, copy, tables, set, dead: BTreeMap::new(), leaves: BTreeMap::new() }
    }

    /// Those of the missing rows of a table that have lost their parent. Tables are asked for parents first.
    pub fn orphans(&mut self, matched: &Matched, missing: &Tuples) -> Result<Tuples, Failure> {
        let (mut orphans, mut pairs) = (Tuples::default(), Vec::new());
        for reference in &matched.now.references {
            // Most parents of removed rows were removed with them and come back too: the copy alone knows that.
            let mut fine = Tuples::default();
            for leaf in self.leaves_in_set(&reference.parent)? {
                self.coming(matched, reference, &leaf, missing, &mut fine, &mut pairs)?;
            }
            let rest: Tuples = missing.iter().filter(|(block, offset)| !fine.contains(*block, *offset)).collect();
            for (places, _) in rest.batches(ROWS_AT_ONCE) {
                self.look(matched, reference, &places, &mut orphans)?;
            }
        }
        // In a table that references itself, a row that does not come back can be another one's parent.
        loop {
            let before = orphans.len();
            for ((block, offset), (parent_block, parent_offset)) in &pairs {
                if orphans.contains(*parent_block, *parent_offset) {
                    orphans.insert(*block, *offset);
                }
            }
            if orphans.len() == before {
                break;
            }
        }
        self.dead.insert(matched.now.name.clone(), orphans.clone());
        Ok(orphans)
    }

    /// The tables of the set in which rows of a referenced table lie.
    fn leaves_in_set(&mut self, parent: &TableName) -> Result<Vec<TableName>, Failure> {
        if let Some(known) = self.leaves.get(parent) {
            return Ok(known.clone());
        }
        let leaves = match self.set.contains_key(parent) {
            true => vec![parent.clone()],
            false => relation::leaves(self.primary, parent)?,
        };
        let leaves: Vec<_> = leaves.into_iter().filter(|leaf| self.set.contains_key(leaf)).collect();
        self.leaves.insert(parent.clone(), leaves.clone());
        Ok(leaves)
    }

    /// Adds those of the rows whose parent is in the set and comes back.
    fn coming(
        &self,
        matched: &Matched,
        reference: &Reference,
        leaf: &TableName,
        rows: &Tuples,
        fine: &mut Tuples,
        pairs: &mut Vec<Pair>,
    ) -> Result<(), Failure> {
        let (Some(parent), Some(tuples)) = (self.tables.get(leaf), self.set.get(leaf)) else { return Ok(()) };
        let Some(sources) = in_copy(matched, &reference.columns) else { return Ok(()) };
        let Some(columns) = in_copy(parent, &reference.parent_columns) else { return Ok(()) };
        let keys: Vec<_> = (1..).zip(&sources).map(|(at, source)| format!("({source}) AS k{at}")).collect();
        let sql = format!(
            "SELECT coalesce(array_agg(k.place), '{{}}') AS places, coalesce(array_agg(p.ctid::text), '{{}}') AS parents
               FROM (SELECT {}, ctid::text AS place FROM ONLY {} WHERE ctid = ANY ($1::text::tid[]) OFFSET 0) AS k
               JOIN ONLY {} AS p ON {}",
            keys.join(", "),
            matched.then.sql(),
            parent.then.sql(),
            Given::of(matched, reference).equal(&columns)
        );
        let dead = self.dead.get(leaf);
        for (places, _) in rows.batches(PARENTS_AT_ONCE) {
            let found = self.copy.query(&sql, &[Value::from(places)])?;
            let (children, parents): (Vec<String>, Vec<String>) =
                (found.one()?.get("places")?, found.one()?.get("parents")?);
            for (child, parent) in children.iter().zip(&parents) {
                let (Some((block, offset)), Some(place)) = (left::place(child), left::place(parent)) else { continue };
                if tuples.contains(place.0, place.1) && !dead.is_some_and(|dead| dead.contains(place.0, place.1)) {
                    fine.insert(block, offset);
                    if *leaf == matched.now.name {
                        pairs.push(((block, offset), place));
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds those of the rows under whose key the server has no parent to the orphans.
    fn look(
        &self,
        matched: &Matched,
        reference: &Reference,
        places: &str,
        orphans: &mut Tuples,
    ) -> Result<(), Failure> {
        let Some(sources) = in_copy(matched, &reference.columns) else { return Ok(()) };
        let keys: Vec<_> = (1..).zip(&sources).map(|(at, source)| format!("({source})::text AS k{at}")).collect();
        let given: Vec<_> = (1..=sources.len()).map(|at| format!("k{at} IS NOT NULL")).collect();
        // Behind the fence, so that the rows are read by their places and not by an index on the key, place by place.
        let sql = format!(
            "SELECT * FROM (SELECT {}, ctid::text AS place FROM ONLY {} WHERE ctid = ANY ($1::text::tid[]) OFFSET 0) AS k WHERE {}",
            keys.join(", "),
            matched.then.sql(),
            given.join(" AND ")
        );
        let rows = self.copy.query(&sql, &[Value::from(places)])?;
        let names: Vec<_> = (1..=sources.len()).map(|at| format!("k{at}")).collect();
        let mut children: BTreeMap<Vec<String>, Vec<(u32, u16)>> = BTreeMap::new();
        for row in rows.iter() {
            let value: Vec<String> = names.iter().map(|name| row.get(name)).collect::<Result<_, _>>()?;
            children.entry(value).or_default().extend(left::place(&row.get::<String>("place")?));
        }
        for value in self.absent(matched, reference, children.keys().cloned().collect())? {
            for (block, offset) in children.get(&value).map(Vec::as_slice).unwrap_or_default() {
                orphans.insert(*block, *offset);
            }
        }
        Ok(())
    }

    /// Those of the values under which the server has no parent.
    fn absent(
        &self,
        matched: &Matched,
        reference: &Reference,
        values: BTreeSet<Vec<String>>,
    ) -> Result<Vec<Vec<String>>, Failure> {
        if values.is_empty() {
            return Ok(Vec::new());
        }
        let given = Given::of(matched, reference);
        let columns: Vec<_> = reference.parent_columns.iter().map(|name| quote_identifier(name)).collect();
        let sql = format!(
            "SELECT coalesce(array_agg(k.n::text ORDER BY k.n), '{{}}') AS absent FROM {} LEFT JOIN LATERAL (
                    SELECT true AS there FROM {} AS p WHERE {} LIMIT 1) AS p ON true WHERE p.there IS NULL",
            given.list,
            reference.parent.sql(),
            given.equal(&columns)
        );
        let values: Vec<_> = values.into_iter().collect();
        let rows = self.primary.query(&sql, &given.parameters(&values))?;
        let numbers: Vec<String> = rows.one()?.get("absent")?;
        let value = |number: &String| values.get(number.parse::<usize>().ok()?.checked_sub(1)?).cloned();
        Ok(numbers.iter().filter_map(value).collect())
    }
}

/// What these columns were in the copy; none where one is gone since, or was added since: it has no value to hold against a parent.
fn in_copy(matched: &Matched, columns: &[String]) -> Option<Vec<String>> {
    columns.iter().map(|name| matched.sources.get(name).cloned()).collect()
}

/// Values of a foreign key as parameters of a statement.
struct Given {
    list: String,
    types: Vec<String>,
}

impl Given {
    fn of(matched: &Matched, reference: &Reference) -> Self {
        let ty = |name: &String| matched.now.column(name).map_or("text", |column| column.ty.as_str()).to_owned();
        let types: Vec<_> = reference.columns.iter().map(ty).collect();
        let arrays: Vec<_> = (1..=types.len()).map(|at| format!("${at}::text[]")).collect();
        let names: Vec<_> = (1..=types.len()).map(|at| format!("k{at}")).collect();
        let list = format!("unnest({}) WITH ORDINALITY AS k ({}, n)", arrays.join(", "), names.join(", "));
        Self { list, types }
    }

    fn equal(&self, columns: &[String]) -> String {
        let pairs = (1..).zip(columns.iter().zip(&self.types));
        pairs.map(|(at, (column, ty))| format!("p.{column} = k.k{at}::{ty}")).collect::<Vec<_>>().join(" AND ")
    }

    fn parameters(&self, values: &[Vec<String>]) -> Vec<Value> {
        let column = |at: usize| values.iter().filter_map(|value| value.get(at).cloned()).collect::<Vec<_>>();
        (0..self.types.len()).map(|at| Value::from(column(at))).collect()
    }
}
