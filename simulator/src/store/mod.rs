//! The operations of an application or an observer on a store, over one path. A store is a module: it stores the records of the
//! model application in its own way, and neither the ledger nor the measurement knows which one it is.

mod client;
pub mod postgres;

pub use client::{Answer, Client, ConnectError, Endpoint, StoreError};
