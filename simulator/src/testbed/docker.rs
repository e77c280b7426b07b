//! The container engine, through its command line: what containers need beyond testcontainers.
//!
//! The engine's command line is needed anyway, because the host's `machine` capability reaches into containers with it;
//! and unlike a client library it can be called while a program unwinds.

use std::{
    collections::BTreeSet,
    io::Write,
    net::Ipv4Addr,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use super::{
    error::{TestbedError, Unavailable},
    owner::Owner,
};

/// The command line that is used.
pub(super) const ENGINE: &str = "docker";
/// The label of everything a testbed makes; its value names the testbed.
pub(super) const LABEL: &str = "org.lifeboat.testbed";
/// The label that names its owner.
pub(super) const OWNER_LABEL: &str = "org.lifeboat.owner";
/// The label of containers that are to stay.
pub(super) const KEEP_LABEL: &str = "org.lifeboat.keep";

/// Builds an image from the distribution's packages.
const BUILD_SCRIPT: &str = include_str!("../../images/build");
/// Major versions that the script knows.
const BUILDABLE: [u16; 2] = [17, 15];

/// Whether an engine answers.
pub(super) fn answers() -> Result<(), Unavailable> {
    let asked = Command::new(ENGINE).process_group(0).args(["version", "--format", "{{.Server.Version}}"]).output();
    let reason = match asked {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Unavailable { reason: format!("no container engine answers to `{ENGINE}`: {reason}") })
}

/// Whether this machine has an image with PostgreSQL.
pub(super) fn has_image() -> Result<(), Unavailable> {
    let reason = "this machine has no image with PostgreSQL; run `docker pull postgres:17` or `simulator/images/build`";
    Image::here(&BUILDABLE).map(drop).ok_or_else(|| Unavailable { reason: reason.to_owned() })
}

/// Runs the command line and returns what it printed. Ctrl-C at the terminal does not reach it, because it must not cut off a
/// teardown.
pub(super) fn run(doing: &'static str, arguments: &[&str]) -> Result<String, TestbedError> {
    finish(doing, Command::new(ENGINE).process_group(0).args(arguments))
}

/// Waits for the engine off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, TestbedError> + Send + 'static,
) -> Result<T, TestbedError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        Err(error) => Err(TestbedError::Engine { doing: "waiting for the engine", message: error.to_string() }),
    }
}

/// The same for commands that take long and leave nothing half done: Ctrl-C at the terminal ends them.
fn run_long(doing: &'static str, arguments: &[&str]) -> Result<String, TestbedError> {
    finish(doing, Command::new(ENGINE).args(arguments))
}

fn finish(doing: &'static str, command: &mut Command) -> Result<String, TestbedError> {
    let failed = |message: String| TestbedError::Engine { doing, message };
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}

/// An image with PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) tag: String,
    /// Its id and its origin, for the report.
    pub(super) origin: String,
}

impl Image {
    /// The official image if it is present or can be pulled, else one built from the distribution's packages.
    pub(super) fn provide(major: Option<u16>) -> Result<Self, TestbedError> {
        let wanted: Vec<u16> = major.map_or_else(|| BUILDABLE.to_vec(), |major| vec![major]);
        if let Some(image) = Self::here(&wanted) {
            return Ok(image);
        }
        let major = wanted[0];
        let pulled = run_long("pulling an image", &["pull", "--quiet", &format!("postgres:{major}")]);
        if let Some(image) = pulled.is_ok().then(|| Self::present("postgres", major, "pulled")).flatten() {
            return Ok(image);
        }
        let pull_failure = pulled.err().map(|error| error.to_string()).unwrap_or_default();
        if !BUILDABLE.contains(&major) {
            return Err(TestbedError::Image { major, message: format!("it cannot be pulled ({pull_failure})") });
        }
        build(major).map_err(|message| {
            let message = format!("it can be neither pulled ({pull_failure}) nor built ({message})");
            TestbedError::Image { major, message }
        })?;
        Self::present("lifeboat/postgres", major, "built now")
            .ok_or_else(|| TestbedError::Image { major, message: "the build left no image".into() })
    }

    /// The first image for which nothing has to be fetched.
    fn here(majors: &[u16]) -> Option<Self> {
        let names = majors.iter().flat_map(|major| ["postgres", "lifeboat/postgres"].map(|name| (name, *major)));
        names.into_iter().find_map(|(name, major)| Self::present(name, major, "already here"))
    }

    fn present(name: &str, major: u16, how: &str) -> Option<Self> {
        let reference = format!("{name}:{major}");
        let format = r#"{{.Id}}|{{index .Config.Labels "org.lifeboat.image.origin"}}"#;
        let text = run("looking at an image", &["image", "inspect", "--format", format, &reference]).ok()?;
        let (id, made) = text.trim().split_once('|')?;
        let id: String = id.chars().take("sha256:".len() + 12).collect();
        let made = if made.is_empty() { String::new() } else { format!("; {made}") };
        let origin = format!("image {reference} ({id}), {how}{made}");
        Some(Self { name: name.to_owned(), tag: major.to_string(), origin })
    }
}

/// Runs the script that is part of this program; its output is shown only if it fails.
fn build(major: u16) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut script = Command::new("bash");
    script.args(["-s", "--", &major.to_string()]).env("LIFEBOAT_ENGINE", ENGINE);
    script.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = script.spawn().map_err(text)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(BUILD_SCRIPT.as_bytes()).map_err(text)?;
    }
    let output = child.wait_with_output().map_err(text)?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Empties the folders of a testbed from inside its containers.
pub(super) fn empty(testbed: &str) {
    let script = "cd /srv/lifeboat && find . -mindepth 2 -delete";
    for (container, _) in labelled(&format!("{LABEL}={testbed}")).unwrap_or_default() {
        run("emptying the folders", &["exec", "-u", "root", &container, "sh", "-c", script]).ok();
    }
}

/// How often a removal is tried: Ctrl-C can reach a command just before it has its own process group.
const REMOVALS: u32 = 3;

/// Removes containers (with their volumes) and networks; missing ones are no error. Returns the ones that remain.
pub(super) fn remove(testbed: &str) -> Vec<String> {
    let mut left = Vec::new();
    for _ in 0..REMOVALS {
        left = remove_once(testbed);
        if left.is_empty() {
            break;
        }
    }
    left
}

fn remove_once(testbed: &str) -> Vec<String> {
    let label = format!("{LABEL}={testbed}");
    let nobody_knows = || vec![format!("containers and networks labelled {label}")];
    let (Ok(containers), Ok(networks)) = (labelled(&label), networks(&label)) else { return nobody_knows() };
    for (container, _) in &containers {
        run("removing a container", &["rm", "--force", "--volumes", container]).ok();
    }
    for (network, _) in &networks {
        run("removing a network", &["network", "rm", network]).ok();
    }
    let (Ok(containers), Ok(networks)) = (labelled(&label), self::networks(&label)) else { return nobody_knows() };
    let left = containers.into_iter().map(|(container, _)| format!("container {container}"));
    left.chain(networks.into_iter().map(|(network, _)| format!("network {network}"))).collect()
}

/// Ids of containers with that label, and the testbed and owner of each.
fn labelled(filter: &str) -> Result<Vec<(String, String)>, TestbedError> {
    listed("listing containers", &["ps", "--all"], filter)
}

/// The same for networks.
fn networks(filter: &str) -> Result<Vec<(String, String)>, TestbedError> {
    listed("listing networks", &["network", "ls"], filter)
}

fn listed(doing: &'static str, list: &[&str], filter: &str) -> Result<Vec<(String, String)>, TestbedError> {
    let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL}\"}}}} {{{{.Label \"{OWNER_LABEL}\"}}}}");
    let filter = format!("label={filter}");
    let listed = run(doing, &[list, &["--filter", &filter, "--format", &format]].concat())?;
    let lines = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.map(|(id, rest)| (id.into(), rest.into())).collect())
}

/// Removes the containers and networks of testbeds whose owner has died, except those that are kept.
pub(super) fn sweep() -> Vec<String> {
    // If it is not known which are kept, all stay: the next sweep tries again.
    let (Ok(kept), Ok(all)) = (labelled(KEEP_LABEL), labelled(LABEL)) else { return Vec::new() };
    let Ok(networks) = networks(LABEL) else { return Vec::new() };
    let testbed = |labels: &str| Some(labels.split_once(' ')?.0.to_owned());
    let kept: BTreeSet<String> = kept.iter().filter_map(|(_, labels)| testbed(labels)).collect();
    let abandoned = |labels: &str| {
        let (testbed, owner) = labels.split_once(' ')?;
        let is_abandoned = !kept.contains(testbed) && owner.parse::<Owner>().is_ok_and(|owner| owner.is_gone());
        is_abandoned.then(|| testbed.to_owned())
    };
    let testbeds: BTreeSet<String> = all.iter().chain(&networks).filter_map(|(_, labels)| abandoned(labels)).collect();
    for testbed in &testbeds {
        remove(testbed);
    }
    testbeds.into_iter().collect()
}

/// The network of a region of a testbed, made if it does not exist; returns its name.
pub(super) fn provide_network(testbed: &str, region: Option<&str>) -> Result<String, TestbedError> {
    let name = match region {
        None => format!("lifeboat-{testbed}"),
        Some(region) => format!("lifeboat-{testbed}-region-{region}"),
    };
    if run("looking for a network", &["network", "inspect", &name]).is_err() {
        let labels = [format!("{LABEL}={testbed}"), format!("{OWNER_LABEL}={}", Owner::current())];
        run("making a network", &["network", "create", "--label", &labels[0], "--label", &labels[1], &name])?;
    }
    Ok(name)
}

/// This machine's address in a network.
pub(super) fn gateway(network: &str) -> Result<Ipv4Addr, TestbedError> {
    let format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
    let text = run("looking at a network", &["network", "inspect", "--format", format, network])?;
    text.split_whitespace().find_map(|address| address.parse().ok()).ok_or_else(|| TestbedError::Engine {
        doing: "looking at a network",
        message: format!("the network {network} has no gateway: {text}"),
    })
}
