//! The proxy itself: a listener, the state all connections look at, and the handle that changes it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    connection, control,
    rule::{Rule, Verdict},
    setting::{Counters, Setting},
};

/// The wait after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The traffic through a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyStatistics {
    /// Connections accepted; the first has the number 0.
    pub accepted: u64,
    /// Bytes delivered to the server.
    pub to_server_bytes: u64,
    /// Bytes delivered to clients.
    pub to_client_bytes: u64,
}

/// A TCP proxy. Dropping it ends the listener and all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: SocketAddr,
    setting: watch::Sender<Setting>,
    counters: Arc<Counters>,
    tasks: [JoinHandle<()>; 2],
}

impl Proxy {
    /// Listens on a free loopback port and forwards to `upstream` (`host:port`).
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST, upstream).await
    }

    /// As `start`, at another address of this machine, such as that of a network that it shares with containers.
    ///
    /// # Errors
    /// If the address is not this machine's, or no port is free.
    pub async fn start_at(address: Ipv4Addr, upstream: &str) -> io::Result<Self> {
        let (setting, watching) = watch::channel(Setting { upstream: upstream.into(), rules: Arc::new([]) });
        let listener = TcpListener::bind((address, 0)).await?;
        let controller = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, control_address) = (listener.local_addr()?, controller.local_addr()?);
        let counters = Arc::new(Counters::default());
        let accepting = tokio::spawn(accept(listener, watching, Arc::clone(&counters)));
        let controlling = tokio::spawn(control::serve(controller, setting.clone()));
        Ok(Self { address, control: control_address, setting, counters, tasks: [accepting, controlling] })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The HTTP resource that shows (GET) and switches (PUT) the upstream: `{"address": "host:port"}`.
    pub fn control_url(&self) -> String {
        format!("http://{}/endpoint", self.control)
    }

    /// Replaces the rules. They take effect at once, also on open connections.
    pub fn set_rules(&self, rules: impl IntoIterator<Item = Rule>) {
        let rules = rules.into_iter().collect();
        self.setting.send_modify(|setting| setting.rules = rules);
    }

    /// One verdict for all traffic.
    pub fn set(&self, verdict: Verdict) {
        self.set_rules([Rule::all(verdict)]);
    }

    /// Removes all rules.
    pub fn heal(&self) {
        self.set_rules([]);
    }

    /// `host:port` of the server behind the proxy.
    pub fn upstream(&self) -> String {
        self.setting.borrow().upstream.to_string()
    }

    /// Directs traffic to another server. Connections to the old one are cut, as a load balancer does.
    pub fn switch(&self, upstream: &str) {
        self.setting.send_modify(|setting| setting.upstream = upstream.into());
    }

    /// The traffic so far.
    pub fn statistics(&self) -> ProxyStatistics {
        ProxyStatistics {
            accepted: self.counters.accepted.load(Ordering::Relaxed),
            to_server_bytes: self.counters.to_server_bytes.load(Ordering::Relaxed),
            to_client_bytes: self.counters.to_client_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Accepts until it is aborted; the connections end with it, because the set that owns them does.
async fn accept(listener: TcpListener, setting: watch::Receiver<Setting>, counters: Arc<Counters>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let number = counters.accepted.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connection::serve(client, number, setting.clone(), Arc::clone(&counters)));
                }
                // The client has already gone, or the process has no free file descriptor until other connections end.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}
