//! A connection on the application's path, with its driver task.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

/// No connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The server or the path to it refused.
    #[error("{0}")]
    Refused(#[from] tokio_postgres::Error),
    /// Nothing answered in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

/// Connects; the connection's driver runs as a task and ends with the client.
pub async fn connect(config: &Config, within: Duration) -> Result<Client, ConnectError> {
    let connecting = timeout(within, config.connect(NoTls)).await;
    let (client, connection) = connecting.map_err(|_elapsed| ConnectError::TimedOut(within))??;
    // The driver's error is also the client's next one, which is where it is looked at.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
