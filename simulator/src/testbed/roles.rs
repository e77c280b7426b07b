//! The login roles of a server, and how a server identifies itself.

use tokio_postgres::{Config, NoTls};

use super::{error::TestbedError, secrets::Secrets};

/// The application's database.
pub(super) const DATABASE: &str = "app";
/// The role that owns it.
pub(super) const APPLICATION: &str = "app";
/// The superuser with which the cluster was made.
pub(super) const SUPERUSER: &str = "postgres";
/// The superuser of the observer.
pub(super) const OBSERVER: &str = "observer";
/// The role the engine logs in as: a superuser, like the account of people who recover a cluster.
pub(super) const ENGINE: &str = "lifeboat";

/// How a server identifies itself.
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

/// Makes the roles and the application's database.
pub(super) async fn create((host, port): &(String, u16), secrets: &Secrets) -> Result<(), TestbedError> {
    let statements = [
        format!("CREATE ROLE {APPLICATION} LOGIN PASSWORD '{}'", secrets.application),
        format!("CREATE ROLE {OBSERVER} SUPERUSER LOGIN PASSWORD '{}'", secrets.observer),
        format!("CREATE ROLE {ENGINE} SUPERUSER REPLICATION LOGIN PASSWORD '{}'", secrets.engine),
        format!("CREATE DATABASE {DATABASE} OWNER {APPLICATION}"),
    ];
    let superuser = Superuser::connect("postgres", host, *port, secrets).await?;
    for statement in statements {
        superuser.execute("making the roles", &statement).await?;
    }
    Ok(())
}

/// Makes the roles of those who recover, and an empty database for the application: none of the application's own.
pub(super) async fn create_empty((host, port): &(String, u16), secrets: &Secrets) -> Result<(), TestbedError> {
    let statements = [
        format!("CREATE ROLE {OBSERVER} SUPERUSER LOGIN PASSWORD '{}'", secrets.observer),
        format!("CREATE ROLE {ENGINE} SUPERUSER REPLICATION LOGIN PASSWORD '{}'", secrets.engine),
        format!("CREATE DATABASE {DATABASE}"),
    ];
    let superuser = Superuser::connect("postgres", host, *port, secrets).await?;
    for statement in statements {
        superuser.execute("making the roles", &statement).await?;
    }
    Ok(())
}

/// Asks a server for its identity.
pub(super) async fn identify((host, port): &(String, u16), secrets: &Secrets) -> Result<Identity, TestbedError> {
    let sql = "SELECT current_setting('server_version'), system_identifier::text FROM pg_control_system()";
    let superuser = Superuser::connect(DATABASE, host, *port, secrets).await?;
    let row = superuser
        .0
        .query_one(sql, &[])
        .await
        .map_err(|source| TestbedError::Sql { doing: "asking who it is", source })?;
    Ok(Identity { version: row.get(0), system_identifier: row.get(1) })
}

/// A superuser's connection that no fault can reach.
pub(super) struct Superuser(tokio_postgres::Client);

impl Superuser {
    pub(super) async fn connect(
        database: &str,
        host: &str,
        port: u16,
        secrets: &Secrets,
    ) -> Result<Self, TestbedError> {
        let failed = |source| TestbedError::Sql { doing: "connecting as the superuser", source };
        let mut login = login(host, port, SUPERUSER, &secrets.superuser);
        let (client, connection) = login.dbname(database).connect(NoTls).await.map_err(failed)?;
        // It ends with the client; the client's calls return its errors.
        tokio::spawn(connection);
        Ok(Self(client))
    }

    pub(super) async fn execute(&self, doing: &'static str, sql: &str) -> Result<(), TestbedError> {
        self.0.execute(sql, &[]).await.map(drop).map_err(|source| TestbedError::Sql { doing, source })
    }

    /// The text that the statement answers with; empty: it answers with nothing.
    pub(super) async fn text(&self, doing: &'static str, sql: &str) -> Result<String, TestbedError> {
        let rows = self.0.query(sql, &[]).await.map_err(|source| TestbedError::Sql { doing, source })?;
        Ok(rows.first().map(|row| row.get(0)).unwrap_or_default())
    }

    /// Whether the statement answers with true.
    pub(super) async fn holds(&self, doing: &'static str, sql: &str) -> Result<bool, TestbedError> {
        let rows = self.0.query(sql, &[]).await.map_err(|source| TestbedError::Sql { doing, source })?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}
