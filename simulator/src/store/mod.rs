//! What an application or an observer does with a store, on one path to it. A store is a module: it keeps the records of the model
//! application in its own way, and neither the ledger nor the measurement knows which one it is.

mod client;
pub mod postgres;

pub use client::{Answer, Client, ConnectError, Endpoint, StoreError};
