//! A connection with the statements that were prepared on it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use async_trait::async_trait;
use tokio_postgres::{Client as Connection, Config, Error, Statement, types::ToSql};

use super::{
    columns::{parent, table, types},
    connect::connect,
    load, read,
};
use crate::{
    clock::At,
    ledger::{Id, Key, Operation, Planned, WriteId},
    measurement::FinalState,
    model::{Collection, Origin, Size, content, fields},
    store::{Answer, Client, ConnectError, Endpoint, StoreError},
};

const NO_ROW: &str = "there is no such row";

/// A path to a database, with a login.
#[derive(Debug, Clone)]
pub struct PostgresEndpoint(pub Config);

#[async_trait]
impl Endpoint for PostgresEndpoint {
    async fn connect(&self, within: Duration) -> Result<Box<dyn Client>, ConnectError> {
        let connection = connect(&self.0, within).await?;
        Ok(Box::new(Database { connection, statements: HashMap::new() }))
    }
}

struct Database {
    connection: Connection,
    statements: HashMap<String, Statement>,
}

#[async_trait]
impl Client for Database {
    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    async fn load(&mut self, size: &Size) -> Result<(), StoreError> {
        Ok(load::load(&mut self.connection, size).await?)
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        Ok(load::settle(&self.connection).await?)
    }

    async fn write(&mut self, planned: &Planned, write: WriteId) -> Answer {
        match self.send(planned, write).await {
            Ok(answer) => answer,
            Err(error) if is_certain(&error) => Answer::Refused(describe(&error)),
            Err(error) => Answer::Unknown(describe(&error)),
        }
    }

    async fn read(&mut self, keys: &[Key]) -> Result<FinalState, StoreError> {
        Ok(read::read_keys(&self.connection, keys).await?)
    }

    async fn read_all(&mut self) -> Result<FinalState, StoreError> {
        Ok(read::read_all(&mut self.connection).await?)
    }

    async fn glance(&mut self) -> Result<(), StoreError> {
        let row = self.connection.query_opt("SELECT id FROM customers ORDER BY id LIMIT 1", &[]).await?;
        row.map(drop).ok_or_else(|| StoreError::new("the table is empty"))
    }

    async fn beat(&mut self, lane: &str, at: At) -> Result<(), StoreError> {
        const BEAT: &str =
            "INSERT INTO heartbeats VALUES ($1, $2) ON CONFLICT (lane) DO UPDATE SET beat = excluded.beat";
        match self.connection.execute(BEAT, &[&lane, &at.0]).await? {
            1 => Ok(()),
            rows => Err(StoreError::new(format!("{rows} rows were written"))),
        }
    }

    async fn beats(&mut self) -> Result<BTreeMap<String, At>, StoreError> {
        let rows = self.connection.query("SELECT lane, beat FROM heartbeats", &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), At(row.get(1)))).collect())
    }
}

impl Database {
    async fn send(&mut self, planned: &Planned, write: WriteId) -> Result<Answer, Error> {
        let Some(collection) = Collection::named(&planned.collection) else {
            return Ok(Answer::Refused(format!("there is no table `{}`", planned.collection)));
        };
        let statement = self.prepared(statement(collection, planned)).await?;
        let number = |id: &Option<Id>| id.as_ref().and_then(Id::number);
        let (id, parent) = (number(&planned.id), number(&planned.parent));
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let after = planned.changes.first().and_then(|change| change.after.as_ref());
        let (write_id, version) = (signed(write), signed(after.map_or(0, |after| after.version)));
        let [first, second, third] = content(collection, Origin::Written(write));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&first, &second, &third, &version, &write_id];
        match planned.operation {
            Operation::Insert => {
                parameters.push(&parent);
                if id.is_some() {
                    parameters.push(&id);
                }
                let row = self.connection.query_one(&statement, &parameters).await?;
                Ok(Answer::Done(Some(Id::Number(row.get(0)))))
            }
            Operation::Update => {
                parameters.push(&id);
                Ok(found(self.connection.execute(&statement, &parameters).await?))
            }
            Operation::Delete => Ok(found(self.connection.execute(&statement, &[&id]).await?)),
        }
    }

    async fn prepared(&mut self, text: String) -> Result<Statement, Error> {
        if let Some(known) = self.statements.get(&text) {
            return Ok(known.clone());
        }
        let prepared = self.connection.prepare(&text).await?;
        self.statements.insert(text, prepared.clone());
        Ok(prepared)
    }
}

fn found(rows: u64) -> Answer {
    if rows == 0 { Answer::Refused(NO_ROW.to_owned()) } else { Answer::Done(None) }
}

/// An error that the server sent for a statement of its own transaction says that nothing was done; one that ends the
/// connection (class 57, 08) may come after the commit.
fn is_certain(error: &Error) -> bool {
    error.as_db_error().is_some_and(|error| !["57", "08"].contains(&error.code().code().get(..2).unwrap_or_default()))
}

fn describe(error: &Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |error| format!("{}: {}", error.code().code(), error.message()))
}

fn statement(collection: Collection, planned: &Planned) -> String {
    let table = table(collection);
    let ([a, b, c], [a_type, b_type, c_type]) = (fields(collection), types(collection));
    match planned.operation {
        Operation::Insert => {
            let parent = parent(collection);
            let (id, value) = if planned.id.is_some() { (", id", ", $7") } else { ("", "") };
            format!(
                "INSERT INTO {table} ({a}, {b}, {c}, version, write_id, {parent}{id}) \
                 VALUES ($1::text::{a_type}, $2::text::{b_type}, $3::text::{c_type}, $4, $5, $6{value}) RETURNING id"
            )
        }
        Operation::Update => format!(
            "UPDATE {table} SET {a} = $1::text::{a_type}, {b} = $2::text::{b_type}, {c} = $3::text::{c_type}, \
             version = $4, write_id = $5 WHERE id = $6"
        ),
        Operation::Delete => format!("DELETE FROM {table} WHERE id = $1"),
    }
}
