//! The columns of a record.

use crate::model::Collection;

/// The table of a collection, without its schema.
pub fn table(collection: Collection) -> &'static str {
    collection.as_str()
}

/// The column that names the parent of a row. That of a customer may be NULL.
pub(super) fn parent(collection: Collection) -> &'static str {
    match collection {
        Collection::Customers => "referrer_id",
        Collection::Orders => "customer_id",
        Collection::OrderItems => "order_id",
    }
}

/// The types of the columns that hold the fields of the content, which have the fields' names.
pub(super) fn types(collection: Collection) -> [&'static str; 3] {
    match collection {
        Collection::Customers => ["text", "text", "text"],
        Collection::Orders => ["text", "bigint", "text"],
        Collection::OrderItems => ["text", "integer", "bigint"],
    }
}
