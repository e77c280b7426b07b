//! Who may log in to the primary, and what the primary says of itself.

use tokio_postgres::{Config, NoTls};

use super::{error::TestbedError, secrets::Secrets};

/// The application's database.
pub(super) const DATABASE: &str = "app";
/// The role that owns it.
pub(super) const APPLICATION: &str = "app";
/// The superuser that the cluster was made with.
pub(super) const SUPERUSER: &str = "postgres";
/// The superuser that looks on from outside.
pub(super) const OBSERVER: &str = "observer";
/// The role the engine logs in as: a superuser, as the account of those who recover a cluster is.
pub(super) const ENGINE: &str = "lifeboat";

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// `15.13 (Debian 15.13-0+deb12u1)`.
    pub(super) version: String,
    pub(super) system_identifier: String,
}

/// How to log in to the server at that address.
pub(super) fn login(host: &str, port: u16, user: &str, password: &str) -> Config {
    let mut config = Config::new();
    config.host(host).port(port).user(user).password(password).dbname(DATABASE).application_name(user);
    config.connect_timeout(std::time::Duration::from_secs(10));
    config
}

/// Makes the roles and the application's database, and asks the server who it is.
pub(super) async fn create(host: &str, port: u16, secrets: &Secrets) -> Result<Identity, TestbedError> {
    let failed = |source| TestbedError::Sql { doing: "making the roles", source };
    let mut superuser = login(host, port, SUPERUSER, &secrets.superuser);
    superuser.dbname("postgres");
    let (client, connection) = superuser.connect(NoTls).await.map_err(failed)?;
    // It ends with the client; its errors show in the client's calls.
    let driving = tokio::spawn(connection);
    let statements = [
        format!("CREATE ROLE {APPLICATION} LOGIN PASSWORD '{}'", secrets.application),
        format!("CREATE ROLE {OBSERVER} SUPERUSER LOGIN PASSWORD '{}'", secrets.observer),
        format!("CREATE ROLE {ENGINE} SUPERUSER REPLICATION LOGIN PASSWORD '{}'", secrets.engine),
        format!("CREATE DATABASE {DATABASE} OWNER {APPLICATION}"),
    ];
    for statement in statements {
        client.execute(statement.as_str(), &[]).await.map_err(failed)?;
    }
    let sql = "SELECT current_setting('server_version'), system_identifier::text FROM pg_control_system()";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    drop(client);
    driving.await.ok();
    Ok(Identity { version: row.get(0), system_identifier: row.get(1) })
}
