//! The records that one writer looks after, and its choice of the next write.
//!
//! Each record belongs to one writer, through the customer at the root of its tree, so that writes to a record never overlap.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    habits::Habits,
    writes::{inserted, planned},
};
use crate::{
    ledger::{Id, Operation, Planned},
    model::{Collection, Size},
    workload::generator::Generator,
};

/// A record of the shop.
type Record = (Collection, i64);

/// What the writer knows about a record.
#[derive(Debug, Clone, Copy)]
struct Known {
    version: u64,
    parent: Option<i64>,
}

/// The records of one writer as far as it knows them.
#[derive(Debug)]
pub struct Partition {
    rng: ChaCha8Rng,
    records: HashMap<Record, Known>,
    keys: BTreeMap<Collection, Vec<i64>>,
    items: HashMap<i64, BTreeSet<i64>>,
    /// Trees with a write whose result is unknown: left alone, so that each record's writes stay in a known order.
    uncertain: BTreeSet<i64>,
}

impl Partition {
    /// The loaded records of writer `number` of `writers`, except those that the application's habits use. The same seed gives
    /// the same writes.
    pub fn new(size: &Size, habits: &Habits, number: u32, writers: u32, seed: u64) -> Self {
        let reserved = habits.reserved(size);
        let mut partition = Self {
            rng: ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number))),
            records: HashMap::new(),
            keys: BTreeMap::new(),
            items: HashMap::new(),
            uncertain: BTreeSet::new(),
        };
        for collection in Collection::ALL {
            for id in 1..=size.of(collection) {
                let customer = size.root(collection, id);
                let mine = customer.rem_euclid(i64::from(writers)) == i64::from(number);
                if mine && !reserved.contains(&customer) {
                    partition.add((collection, id), Known { version: 1, parent: size.parent(collection, id) });
                }
            }
        }
        partition
    }

    fn insert(&mut self, collection: Collection) -> Option<Planned> {
        let parent = match collection {
            Collection::Customers => None,
            Collection::Orders => Some(self.pick(Collection::Customers)?),
            Collection::OrderItems => Some(self.pick(Collection::Orders)?),
        };
        Some(inserted(collection, parent))
    }

    fn update(&mut self, collection: Collection) -> Option<Planned> {
        let id = self.pick(collection)?;
        let known = *self.records.get(&(collection, id))?;
        let changes = vec![collection.becomes(Some(id), known.version + 1, known.parent)];
        Some(planned(Operation::Update, collection, Some(id), known.parent, changes))
    }

    fn delete(&mut self, collection: Collection) -> Option<Planned> {
        let id = self.pick(collection)?;
        let parent = self.records.get(&(collection, id))?.parent;
        let mut changes = vec![collection.gone(id)];
        if collection == Collection::Orders {
            let items = self.items.get(&id).into_iter().flatten();
            changes.extend(items.map(|item| Collection::OrderItems.gone(*item)));
        }
        Some(planned(Operation::Delete, collection, Some(id), parent, changes))
    }

    /// An existing record that is not in an uncertain tree; a few draws are enough, because most records qualify.
    fn pick(&mut self, collection: Collection) -> Option<i64> {
        let keys = self.keys.get(&collection).map_or(0, Vec::len);
        (keys > 0).then_some(())?;
        (0..16).find_map(|_| {
            let place = self.rng.random_range(0..keys);
            let id = *self.keys.get(&collection)?.get(place)?;
            let there = self.records.contains_key(&(collection, id));
            let usable = there && self.root((collection, id)).is_some_and(|root| !self.uncertain.contains(&root));
            usable.then_some(id)
        })
    }

    fn root(&self, record: Record) -> Option<i64> {
        match record {
            (Collection::Customers, id) => Some(id),
            (Collection::Orders, _) => self.records.get(&record)?.parent,
            (Collection::OrderItems, _) => self.root((Collection::Orders, self.records.get(&record)?.parent?)),
        }
    }

    fn add(&mut self, record: Record, known: Known) {
        let (collection, id) = record;
        if self.records.insert(record, known).is_none() {
            self.keys.entry(collection).or_default().push(id);
            if let (Collection::OrderItems, Some(order)) = (collection, known.parent) {
                self.items.entry(order).or_default().insert(id);
            }
        }
    }

    /// The key stays in `keys`: drawing it again finds no record and draws another.
    fn remove(&mut self, record: Record) {
        let Some(known) = self.records.remove(&record) else { return };
        if let (Collection::OrderItems, Some(order)) = (record.0, known.parent)
            && let Some(items) = self.items.get_mut(&order)
        {
            items.remove(&record.1);
        }
    }
}

impl Generator for Partition {
    /// Inserts, updates and deletes over all collections, more of them further down the tree. The writers never delete customers:
    /// only the fault does.
    fn draw(&mut self) -> Planned {
        let (operation, collection) = match self.rng.random_range(0..100) {
            0..5 => (Operation::Insert, Collection::Customers),
            5..20 => (Operation::Insert, Collection::Orders),
            20..45 => (Operation::Insert, Collection::OrderItems),
            45..52 => (Operation::Update, Collection::Customers),
            52..72 => (Operation::Update, Collection::Orders),
            72..90 => (Operation::Update, Collection::OrderItems),
            90..97 => (Operation::Delete, Collection::OrderItems),
            _ => (Operation::Delete, Collection::Orders),
        };
        let planned = match operation {
            Operation::Insert => self.insert(collection),
            Operation::Update => self.update(collection),
            Operation::Delete => self.delete(collection),
        };
        planned.unwrap_or_else(|| inserted(Collection::Customers, None))
    }

    fn acknowledged(&mut self, planned: &Planned, id: Option<&Id>) {
        for change in &planned.changes {
            let id = change.id.as_ref().or(id).and_then(Id::number);
            let Some(record) = Collection::named(&change.collection).zip(id) else { continue };
            match &change.after {
                Some(state) => {
                    let parent = state.parent.as_ref().and_then(Id::number);
                    self.add(record, Known { version: state.version, parent });
                }
                None => self.remove(record),
            }
        }
    }

    fn uncertain(&mut self, planned: &Planned) {
        let Some(collection) = Collection::named(&planned.collection) else { return };
        let parent = planned.parent.as_ref().and_then(Id::number);
        let root = match (planned.id.as_ref().and_then(Id::number), collection) {
            (Some(id), _) => self.root((collection, id)),
            (None, Collection::Customers) => None,
            (None, Collection::Orders) => parent,
            (None, Collection::OrderItems) => parent.and_then(|order| self.root((Collection::Orders, order))),
        };
        self.uncertain.extend(root);
    }
}
