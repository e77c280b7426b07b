//! A store as its users see it.

use std::{collections::BTreeMap, error::Error, fmt::Debug, time::Duration};

use async_trait::async_trait;

use crate::{
    clock::At,
    ledger::{Id, Key, Planned, WriteId},
    measurement::FinalState,
    model::Size,
};

/// A path to a store, with a login: the application's, or the observer's, which no fault can reach.
#[async_trait]
pub trait Endpoint: Debug + Send + Sync {
    /// Connects.
    async fn connect(&self, within: Duration) -> Result<Box<dyn Client>, ConnectError>;
}

/// A connection to a store. An abandoned call leaves it unusable.
#[async_trait]
pub trait Client: Send {
    /// Whether it is known to be broken.
    fn is_closed(&self) -> bool;

    /// Makes the collections and loads them, acknowledged as a whole, each record at version 1 and write 0.
    async fn load(&mut self, size: &Size) -> Result<(), StoreError>;

    /// Work that is best done once after the load and is not part of it, such as statistics.
    async fn settle(&mut self) -> Result<(), StoreError>;

    /// Does a write. The record carries the write's id from then on.
    async fn write(&mut self, planned: &Planned, write: WriteId) -> Answer;

    /// The existing ones of these records, each with whether it has the content of its write.
    async fn read(&mut self, keys: &[Key]) -> Result<FinalState, StoreError>;

    /// Every record, in one snapshot if the store supports that.
    async fn read_all(&mut self) -> Result<FinalState, StoreError>;

    /// Reads a little, as a health check does.
    async fn glance(&mut self) -> Result<(), StoreError>;

    /// Writes a little beside the records, as a health check does: the lane's last beat.
    async fn beat(&mut self, lane: &str, at: At) -> Result<(), StoreError>;

    /// The last beat of each lane in the store.
    async fn beats(&mut self) -> Result<BTreeMap<String, At>, StoreError>;
}

/// The result of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It succeeded; with the key that the store made for a new record.
    Done(Option<Id>),
    /// It certainly has no effect.
    Refused(String),
    /// Not known.
    Unknown(String),
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The store or the path to it refused.
    #[error("{0}")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
    /// Nothing answered in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// A store did not do what was requested.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct StoreError(Box<dyn Error + Send + Sync>);

impl StoreError {
    /// For this reason.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(error.into())
    }
}
