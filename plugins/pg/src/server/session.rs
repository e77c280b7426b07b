//! What a session on the server tells: settings, and how an action is logged in.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, postgres::Value};

/// Whether the server has the setting in question; for one that a plain `SHOW` would refuse.
pub fn setting(connection: &impl Connection, name: &str) -> Result<Option<String>, Failure> {
    let rows = connection.query("SELECT current_setting($1::text, true) AS value", &[Value::from(name)])?;
    rows.one()?.get("value")
}

/// Whether the login is a superuser.
pub fn is_superuser(connection: &impl Connection) -> Result<bool, Failure> {
    let rows = connection.query("SELECT current_setting('is_superuser') = 'on' AS is_superuser", &[])?;
    rows.one()?.get("is_superuser")
}

/// How an action is logged in, and limits of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
    /// Values of integer settings, by name.
    pub limits: BTreeMap<String, i64>,
}

/// Asks the server who is logged in, and for the values of these integer settings.
pub fn login(connection: &impl Connection, settings: &[&str]) -> Result<Login, Failure> {
    let who = connection.query("SELECT session_user::text AS name, current_database()::text AS database", &[])?;
    let names: Vec<String> = settings.iter().map(|name| (*name).to_owned()).collect();
    let limits = connection.query(
        "SELECT name::text AS name, setting::bigint AS value FROM pg_settings WHERE name = ANY ($1::text[])",
        &[Value::from(names)],
    )?;
    let who = who.one()?;
    Ok(Login {
        user: who.get("name")?,
        database: who.get("database")?,
        limits: limits.iter().map(|row| Ok((row.get("name")?, row.get("value")?))).collect::<Result<_, Failure>>()?,
    })
}
