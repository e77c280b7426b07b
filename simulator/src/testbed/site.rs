//! Provides systems with folders, containers or processes, and networks, so that a system does not need to know which of the two
//! backends it runs in.

use std::{
    net::Ipv4Addr,
    os::unix::fs::chown,
    sync::{Arc, Mutex, PoisonError},
};

use lifeboat_core::bindings::Via;
use lifeboat_programs::Account;

use super::{
    binaries,
    container::{self, Containers, INSTANCE_PORTS, SERVER_PORT},
    docker::{self, ENGINE, Image},
    error::TestbedError,
    ground::Ground,
    network::{End, Network},
    options::{Backend, TestbedOptions},
    place::{self, Call, Place, SERVERS_USER},
    ports,
    secrets::Secrets,
    server::Server,
};

/// The last part of the addresses of a region on processes: its systems, and the proxies for its outgoing traffic.
const SYSTEMS: u8 = 1;
const EXITS: u8 = 9;

/// Everything that is needed to build a system.
pub(super) struct Site<'a> {
    pub(super) options: &'a TestbedOptions,
    pub(super) ground: &'a Ground,
    pub(super) secrets: Arc<Secrets>,
    pub(super) network: Arc<Network>,
    host: Host,
    /// The regions so far, in the order of their first use.
    regions: Mutex<Vec<String>>,
}

enum Host {
    Process { bin: String, account: Option<Account> },
    Container { image: Image },
}

/// The purpose of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// A server: one port.
    Server,
    /// A machine on which instances are started: a few ports.
    Instances,
}

/// A place with folders and ports for a system.
pub(super) struct Room {
    pub(super) place: Place,
    /// The root of the testbed's folders there.
    root: String,
    pub(super) end: End,
    /// Folder of PostgreSQL's programs there.
    pub(super) bin: String,
    /// The origin of the programs.
    pub(super) origin: String,
    /// Ports there, and of this machine.
    pub(super) ports: Vec<(u16, u16)>,
    /// Its host name in its region.
    pub(super) near: String,
    /// This machine's address for its ports.
    pub(super) here: String,
}

impl Room {
    /// The path of a testbed folder in that place.
    pub(super) fn path(&self, folder: &str) -> String {
        format!("{}/{folder}", self.root)
    }
}

impl<'a> Site<'a> {
    pub(super) async fn prepare(options: &'a TestbedOptions, ground: &'a Ground) -> Result<Self, TestbedError> {
        let host = match options.backend {
            Backend::Process => {
                let binaries = binaries::find(options.postgres_major)?;
                let bin = binaries.folder.to_string_lossy().into_owned();
                Host::Process { bin, account: place::account_of_servers()? }
            }
            Backend::Container => {
                let major = options.postgres_major;
                let image = tokio::task::spawn_blocking(move || Image::provide(major)).await.map_err(|error| {
                    TestbedError::Engine { doing: "providing an image", message: error.to_string() }
                })?;
                // Ctrl-C also reaches the commands that pull and build, and their failure is then not why the drill ends.
                options.go_on()?;
                Host::Container { image: image? }
            }
        };
        let secrets = Arc::new(Secrets::random()?);
        let site = Self { options, ground, secrets, network: Arc::default(), host, regions: Mutex::default() };
        site.let_the_servers_in().await?;
        Ok(site)
    }

    /// Makes sure that the servers' user can enter the folders.
    async fn let_the_servers_in(&self) -> Result<(), TestbedError> {
        let Host::Process { account: Some(account), .. } = &self.host else { return Ok(()) };
        let root = self.ground.layout.root.clone();
        self.give(std::slice::from_ref(&root))?;
        let place = Place { via: Via::Local, user: Some(account.name.clone()) };
        place
            .run("test", Call::new(&["-x", &root.to_string_lossy()]))
            .await
            .map(drop)
            .map_err(|_| TestbedError::Unreachable { path: root, user: account.name.clone() })
    }

    fn give(&self, folders: &[std::path::PathBuf]) -> Result<(), TestbedError> {
        let Host::Process { account: Some(account), .. } = &self.host else { return Ok(()) };
        for folder in folders {
            chown(folder, Some(account.uid), Some(account.gid))
                .map_err(|source| TestbedError::Folder { path: folder.clone(), source })?;
        }
        Ok(())
    }

    /// Makes the system's folders, and a place that can use them and the `shared` folders of another system.
    pub(super) async fn room(
        &self,
        end: End,
        own: &[&str],
        shared: &[String],
        usage: Use,
    ) -> Result<Room, TestbedError> {
        let name = end.system.clone().unwrap_or_default();
        let own: Vec<String> =
            std::iter::once(name.clone()).chain(own.iter().map(|folder| format!("{name}/{folder}"))).collect();
        let mut made = Vec::new();
        for folder in &own {
            made.push(self.ground.layout.make(folder)?);
        }
        self.options.go_on()?;
        match &self.host {
            Host::Process { bin, account } => {
                self.give(&made)?;
                self.local(end, bin, account.as_ref(), usage)
            }
            Host::Container { image } => self.contained(end, image, &own, shared, usage).await,
        }
    }

    fn local(&self, end: End, bin: &str, account: Option<&Account>, usage: Use) -> Result<Room, TestbedError> {
        let count = match usage {
            Use::Server => 1,
            Use::Instances => INSTANCE_PORTS.len(),
        };
        let free =
            ports::free(count).map_err(|source| TestbedError::Resource { what: "the servers' ports", source })?;
        let address = self.address(end.region.as_deref(), SYSTEMS).to_string();
        Ok(Room {
            place: Place { via: Via::Local, user: account.map(|account| account.name.clone()) },
            root: self.ground.layout.root.to_string_lossy().into_owned(),
            end,
            bin: bin.to_owned(),
            origin: format!("binaries in {bin}"),
            ports: free.into_iter().map(|port| (port, port)).collect(),
            near: address.clone(),
            here: address,
        })
    }

    async fn contained(
        &self,
        end: End,
        image: &Image,
        own: &[String],
        shared: &[String],
        usage: Use,
    ) -> Result<Room, TestbedError> {
        let ports: &[u16] = match usage {
            Use::Server => &[SERVER_PORT],
            Use::Instances => &INSTANCE_PORTS,
        };
        let containers = Containers {
            id: &self.ground.id,
            network: &self.network_of(end.region.as_deref()).await?,
            image,
            layout: &self.ground.layout,
            keep: self.options.keep,
        };
        let running = containers.start(end.system.as_deref().unwrap_or_default(), own, shared, ports).await?;
        Ok(Room {
            place: Place {
                via: Via::Container { engine: ENGINE.into(), name: running.name.clone() },
                user: Some(SERVERS_USER.to_owned()),
            },
            root: container::ROOT.to_owned(),
            end,
            bin: format!("/usr/lib/postgresql/{}/bin", image.tag),
            origin: image.origin.clone(),
            ports: running.ports,
            near: running.name.clone(),
            here: Ipv4Addr::LOCALHOST.to_string(),
        })
    }

    /// The address by which `from` reaches the server: through a path that network faults can affect, if there is one.
    pub(super) async fn reach(&self, from: &End, to: &Server) -> Result<(String, u16), TestbedError> {
        if from.region == to.end.region {
            return Ok(if from.system.is_some() { to.near.clone() } else { to.direct.clone() });
        }
        self.path(from, to).await
    }

    /// A path of its own to the server.
    pub(super) async fn path(&self, from: &End, to: &Server) -> Result<(String, u16), TestbedError> {
        let (host, port) = &to.direct;
        let at = match (&self.host, &from.system) {
            (_, None) => Ipv4Addr::LOCALHOST,
            (Host::Process { .. }, Some(_)) => self.address(from.region.as_deref(), EXITS),
            (Host::Container { .. }, Some(_)) => self.gateway(from.region.as_deref()).await?,
        };
        let address = self
            .network
            .path(from.clone(), to.end.clone(), at, &format!("{host}:{port}"))
            .await
            .map_err(|source| TestbedError::Resource { what: "a fault proxy", source })?;
        Ok((address.ip().to_string(), address.port()))
    }

    /// Each region on processes has a range of loopback addresses.
    fn address(&self, region: Option<&str>, last: u8) -> Ipv4Addr {
        let Some(region) = region else { return Ipv4Addr::LOCALHOST };
        Ipv4Addr::new(127, 0, self.number(region), last)
    }

    /// Regions are numbered from 1.
    fn number(&self, region: &str) -> u8 {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let place = regions.iter().position(|known| known == region).unwrap_or_else(|| {
            regions.push(region.to_owned());
            regions.len() - 1
        });
        u8::try_from(place + 1).unwrap_or(u8::MAX)
    }

    /// The network of a region, which is made if it does not exist yet.
    async fn network_of(&self, region: Option<&str>) -> Result<String, TestbedError> {
        let (id, region) = (self.ground.id.clone(), region.map(str::to_owned));
        docker::blocking(move || docker::provide_network(&id, region.as_deref())).await
    }

    /// This machine's address in the network of a region.
    async fn gateway(&self, region: Option<&str>) -> Result<Ipv4Addr, TestbedError> {
        let name = self.network_of(region).await?;
        docker::blocking(move || docker::gateway(&name)).await
    }
}
