//! A testbed from its start to its end.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::Arc,
};

use lifeboat_present::drill::SystemInfo;
use serde_json::Value;
use tokio_postgres::Config;

use super::{
    backup::BackupInfo,
    credentials::KeptLogin,
    error::TestbedError,
    ground::{self, Ground},
    network::Network,
    options::{Backend, TestbedOptions, available},
    server::Server,
    shelf::Shelf,
    site::Site,
    spec::SystemSpec,
    system::{self, Built, Door, Notification, Order, System, WorkEntry, named, serialise},
};
use crate::store::Endpoint;

/// Running systems. Dropping it tears down everything that it can; [`Testbed::stop`] also reports what remains.
#[derive(Debug)]
pub struct Testbed {
    // Fields are dropped in this order: nothing is removed while it is still in use.
    systems: Built,
    network: Arc<Network>,
    swept: Vec<String>,
    ground: Ground,
}

impl Testbed {
    /// Builds the systems and waits until they serve. First removes what testbeds of dead processes left.
    ///
    /// # Errors
    /// If a system cannot be built; the systems built so far are removed again.
    pub async fn start(options: TestbedOptions) -> Result<Self, TestbedError> {
        available(options.backend)?;
        let parent = options.folder.clone().unwrap_or_else(env::temp_dir);
        let swept = sweep(parent.clone(), options.backend).await;
        let mut ground = Ground::lay(&parent, options.backend, options.keep)?;
        let site = Site::prepare(&options, &ground).await?;
        let systems = build(&site).await?;
        let network = Arc::clone(&site.network);
        drop(site);
        ground.stands();
        Ok(Self { systems, network, swept, ground })
    }

    /// The paths between regions and from the outside.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The path of an application or an observer to a store. `None`: there is no such store.
    pub fn endpoint(&self, store: &str, door: Door) -> Option<Arc<dyn Endpoint>> {
        let system = self.systems.get(store)?;
        let login = system.login(door).filter(|_| matches!(door, Door::Through(_)));
        let Some(login) = login else { return system.endpoint(door) };
        // Whoever comes through a switch may meet another server, which has another password.
        let user = login.get_user().unwrap_or_default().to_owned();
        let folders = self.systems.values().filter_map(|system| system.credentials());
        let files = folders.map(|folder| folder.join(&user)).collect();
        Some(Arc::new(KeptLogin { login, files }))
    }

    /// The same as a login, if the store is a PostgreSQL server.
    pub fn login(&self, store: &str, door: Door) -> Option<Config> {
        self.systems.get(store)?.login(door)
    }

    /// The application's path to a store, directly or through a switch.
    pub fn door(&self, through: Option<&str>) -> Door {
        let switch = through.and_then(|name| self.systems.get(name)?.switch());
        switch.map_or(Door::Application, |switch| Door::Through(switch.address()))
    }

    /// The server of that name, for faults.
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.systems.get(name)?.server()
    }

    /// The servers in that region, for faults.
    pub fn servers_in<'t>(&'t self, region: &'t str) -> impl Iterator<Item = &'t Server> {
        let servers = self.systems.values().filter_map(|system| system.server());
        servers.filter(move |server| server.end.region.as_deref() == Some(region))
    }

    /// The names of the servers.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.systems.iter().filter(|(_, system)| system.server().is_some()).map(|(name, _)| name.as_str())
    }

    /// The whole base backups on machines that are none of these, as `machine/name`.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub async fn backups_beside(&self, known: &[BackupInfo]) -> Result<Vec<String>, TestbedError> {
        let mut found = Vec::new();
        for (machine, shelf) in self.systems.iter().filter_map(|(name, system)| Some((name, system.backups()?))) {
            let names = shelf.whole_backups().await?;
            let new = names.into_iter().filter(|name| known.iter().all(|backup| backup.label != *name));
            found.extend(new.map(|name| format!("{machine}/{name}")));
        }
        Ok(found)
    }

    /// The name of the system to which a switch directs the application now; `None`: to none of them.
    pub fn directed_to(&self, switch: &str) -> Option<&str> {
        let address = self.systems.get(switch)?.switch()?.upstream();
        let is_there = |binding: Value| format!("{}:{}", text(&binding["host"]), binding["port"]) == address;
        let mut servers = self.systems.iter().filter(|(_, system)| system.server().is_some());
        servers.find(|(_, system)| system.binding().is_some_and(is_there)).map(|(name, _)| name.as_str())
    }

    /// The base backups that a machine keeps, for faults.
    pub fn backups(&self, machine: &str) -> Option<Shelf> {
        self.systems.get(machine)?.backups()
    }

    /// The systems.
    pub fn systems(&self) -> impl Iterator<Item = (&str, &dyn System)> {
        self.systems.iter().map(|(name, system)| (name.as_str(), system.as_ref()))
    }

    /// Takes a base backup of each server that has a machine for its backups.
    ///
    /// # Errors
    /// If `pg_basebackup` fails, or the label is not a plain name.
    pub async fn base_backups(&self, label: &str) -> Result<Vec<BackupInfo>, TestbedError> {
        let mut taken = Vec::new();
        for system in self.systems.values() {
            if let Some(backup) = system.back_up(label).await {
                taken.push(backup?);
            }
        }
        Ok(taken)
    }

    /// Bindings for the engine: each of these roles with its system, and each system also in the role of its own name; secrets are
    /// references to files of mode 0600.
    pub fn bindings(&self, roles: &BTreeMap<String, String>) -> String {
        let own = self.systems.keys().map(|name| (name, name));
        let targets = own.chain(roles).filter_map(|(role, name)| {
            let binding: Value = self.systems.get(name)?.binding()?;
            Some((role.clone(), binding))
        });
        serialise(&targets.collect())
    }

    /// Descriptions of the systems.
    pub fn infos(&self) -> Vec<SystemInfo> {
        self.systems.values().map(|system| system.info()).collect()
    }

    /// The notifications so far, oldest first.
    pub fn notifications(&self) -> Vec<Notification> {
        let mut told: Vec<Notification> = self.systems.values().flat_map(|system| system.notifications()).collect();
        told.sort_by_key(|notification| notification.at);
        told
    }

    /// What runs left in the systems, by name.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn inventory(&self, runs: &[&str]) -> Result<Vec<WorkEntry>, TestbedError> {
        let mut entries = Vec::new();
        for system in self.systems.values() {
            entries.extend(system.inventory(runs).await?);
        }
        Ok(entries)
    }

    /// Names of the testbeds of dead processes that were removed before this one was built.
    pub fn swept(&self) -> &[String] {
        &self.swept
    }

    /// The testbed's own folder, with a folder for each system in it.
    pub fn folder(&self) -> &Path {
        &self.ground.layout.root
    }

    /// A folder of a system, as seen by this process.
    pub fn folder_of(&self, system: &str, name: &str) -> PathBuf {
        self.ground.layout.root.join(system).join(name)
    }

    /// Tears everything down, unless it is kept.
    ///
    /// # Errors
    /// What remains.
    pub async fn stop(self) -> Result<(), TestbedError> {
        let Self { ground, network, systems, .. } = self;
        drop((systems, network));
        let root = ground.layout.root.clone();
        // Waiting for processes and containers to end would hold up everything else on this thread.
        match tokio::task::spawn_blocking(move || ground.clear()).await {
            Ok(cleared) => cleared,
            Err(error) => Err(TestbedError::Leftover { left: vec![format!("{} ({error})", root.display())] }),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Builds each system after the one that it names.
async fn build(site: &Site<'_>) -> Result<Built, TestbedError> {
    let mut built = Built::new();
    let systems = &site.options.systems;
    while built.len() < systems.len() {
        let stands = |spec: &SystemSpec| named(spec).all(|(_, name, _)| built.contains_key(name));
        let next = systems.iter().find(|(name, spec)| !built.contains_key(*name) && stands(spec));
        let Some((name, spec)) = next else {
            let waiting: Vec<&str> =
                systems.keys().map(String::as_str).filter(|name| !built.contains_key(*name)).collect();
            let message = "it refers to a system that does not exist or that refers back to it".to_owned();
            return Err(TestbedError::System { name: waiting.join(", "), message });
        };
        site.options.go_on()?;
        let unknown = || TestbedError::System {
            name: name.clone(),
            message: format!("the kind `{}` does not exist", spec.kind()),
        };
        let kind = system::kind(spec.kind()).ok_or_else(unknown)?;
        let made = (kind.build)(Order { name, spec, site, built: &built }).await?;
        built.insert(name.clone(), made);
    }
    Ok(built)
}

/// Runs off the async threads because it waits for processes to end. A panic in it would be a bug, and is ignored here.
async fn sweep(parent: PathBuf, backend: Backend) -> Vec<String> {
    tokio::task::spawn_blocking(move || ground::sweep(&parent, backend)).await.unwrap_or_default()
}
