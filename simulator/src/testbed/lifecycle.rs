//! A testbed from its start to its end.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use lifeboat_present::drill::{Fidelity, SystemInfo};

use super::{
    backup::BackupInfo,
    bindings::{self, Facts},
    error::TestbedError,
    ground::{self, Ground},
    options::{Backend, TestbedOptions, available},
    place::Call,
    roles,
    secrets::{Secrets, token},
    systems::{self, Systems},
    webhook::{Notification, Webhook},
};
use crate::proxy::Proxy;

const LOOPBACK: &str = "127.0.0.1";
/// The file by which the engine knows the recovery machine.
const IDENTITY: &str = ".lifeboat-identity";

/// Something that lies in the folder in which copies are restored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkEntry {
    /// Its name.
    pub name: String,
    /// Whether it is a plain file, which no copy is.
    pub is_file: bool,
    /// Whether it is a small plain file that names one of the runs.
    pub names_run: bool,
}

/// Prints the kind and the name of each entry, and `names` with the name of each small file in which one of the runs is named.
const LIST_WORK: &str = r#"
cd "$0" || exit 1
find . -mindepth 1 -maxdepth 1 -printf '%y %f\n' || exit 1
for run in "$@"; do
    find . -mindepth 1 -maxdepth 1 -type f -size -4096k -exec grep -lF -e "$run" {} + | sed 's,^\./,names ,'
done
exit 0
"#;

/// Running systems. Dropping it tears everything down as well as it can; [`Testbed::stop`] also says what was left.
#[derive(Debug)]
pub struct Testbed {
    // Fields are dropped in this order: nothing is removed while something still serves from it.
    proxy: Proxy,
    webhook: Webhook,
    systems: Systems,
    application: tokio_postgres::Config,
    observer: tokio_postgres::Config,
    bindings: String,
    infos: Vec<SystemInfo>,
    swept: Vec<String>,
    ground: Ground,
}

impl Testbed {
    /// Builds the systems and waits until they serve. What testbeds of dead processes left is cleared first.
    ///
    /// # Errors
    /// Where a system cannot be built; what was built until then is gone again.
    pub async fn start(options: TestbedOptions) -> Result<Self, TestbedError> {
        available(options.backend)?;
        let parent = options.folder.clone().unwrap_or_else(env::temp_dir);
        let swept = sweep(parent.clone(), options.backend).await;
        let mut ground = Ground::lay(&parent, options.backend, options.keep)?;
        let secrets = Secrets::random()?;
        let identity = identify(&ground)?;
        let systems = match options.backend {
            Backend::Process => systems::processes(&options, &ground, &secrets).await?,
            Backend::Container => systems::containers(&options, &ground, &secrets).await?,
        };
        options.go_on()?;
        systems.primary.initialise(&secrets).await?;
        options.go_on()?;
        systems.primary.start().await?;
        options.go_on()?;
        let server = roles::create(LOOPBACK, systems.primary_port, &secrets).await?;
        let upstream = format!("{LOOPBACK}:{}", systems.primary_port);
        let proxy = Proxy::start(&upstream).await.map_err(socket("the fault proxy"))?;
        let webhook = Webhook::start(&secrets.webhook).await.map_err(socket("the webhook"))?;
        let (primary_password, webhook_key) = secrets.write(&ground.layout)?;
        let bindings = bindings::render(&Facts {
            primary: (LOOPBACK, systems.primary_port),
            primary_password: &primary_password,
            system_identifier: &server.system_identifier,
            archive_timeout_s: options.archive_timeout_s,
            machine: systems.machine.clone(),
            root: &systems.backups_root(),
            identity: &identity,
            webhook_url: &webhook.url(),
            webhook_key: &webhook_key,
        });
        ground.stands();
        let login = |port, user, password: &String| roles::login(LOOPBACK, port, user, password);
        Ok(Self {
            application: login(proxy.address().port(), roles::APPLICATION, &secrets.application),
            observer: login(systems.primary_port, roles::OBSERVER, &secrets.observer),
            infos: describe(&systems, &server),
            proxy,
            webhook,
            systems,
            bindings,
            swept,
            ground,
        })
    }

    /// The application's path: through the fault proxy, as the role `app` that owns the database `app`.
    pub fn application(&self) -> tokio_postgres::Config {
        self.application.clone()
    }

    /// The observer's path: directly to the primary as a superuser, outside the blast radius of the proxy's faults.
    pub fn observer(&self) -> tokio_postgres::Config {
        self.observer.clone()
    }

    /// The fault proxy between the application and the primary.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Takes a base backup with a manifest into the backups folder.
    ///
    /// # Errors
    /// Where `pg_basebackup` fails, or the label is no plain name.
    pub async fn base_backup(&self, label: &str) -> Result<BackupInfo, TestbedError> {
        self.systems.backups.take(label, &self.ground.layout).await
    }

    /// Bindings for the engine: the roles `primary`, `recovery` and `oncall`; secrets by reference to files of mode 0600.
    pub fn bindings(&self) -> String {
        self.bindings.clone()
    }

    /// What the systems are.
    pub fn systems(&self) -> Vec<SystemInfo> {
        self.infos.clone()
    }

    /// What the webhook has received so far, oldest first.
    pub fn notifications(&self) -> Vec<Notification> {
        self.webhook.notifications()
    }

    /// Names of the testbeds of dead processes that were cleared before this one was built.
    pub fn swept(&self) -> &[String] {
        &self.swept
    }

    /// The testbed's own folder.
    pub fn folder(&self) -> &Path {
        &self.ground.layout.root
    }

    /// The WAL archive, as seen by this process.
    pub fn archive_folder(&self) -> PathBuf {
        self.ground.layout.archive()
    }

    /// The base backups, as seen by this process.
    pub fn backups_folder(&self) -> PathBuf {
        self.ground.layout.backups()
    }

    /// The folder in which copies are restored, as seen by this process.
    pub fn work_folder(&self) -> PathBuf {
        self.ground.layout.work()
    }

    /// What lies in the folder in which copies are restored, by name, but for the file by which the engine knows the machine.
    /// It is looked at as the user whom it belongs to: others may not see into it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn work_entries(&self, runs: &[&str]) -> Result<Vec<WorkEntry>, TestbedError> {
        let folder = self.systems.primary.inside.folder("work");
        let place = &self.systems.backups.place;
        let arguments = [&["-c", LIST_WORK, folder.as_str()], runs].concat();
        let listed = place.run("sh", Call::new(&arguments)).await?;
        let lines = |kind: fn(&str) -> bool| {
            listed.lines().filter_map(|line| line.split_once(' ')).filter(move |(letter, _)| kind(letter))
        };
        let naming: BTreeSet<&str> = lines(|letter| letter == "names").map(|(_, name)| name).collect();
        let mut entries: Vec<WorkEntry> = lines(|letter| letter != "names")
            .filter(|(_, name)| *name != IDENTITY)
            .map(|(letter, name)| WorkEntry {
                name: name.to_owned(),
                is_file: letter == "f",
                names_run: naming.contains(name),
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    /// Kills the primary as `kill -9` of its postmaster does, and waits until none of its processes is left.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill_primary(&self) -> Result<(), TestbedError> {
        self.systems.primary.kill().await
    }

    /// Starts the primary again and waits until it serves.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_primary(&self) -> Result<(), TestbedError> {
        self.systems.primary.start().await
    }

    /// Stops the primary in good order (a fast shutdown).
    ///
    /// # Errors
    /// Where it does not end in time.
    pub async fn stop_primary(&self) -> Result<(), TestbedError> {
        self.systems.primary.stop().await
    }

    /// Tears everything down, unless it is to be kept.
    ///
    /// # Errors
    /// What was left behind.
    pub async fn stop(self) -> Result<(), TestbedError> {
        let Self { ground, proxy, webhook, .. } = self;
        drop((proxy, webhook));
        let root = ground.layout.root.clone();
        // Waiting for processes and containers to end would hold up everything else on this thread.
        match tokio::task::spawn_blocking(move || ground.clear()).await {
            Ok(cleared) => cleared,
            Err(error) => Err(TestbedError::Leftover { left: vec![format!("{} ({error})", root.display())] }),
        }
    }
}

/// Off the async threads, since it waits for what it ends. A panic in it would be a bug, and the testbed can do without.
async fn sweep(parent: PathBuf, backend: Backend) -> Vec<String> {
    tokio::task::spawn_blocking(move || ground::sweep(&parent, backend)).await.unwrap_or_default()
}

fn socket(what: &'static str) -> impl Fn(std::io::Error) -> TestbedError {
    move |source| TestbedError::Resource { what, source }
}

/// Writes the file by which the engine knows the recovery machine, before the folder is given away.
fn identify(ground: &Ground) -> Result<String, TestbedError> {
    let identity = format!("recovery-{}", &token()?[..12]);
    let path = ground.layout.work().join(IDENTITY);
    fs::write(&path, &identity).map_err(|source| TestbedError::Folder { path, source })?;
    Ok(identity)
}

impl Systems {
    /// Root of the shared folders as the recovery machine sees them.
    fn backups_root(&self) -> String {
        self.primary.inside.root.clone()
    }
}

fn describe(systems: &Systems, server: &roles::Identity) -> Vec<SystemInfo> {
    let info = |role: &str, kind: &str, version: String, fidelity, origin: &str| SystemInfo {
        role: role.into(),
        kind: kind.into(),
        version,
        fidelity,
        origin: origin.into(),
    };
    let postgres = format!("PostgreSQL {}", server.version);
    let webhook = format!("lifeboat {}", env!("CARGO_PKG_VERSION"));
    vec![
        info("primary", "postgres", postgres, Fidelity::Real, &systems.origin),
        info("recovery", "machine", systems.machine_version.clone(), Fidelity::Real, &systems.origin),
        info("oncall", "notify", webhook, Fidelity::Emulated, "a webhook in the simulator"),
    ]
}
