//! The collections of the shop, independent of the store.

use crate::ledger::{Change, Id, Key, Name, State};

/// A collection, parents first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Collection {
    /// May have a customer as parent: the one who referred them.
    Customers,
    /// Belong to a customer.
    Orders,
    /// Belong to an order.
    OrderItems,
}

impl Collection {
    /// Every collection, parents first.
    pub const ALL: [Self; 3] = [Self::Customers, Self::Orders, Self::OrderItems];

    /// The names of all, in the same order.
    pub const WORDS: [&str; 3] = [Self::Customers.as_str(), Self::Orders.as_str(), Self::OrderItems.as_str()];

    /// Its name in every store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Orders => "orders",
            Self::OrderItems => "order_items",
        }
    }

    /// Its name in the ledger.
    pub const fn name(self) -> Name {
        Name::fixed(self.as_str())
    }

    /// The collection of that name.
    pub fn named(name: &Name) -> Option<Self> {
        Self::ALL.into_iter().find(|collection| collection.as_str() == name.as_str())
    }

    /// The key of a record.
    pub fn key(self, id: i64) -> Key {
        Key { collection: self.name(), id: Id::Number(id) }
    }

    /// That a record is gone.
    pub fn gone(self, id: i64) -> Change {
        Change { collection: self.name(), id: Some(Id::Number(id)), after: None }
    }

    /// That a record is like this now; `id`: `None` where the store makes its key.
    pub fn becomes(self, id: Option<i64>, version: u64, parent: Option<i64>) -> Change {
        let after = Some(State { version, parent: parent.map(Id::Number) });
        Change { collection: self.name(), id: id.map(Id::Number), after }
    }
}
