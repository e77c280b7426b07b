//! The containers of a testbed: a network for each region, a container for each server and machine.
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
    docker::{self, Image, KEEP_LABEL, LABEL, OWNER_LABEL},
    error::TestbedError,
    layout::Layout,
    owner::Owner,
};

/// The port of a server in its container.
pub(super) const SERVER_PORT: u16 = 5432;
/// The ports of restored instances in the container of a machine.
pub(super) const INSTANCE_PORTS: [u16; 4] = [25430, 25431, 25432, 25433];
/// Where the folders of a testbed are mounted.
pub(super) const ROOT: &str = "/srv/lifeboat";

/// A running container of a testbed.
#[derive(Debug)]
pub(super) struct Running {
    /// Its name, which is also its host name on the network.
    pub(super) name: String,
    /// Ports in the container, and on this machine's loopback.
    pub(super) ports: Vec<(u16, u16)>,
}

/// The common settings of the containers of a region.
#[derive(Debug)]
pub(super) struct Containers<'a> {
    /// Names the testbed.
    pub(super) id: &'a str,
    pub(super) network: &'a str,
    pub(super) image: &'a Image,
    pub(super) layout: &'a Layout,
    pub(super) keep: bool,
}

impl Containers<'_> {
    /// Starts a container with these folders, and makes its user `postgres` the owner of its own ones; the first contains the others.
    pub(super) async fn start(
        &self,
        system: &str,
        own: &[String],
        shared: &[String],
        ports: &[u16],
    ) -> Result<Running, TestbedError> {
        let name = format!("lifeboat-{}-{system}", self.id);
        let mounted: Vec<&str> = own.iter().take(1).chain(shared).map(String::as_str).collect();
        let container = self.request(&name, &mounted, ports).start().await.map_err(|error| refused(&error))?;
        let mut published = Vec::new();
        for port in ports {
            let outside = container.get_host_port_ipv4(port.tcp()).await.map_err(|error| refused(&error))?;
            published.push((*port, outside));
        }
        // The testbed removes its containers by their label, in the same way after success, failure and panic, also outside a
        // runtime, where testcontainers' own guard cannot.
        std::mem::forget::<ContainerAsync<GenericImage>>(container);
        let mut arguments = vec!["exec", "-u", "root", &name, "chown", "postgres:postgres"];
        let inside: Vec<String> = own.iter().map(|folder| format!("{ROOT}/{folder}")).collect();
        arguments.extend(inside.iter().map(String::as_str));
        let giving: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        docker::blocking(move || {
            let arguments: Vec<&str> = giving.iter().map(String::as_str).collect();
            docker::run("giving the folders to the server's user", &arguments)
        })
        .await?;
        Ok(Running { name, ports: published })
    }

    fn request(&self, name: &str, folders: &[&str], ports: &[u16]) -> testcontainers::ContainerRequest<GenericImage> {
        let image = ports.iter().fold(GenericImage::new(&self.image.name, &self.image.tag), |image, port| {
            image.with_exposed_port(port.tcp())
        });
        // Published on the loopback address only: no other machine needs a testbed.
        let loopback = PortBinding { host_ip: Some(Ipv4Addr::LOCALHOST.to_string()), host_port: None };
        let bindings: HashMap<_, _> =
            ports.iter().map(|port| (format!("{port}/tcp"), Some(vec![loopback.clone()]))).collect();
        let mut request = image
            .with_cmd(["sleep", "infinity"])
            .with_container_name(name)
            .with_network(self.network)
            .with_label(LABEL, self.id)
            .with_label(OWNER_LABEL, Owner::current().to_string())
            .with_host_config_modifier(move |host| {
                // The init must reap the zombies of a killed server.
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
