//! Builds the systems of each backend, up to the point from which on they are handled alike.

use std::os::unix::fs::chown;

use super::{
    backup::BackupSource,
    binaries,
    bindings::MachineFacts,
    container::{INSTANCE_PORTS, PRIMARY_PORT, Region},
    docker::{ENGINE, Image},
    error::TestbedError,
    ground::Ground,
    layout::{Inside, Layout},
    options::TestbedOptions,
    place::{Account, Call, Place},
    ports,
    primary::{Primary, Reach},
    roles,
    secrets::Secrets,
};

/// What both backends come down to.
#[derive(Debug)]
pub(super) struct Systems {
    pub(super) primary: Primary,
    /// The primary as reached from this process.
    pub(super) primary_port: u16,
    pub(super) backups: BackupSource,
    pub(super) machine: MachineFacts,
    /// Where the servers come from.
    pub(super) origin: String,
    /// What the machine is.
    pub(super) machine_version: String,
}

/// PostgreSQL's own binaries on this machine.
pub(super) async fn processes(
    options: &TestbedOptions,
    ground: &Ground,
    secrets: &Secrets,
) -> Result<Systems, TestbedError> {
    let binaries = binaries::find(options.postgres_major)?;
    let account = Account::of_servers()?;
    let place = Place::Local(account.clone());
    if let Some(account) = &account {
        hand_over(&ground.layout, account, &place).await?;
    }
    let mut free = ports::free(1 + INSTANCE_PORTS.len())
        .map_err(|source| TestbedError::Resource { what: "the servers' ports", source })?;
    let port = free.remove(0);
    let bin = binaries.folder.to_string_lossy().into_owned();
    let inside = Inside { root: ground.layout.root.to_string_lossy().into_owned() };
    let version = machine_version(&place).await?;
    Ok(Systems {
        backups: BackupSource {
            place: place.clone(),
            bin: bin.clone(),
            folder: inside.folder("backups"),
            host: "127.0.0.1".into(),
            port,
            password: secrets.engine.clone(),
        },
        machine: MachineFacts {
            container: None,
            user: account.map(|account| account.name),
            bin: bin.clone(),
            ports: free.into_iter().map(|port| (port, format!("127.0.0.1:{port}"))).collect(),
        },
        origin: format!("binaries in {bin}"),
        machine_version: version,
        primary: Primary {
            place,
            inside,
            bin,
            port,
            reach: Reach::Loopback,
            archive_timeout_s: options.archive_timeout_s,
            wal_segment_mib: options.wal_segment_mib,
        },
        primary_port: port,
    })
}

/// Gives the shared folders to the servers' user, and makes sure that he gets there.
async fn hand_over(layout: &Layout, account: &Account, place: &Place) -> Result<(), TestbedError> {
    let shared = Layout::SHARED.map(|name| layout.root.join(name));
    for folder in [layout.root.clone()].iter().chain(&shared) {
        chown(folder, Some(account.uid), Some(account.gid))
            .map_err(|source| TestbedError::Folder { path: folder.clone(), source })?;
    }
    let root = layout.root.to_string_lossy();
    place
        .run("test", Call::new(&["-x", &root]))
        .await
        .map(drop)
        .map_err(|_| TestbedError::Unreachable { path: layout.root.clone(), user: account.name.clone() })
}

/// Containers of the local engine.
pub(super) async fn containers(
    options: &TestbedOptions,
    ground: &Ground,
    secrets: &Secrets,
) -> Result<Systems, TestbedError> {
    let major = options.postgres_major;
    let image = tokio::task::spawn_blocking(move || Image::provide(major))
        .await
        .map_err(|error| TestbedError::Engine { doing: "providing an image", message: error.to_string() })?;
    // Pulling and building hear Ctrl-C themselves, and what they then say is not why the drill ends.
    options.go_on()?;
    let image = image?;
    let region = Region { id: &ground.id, image: &image, layout: &ground.layout, keep: options.keep };
    let primary = region.start("primary", &["primary", "archive", "sockets"], &[PRIMARY_PORT]).await?;
    options.go_on()?;
    let recovery = region.start("recovery", &["archive", "backups", "work", "sockets"], &INSTANCE_PORTS).await?;
    let place = |name: &str| Place::Container { engine: ENGINE.into(), name: name.to_owned() };
    let bin = format!("/usr/lib/postgresql/{}/bin", image.tag);
    let recovery_place = place(&recovery.name);
    let password_line = format!("*:*:*:{}:{}\n", roles::ENGINE, secrets.engine);
    let script = ["-c", "umask 077; cat > ~postgres/.pgpass"];
    recovery_place.run("sh", Call { stdin: password_line.as_bytes(), ..Call::new(&script) }).await?;
    Ok(Systems {
        primary_port: primary.ports.first().map_or(PRIMARY_PORT, |(_, outside)| *outside),
        machine_version: machine_version(&recovery_place).await?,
        backups: BackupSource {
            place: recovery_place,
            bin: bin.clone(),
            folder: Region::inside().folder("backups"),
            host: primary.name.clone(),
            port: PRIMARY_PORT,
            password: secrets.engine.clone(),
        },
        machine: MachineFacts {
            container: Some((ENGINE.into(), recovery.name)),
            user: Some("postgres".into()),
            bin: bin.clone(),
            ports: recovery.ports.iter().map(|(there, here)| (*there, format!("127.0.0.1:{here}"))).collect(),
        },
        origin: image.origin.clone(),
        primary: Primary {
            place: place(&primary.name),
            inside: Region::inside(),
            bin,
            port: PRIMARY_PORT,
            reach: Reach::Network,
            archive_timeout_s: options.archive_timeout_s,
            wal_segment_mib: options.wal_segment_mib,
        },
    })
}

/// `Debian GNU/Linux 12 (bookworm)`.
async fn machine_version(place: &Place) -> Result<String, TestbedError> {
    let text = place.run("cat", Call::new(&["/etc/os-release"])).await?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    Ok(name.map_or_else(|| "unknown system".to_owned(), |name| name.trim_matches('"').to_owned()))
}
