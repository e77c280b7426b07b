//! PostgreSQL: a collection is a table, a record is a row.

mod client;
mod columns;
mod connect;
mod load;
mod read;
mod schema;

pub use client::PostgresEndpoint;
pub use columns::table;
pub use connect::connect;
pub use read::read_where;
pub use schema::SCHEMA;
