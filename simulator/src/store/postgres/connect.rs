//! A connection, with its driver task.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};

use crate::store::ConnectError;

/// Connects; the connection's driver runs as a task and ends with the client.
pub async fn connect(config: &Config, within: Duration) -> Result<Client, ConnectError> {
    let connecting = timeout(within, config.connect(NoTls)).await;
    let connected = connecting.map_err(|_elapsed| ConnectError::TimedOut(within))?;
    let (client, connection) = connected.map_err(|error| ConnectError::Refused(error.into()))?;
    // The client's next call returns the driver's error, and it is handled there.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}
