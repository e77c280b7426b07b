//! The environment of a restored copy: the programs that run it, the wall around it, the risks that no setting contains, and
//! where it listens.

use std::collections::BTreeMap;

use lifeboat_plugin::{Connection, Failure, Machine, Process, machine};

use crate::{
    copy::{
        copying::{self, Tablespace},
        instance::{self, Configuration, Instance, Startup},
        isolation::{self, Door, Risk, ServerVersion},
        marker,
        wal_tablespaces::TablespaceSearch,
    },
    server::{self, Capabilities, Login},
};

/// Linux takes 107 bytes for the path of a socket; its name takes 15 of them.
const SOCKET_FOLDER_MAX: usize = 90;
/// The number in the name of a socket, where the binding gives no port.
const SOCKET_PORT: u16 = 5432;

/// What the original says about itself.
#[derive(Debug, Clone)]
pub struct Original {
    /// The login of the action on the original.
    pub login: Login,
    /// The tablespaces that it uses now.
    pub tablespaces: Vec<Tablespace>,
    /// Whether a table of it can be another server's.
    pub foreign_tables: bool,
}

impl Original {
    /// Queries the original.
    pub fn ask(connection: &impl Connection) -> Result<Self, Failure> {
        Ok(Self {
            login: server::login(connection, &instance::REPLAY_LIMITS)?,
            tablespaces: copying::tablespaces(connection)?,
            foreign_tables: isolation::has_foreign_tables(connection)?,
        })
    }
}

/// What the step requests for the copy.
#[derive(Debug, Clone, Copy)]
pub struct Wishes<'a> {
    /// Further settings.
    pub settings: &'a BTreeMap<String, String>,
    /// Risks that it accepts.
    pub accepted: &'a [String],
    /// The wall that must be around it.
    pub wall: Option<&'a str>,
}

/// The folders in which the WAL of a copy creates tablespaces: read while the backup is copied if a wall gives the copy its own
/// folders in their place, and before that otherwise.
pub enum Tablespaces<P> {
    /// Still being read.
    Reading(TablespaceSearch<P>),
    /// Known, and nothing is refused.
    Known(Vec<String>),
}

impl<P: Process> Tablespaces<P> {
    /// Waits for the reading to end.
    ///
    /// # Errors
    /// If the WAL could not be read.
    pub fn folders(self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Reading(search) => search.folders(),
            Self::Known(folders) => Ok(folders),
        }
    }
}

/// The facts that are determined before anything is copied.
#[derive(Debug, Clone)]
pub struct Environment<'a> {
    /// The wall that the machine offers. It was tried out, so that its name is a fact.
    pub wall: machine::Wall,
    wishes: Wishes<'a>,
    version: ServerVersion,
    risks: Vec<Risk>,
    server: machine::Server,
}

impl<'a> Environment<'a> {
    /// Examines the machine, on which the copy will read its WAL from the folder `wal`; refuses risks that are already known and not
    /// accepted.
    pub fn find<C: Capabilities>(
        instance: &Instance<'_, C>,
        wishes: Wishes<'a>,
        original: &Original,
        wal: &str,
    ) -> Result<Self, Failure> {
        let Instance { caps, machine, .. } = *instance;
        let server = machine::Server {
            data: instance.data(),
            settings: Vec::new(),
            reads: vec![wal.to_owned()],
            replaces: Vec::new(),
        };
        let version = isolation::version(caps, machine)?;
        let wall = caps.find_wall(machine, &server, wishes.wall)?;
        if wall.name == "none" {
            caps.warn(&format!("there is no wall around the copy, only its settings: {}", wall.lacking));
        } else {
            let stronger = if wall.lacking.is_empty() { String::new() } else { format!("; not by {}", wall.lacking) };
            caps.info(&format!("the copy is kept in its folder by the wall `{}`{stronger}", wall.name));
        }
        let mut risks = Vec::new();
        if !wall.network {
            risks = isolation::risks(version, wishes.settings, original.foreign_tables);
            isolation::weigh(&risks, wishes.accepted, &wall)?;
        }
        Ok(Self { wall, wishes, version, risks, server })
    }

    /// If no folder of the copy can replace a tablespace's, the search ends before anything is copied, and a tablespace that is not
    /// accepted is refused.
    pub fn tablespaces<P: Process>(&self, search: TablespaceSearch<P>) -> Result<Tablespaces<P>, Failure> {
        if self.wall.folders {
            return Ok(Tablespaces::Reading(search));
        }
        let folders = search.folders()?;
        isolation::weigh(&self.risks(&folders)?, self.wishes.accepted, &self.wall)?;
        Ok(Tablespaces::Known(folders))
    }

    /// The risks that nothing contains, with these folders in the WAL.
    fn risks(&self, folders: &[String]) -> Result<Vec<Risk>, Failure> {
        let mut risks = self.risks.clone();
        if !self.wall.folders && !folders.is_empty() {
            let what = format!("its WAL creates tablespaces in {}, and replay writes there", folders.join(", "));
            if self.wall.files {
                // Replay ends there: the wall prevents the write, and no other folder replaces this one.
                return Err(isolation::no_folders(&what, &self.wall));
            }
            risks.push(Risk { name: "tablespaces", what });
        }
        Ok(risks)
    }

    /// How the copy is started, once it is known in which folders its WAL creates tablespaces.
    pub fn settle<C: Capabilities>(
        &self,
        instance: &Instance<'_, C>,
        configuration: &Configuration,
        folders: &[String],
    ) -> Result<Startup, Failure> {
        let risks = self.risks(folders)?;
        let mut server = self.server.clone();
        if self.wall.folders {
            server.replaces = folders.to_vec();
        }
        let accepted = isolation::weigh(&risks, self.wishes.accepted, &self.wall)?;
        if !accepted.is_empty() {
            instance.caps.warn(&format!("accepted by the step: {accepted}"));
        }
        let socket = instance.socket();
        let by_socket = self.wall.socket;
        let door = Door {
            port: configuration.port,
            listen: if by_socket { "" } else { &configuration.listen },
            // One that is reached over the network has a socket too, for programs on its machine.
            socket: (by_socket || socket.len() <= SOCKET_FOLDER_MAX).then_some(socket.as_str()),
        };
        server.settings = isolation::command_line(self.version, &instance.data(), &door, self.wishes.settings);
        Ok(Startup { server, wall: self.wall.clone() })
    }

    /// The first port of the binding that neither another instance holds nor anything listens on, and on which no start of this call
    /// was refused. A copy that is reached by a socket shares no port.
    pub fn free_port<C: Machine>(
        &self,
        instance: &Instance<'_, C>,
        name: &str,
        refused: &[u16],
    ) -> Result<u16, Failure> {
        let Instance { caps, machine, .. } = *instance;
        let ports = caps.ports(machine)?;
        if self.wall.socket {
            return Ok(ports.first().copied().unwrap_or(SOCKET_PORT));
        }
        let mut others = marker::list(caps, machine)?;
        others.retain(|other| other.name != name && other.holds().is_some());
        for port in ports.into_iter().filter(|port| !refused.contains(port)) {
            if others.iter().all(|other| other.holds() != Some(port)) && caps.port_is_free(machine, port)? {
                return Ok(port);
            }
        }
        let holders: String = others.iter().filter_map(|other| holder(caps, machine, other)).collect();
        let message = format!("every port that the binding of `{machine}` allows for instances is taken{holders}");
        Err(Failure::transient("pg-no-port", message))
    }
}

/// Which copy holds a port, how large it is, and how it is removed.
fn holder(caps: &impl Machine, machine: &str, other: &marker::FoundInstance) -> Option<String> {
    let marker = other.marker.as_ref()?;
    let (name, key, port) = (&other.name, &marker.key, marker.port);
    let size = caps.survey(machine, &marker::folder(caps, machine, name).ok()?).map_or(0, |tree| tree.bytes) >> 20;
    Some(format!("; {name} of {key} has {port} and {size} MiB (`lifeboat copies remove {name}`)"))
}
