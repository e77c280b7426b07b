//! The container testbed: a network for the region, a container for the primary and one for the recovery machine.
//!
//! Containers run an init and nothing else; PostgreSQL is started inside by exec. So a killed server does not take its
//! container along, and its disk stays for the recovery.

use std::{collections::HashMap, net::Ipv4Addr};

use testcontainers::{
    ContainerAsync, GenericImage, ImageExt, TestcontainersError,
    bollard::models::PortBinding,
    core::{IntoContainerPort, Mount},
    runners::AsyncRunner,
};

use super::{
    docker::{self, ENGINE, Image, KEEP_LABEL, LABEL, OWNER_LABEL},
    error::TestbedError,
    layout::{Inside, Layout},
    owner::Owner,
};

/// The port of the primary in its container.
pub(super) const PRIMARY_PORT: u16 = 5432;
/// The ports of restored instances in the recovery container.
pub(super) const INSTANCE_PORTS: [u16; 4] = [25430, 25431, 25432, 25433];
/// Where the shared folders are mounted.
const ROOT: &str = "/srv/lifeboat";

/// A running container of a testbed.
#[derive(Debug)]
pub(super) struct Running {
    /// Its name, by which others on the network know it too.
    pub(super) name: String,
    /// Ports there and on this machine's loopback.
    pub(super) ports: Vec<(u16, u16)>,
}

/// What the containers of a testbed have in common.
#[derive(Debug)]
pub(super) struct Region<'a> {
    /// Names the testbed.
    pub(super) id: &'a str,
    pub(super) image: &'a Image,
    pub(super) layout: &'a Layout,
    pub(super) keep: bool,
}

impl Region<'_> {
    /// The shared folders as the containers see them.
    pub(super) fn inside() -> Inside {
        Inside { root: ROOT.to_owned() }
    }

    /// Starts a container with these shared folders, and gives them to its user `postgres`.
    pub(super) async fn start(&self, role: &str, folders: &[&str], ports: &[u16]) -> Result<Running, TestbedError> {
        let name = format!("lifeboat-{}-{role}", self.id);
        let container = self.request(&name, folders, ports).start().await.map_err(|error| refused(&error))?;
        let mut published = Vec::new();
        for port in ports {
            let outside = container.get_host_port_ipv4(port.tcp()).await.map_err(|error| refused(&error))?;
            published.push((*port, outside));
        }
        // The testbed removes its containers by their label, in the same way after success, failure and panic, also
        // outside of a runtime, where testcontainers' own guard could not.
        std::mem::forget::<ContainerAsync<GenericImage>>(container);
        let mut arguments = vec!["exec", "-u", "root", &name, "chown", "postgres:postgres"];
        let inside: Vec<String> = folders.iter().map(|folder| format!("{ROOT}/{folder}")).collect();
        arguments.extend(inside.iter().map(String::as_str));
        let giving = arguments.iter().map(|&argument| argument.to_owned()).collect();
        blocking("giving the folders to the server's user", giving).await?;
        Ok(Running { name, ports: published })
    }

    fn request(&self, name: &str, folders: &[&str], ports: &[u16]) -> testcontainers::ContainerRequest<GenericImage> {
        let image = ports.iter().fold(GenericImage::new(&self.image.name, &self.image.tag), |image, port| {
            image.with_exposed_port(port.tcp())
        });
        // Published on the loopback address only: a testbed is nobody else's business.
        let loopback = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: None };
        let bindings: HashMap<_, _> =
            ports.iter().map(|port| (format!("{port}/tcp"), Some(vec![loopback.clone()]))).collect();
        let mut request = image
            .with_cmd(["sleep", "infinity"])
            .with_container_name(name)
            .with_network(docker::network(self.id))
            .with_label(LABEL, self.id)
            .with_label(OWNER_LABEL, Owner::current().to_string())
            .with_host_config_modifier(move |host| {
                // Somebody must reap what a killed server leaves.
                host.init = Some(true);
                host.publish_all_ports = Some(false);
                host.port_bindings = Some(bindings.clone());
            });
        if self.keep {
            request = request.with_label(KEEP_LABEL, "true");
        }
        folders.iter().fold(request, |request, folder| {
            let path = self.layout.root.join(folder);
            request.with_mount(Mount::bind_mount(path.to_string_lossy(), format!("{ROOT}/{folder}")))
        })
    }
}

fn refused(error: &TestcontainersError) -> TestbedError {
    TestbedError::Engine { doing: "starting a container", message: error.to_string() }
}

/// Runs the engine's command line off the async threads.
async fn blocking(doing: &'static str, arguments: Vec<String>) -> Result<(), TestbedError> {
    let running = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        docker::run(doing, &arguments)
    });
    match running.await {
        Ok(result) => result.map(drop),
        Err(error) => Err(TestbedError::Engine { doing, message: format!("{ENGINE}: {error}") }),
    }
}
