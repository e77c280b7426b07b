//! The rows that one writer looks after, and its choice of the next write.
//!
//! Each row belongs to one writer, through the customer at the root of its tree, so that writes to a row never overlap.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::{RngExt, rngs::ChaCha8Rng};

use super::{
    habits::Habits,
    load::{Size, parent_of_item, parent_of_order, referrer},
};
use crate::ledger::{Operation, RowChange, RowKey, RowState, Table};

/// A write that is decided and not sent yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What kind.
    pub operation: Operation,
    /// The table that the statement names.
    pub table: Table,
    /// The row; `None` where the server gives the key.
    pub id: Option<i64>,
    /// Key of the parent row; 0 where the row has none.
    pub parent: i64,
    /// What it does, row by row.
    pub rows: Vec<RowChange>,
}

/// The rows of one writer as far as it knows them.
#[derive(Debug, Default)]
pub struct Partition {
    rows: HashMap<RowKey, RowState>,
    keys: BTreeMap<Table, Vec<i64>>,
    items: HashMap<i64, BTreeSet<i64>>,
    /// Trees with a write that nobody knows the end of: left alone, so that each row's writes stay in a known order.
    uncertain: BTreeSet<i64>,
}

impl Partition {
    /// The loaded rows of writer `number` of `writers`, but for those that the application's habits need for themselves.
    pub fn new(size: &Size, habits: &Habits, number: u32, writers: u32) -> Self {
        let reserved = habits.reserved(size);
        let mine = |customer: i64| {
            customer.rem_euclid(i64::from(writers)) == i64::from(number) && !reserved.contains(&customer)
        };
        let mut partition = Self::default();
        for id in (1..=size.customers).filter(|id| mine(*id)) {
            let state = RowState { version: 1, parent: referrer(size, id) };
            partition.add(RowKey { table: Table::Customers, id }, state);
        }
        for id in 1..=size.orders {
            let parent = parent_of_order(size, id);
            if mine(parent) {
                partition.add(RowKey { table: Table::Orders, id }, RowState { version: 1, parent });
            }
        }
        for id in 1..=size.order_items {
            let parent = parent_of_item(size, id);
            if mine(parent_of_order(size, parent)) {
                partition.add(RowKey { table: Table::OrderItems, id }, RowState { version: 1, parent });
            }
        }
        partition
    }

    /// Draws the next write: inserts, updates and deletes over all tables, more of them further down the tree. Customers are
    /// never deleted by the application: that is the disaster's business.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Planned {
        let (operation, table) = match rng.random_range(0..100) {
            0..5 => (Operation::Insert, Table::Customers),
            5..20 => (Operation::Insert, Table::Orders),
            20..45 => (Operation::Insert, Table::OrderItems),
            45..52 => (Operation::Update, Table::Customers),
            52..72 => (Operation::Update, Table::Orders),
            72..90 => (Operation::Update, Table::OrderItems),
            90..97 => (Operation::Delete, Table::OrderItems),
            _ => (Operation::Delete, Table::Orders),
        };
        let planned = match operation {
            Operation::Insert => self.insert(table, rng),
            Operation::Update => self.update(table, rng),
            Operation::Delete => self.delete(table, rng),
        };
        planned.unwrap_or_else(|| inserted(Table::Customers, 0))
    }

    /// Takes over what an acknowledged write did; `id`: the key that the server gave to the inserted row.
    pub fn acknowledged(&mut self, planned: &Planned, id: Option<i64>) {
        for change in &planned.rows {
            let Some(id) = change.id.or(id) else { continue };
            let key = RowKey { table: change.table, id };
            match change.after {
                Some(state) => self.add(key, state),
                None => self.remove(key),
            }
        }
    }

    /// Leaves the whole tree of a write alone whose end nobody knows.
    pub fn uncertain(&mut self, planned: &Planned) {
        let row = planned.id.map(|id| RowKey { table: planned.table, id });
        let root = match (row, planned.table) {
            (Some(key), _) => self.root(key),
            (None, Table::Customers) => None,
            (None, Table::Orders) => Some(planned.parent),
            (None, Table::OrderItems) => self.root(RowKey { table: Table::Orders, id: planned.parent }),
        };
        self.uncertain.extend(root);
    }

    fn insert(&self, table: Table, rng: &mut ChaCha8Rng) -> Option<Planned> {
        let parent = match table {
            Table::Customers => 0,
            Table::Orders => self.pick(Table::Customers, rng)?.id,
            Table::OrderItems => self.pick(Table::Orders, rng)?.id,
        };
        Some(inserted(table, parent))
    }

    fn update(&self, table: Table, rng: &mut ChaCha8Rng) -> Option<Planned> {
        let key = self.pick(table, rng)?;
        let state = *self.rows.get(&key)?;
        let after = RowState { version: state.version + 1, ..state };
        let rows = vec![RowChange { table, id: Some(key.id), after: Some(after) }];
        Some(Planned { operation: Operation::Update, table, id: Some(key.id), parent: state.parent, rows })
    }

    fn delete(&self, table: Table, rng: &mut ChaCha8Rng) -> Option<Planned> {
        let key = self.pick(table, rng)?;
        let parent = self.rows.get(&key)?.parent;
        let gone = |table: Table, id: i64| RowChange { table, id: Some(id), after: None };
        let mut rows = vec![gone(table, key.id)];
        if table == Table::Orders {
            let items = self.items.get(&key.id).into_iter().flatten();
            rows.extend(items.map(|item| gone(Table::OrderItems, *item)));
        }
        Some(Planned { operation: Operation::Delete, table, id: Some(key.id), parent, rows })
    }

    /// A row that is there and not in an uncertain tree; a few draws are enough, because most rows are neither.
    fn pick(&self, table: Table, rng: &mut ChaCha8Rng) -> Option<RowKey> {
        let keys = self.keys.get(&table).filter(|keys| !keys.is_empty())?;
        (0..16).find_map(|_| {
            let key = RowKey { table, id: keys[rng.random_range(0..keys.len())] };
            let usable =
                self.rows.contains_key(&key) && self.root(key).is_some_and(|root| !self.uncertain.contains(&root));
            usable.then_some(key)
        })
    }

    fn root(&self, key: RowKey) -> Option<i64> {
        match key.table {
            Table::Customers => Some(key.id),
            Table::Orders => self.rows.get(&key).map(|order| order.parent),
            Table::OrderItems => self.root(RowKey { table: Table::Orders, id: self.rows.get(&key)?.parent }),
        }
    }

    fn add(&mut self, key: RowKey, state: RowState) {
        if self.rows.insert(key, state).is_none() {
            self.keys.entry(key.table).or_default().push(key.id);
            if key.table == Table::OrderItems {
                self.items.entry(state.parent).or_default().insert(key.id);
            }
        }
    }

    /// The key stays in `keys`: drawing it again finds no row and draws another.
    fn remove(&mut self, key: RowKey) {
        let Some(state) = self.rows.remove(&key) else { return };
        if key.table == Table::OrderItems
            && let Some(items) = self.items.get_mut(&state.parent)
        {
            items.remove(&key.id);
        }
    }
}

fn inserted(table: Table, parent: i64) -> Planned {
    let rows = vec![RowChange { table, id: None, after: Some(RowState { version: 1, parent }) }];
    Planned { operation: Operation::Insert, table, id: None, parent, rows }
}
