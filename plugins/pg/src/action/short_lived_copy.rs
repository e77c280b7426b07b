//! A copy that is restored, asked and removed within one call: the part that `pg/restore` and `pg/destroy-instance` play in other actions.

use std::collections::BTreeMap;

use lifeboat_plugin::{Call, Connection, Failure, Postgres};
use serde_json::{Value, json};

use super::{destroy_instance, restore};
use crate::{
    copy::marker,
    server::{self, Capabilities},
};

/// How such copies are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Copies<'a, C> {
    pub(super) call: &'a Call,
    pub(super) caps: &'a C,
    pub(super) machine: &'a str,
    pub(super) server: &'a str,
    pub(super) settings: &'a BTreeMap<String, String>,
    pub(super) accept: &'a [String],
    pub(super) archive: Option<&'a str>,
    pub(super) backups: Option<&'a str>,
}

impl<C: Capabilities> Copies<'_, C> {
    /// Restores a copy to a target, hands out a connection to that database, and removes the copy, whatever came of it. `name` tells it
    /// from the other copies of the call, and is the same for every attempt.
    pub(super) fn ask<T>(
        &self,
        name: &str,
        target: &Value,
        database: Option<&str>,
        ask: impl FnOnce(&<C as Postgres>::Connection) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let with = json!({
            "machine": self.machine,
            "server": self.server,
            "target": target,
            "settings": self.settings,
            "accept": self.accept,
            "archive": self.archive,
            "backups": self.backups,
        });
        let copy = self.part(name, "restore", &with);
        let instance = marker::instance_of(&copy.key);
        let asked = restore::run(&copy, self.caps).and_then(|_| ask(&self.open(&instance, database)?));
        let with = json!({ "machine": self.machine, "instance": instance });
        let removed = destroy_instance::run(&self.part(name, "destroy-instance", &with), self.caps);
        // Why asking failed says more than that the copy is still there.
        asked.and_then(|answer| removed.map(|_| answer))
    }

    fn open(&self, instance: &str, database: Option<&str>) -> Result<<C as Postgres>::Connection, Failure> {
        let marker = marker::read(self.caps, self.machine, instance)?;
        let connection = marker.open(self.caps, self.machine, &marker::folder(self.caps, self.machine, instance)?)?;
        let own = server::login(&connection, &[])?.database;
        match database.filter(|database| *database != own) {
            Some(database) => Ok(connection.beside(database)?),
            None => Ok(connection),
        }
    }

    /// A part of the call with an instance of its own.
    fn part(&self, name: &str, action: &str, parameters: &Value) -> Call {
        Call {
            action: action.to_owned(),
            parameters: parameters.to_string(),
            key: format!("{}/{name}", self.call.key),
            ..self.call.clone()
        }
    }
}
