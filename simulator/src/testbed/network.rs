//! The paths of a testbed. Each path from one region to another, and from the outside to a system in a region, has its own fault
//! proxy, so that a region can be cut off, slowed or lost in each direction.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::proxy::{Direction, Proxy, Rule, Verdict};

/// The name of everything that is in no region: the application, the engine, the observer.
pub const OUTSIDE: &str = "outside";

/// One end of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// `None`: outside all regions.
    pub(super) region: Option<String>,
    /// `None`: not a system of the testbed, but a user of it.
    pub(super) system: Option<String>,
}

impl End {
    /// The application and the engine.
    pub(super) fn users() -> Self {
        Self { region: None, system: None }
    }

    fn is(&self, side: &Side) -> bool {
        match side {
            Side::Region(name) if name == OUTSIDE => self.region.is_none(),
            Side::Region(name) => self.region.as_deref() == Some(name),
            Side::System(name) => self.system.as_deref() == Some(name),
            Side::Anywhere => true,
        }
    }
}

/// What a network fault affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A region, or [`OUTSIDE`].
    Region(String),
    /// A system.
    System(String),
    /// All of them.
    Anywhere,
}

/// The verdict on the traffic from one side to the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindrance {
    /// The source of the traffic.
    pub from: Side,
    /// The destination of the traffic.
    pub to: Side,
    /// The verdict on it.
    pub verdict: Verdict,
}

impl Hindrance {
    /// Both directions between two sides.
    pub fn between(one: &Side, other: &Side, verdict: Verdict) -> [Self; 2] {
        let way = |from: &Side, to: &Side| Self { from: from.clone(), to: to.clone(), verdict };
        [way(one, other), way(other, one)]
    }

    /// The rule for a path, if the path is affected.
    fn rule(&self, path: &Path) -> Option<Rule> {
        let is = |from: &End, to: &End| from.is(&self.from) && to.is(&self.to);
        if is(&path.from, &path.to) {
            Some(Rule::direction(Direction::ToServer, self.verdict))
        } else if is(&path.to, &path.from) {
            Some(Rule::direction(Direction::ToClient, self.verdict))
        } else {
            None
        }
    }
}

/// A path from the connecting side to the side that it connects to.
#[derive(Debug)]
struct Path {
    from: End,
    to: End,
    proxy: Proxy,
}

/// Names an obstacle, so that it can be removed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imposed(u64);

/// All paths and their obstacles.
#[derive(Debug, Default)]
pub struct Network(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    paths: Vec<Arc<Path>>,
    imposed: Vec<(u64, Vec<Hindrance>)>,
    count: u64,
}

impl Network {
    /// A new path, which listens at that address.
    pub(super) async fn path(&self, from: End, to: End, at: Ipv4Addr, upstream: &str) -> io::Result<SocketAddr> {
        let proxy = Proxy::start_at(at, upstream).await?;
        let address = proxy.address();
        let mut state = self.state();
        let path = Path { from, to, proxy };
        path.obey(&state.imposed);
        state.paths.push(Arc::new(path));
        Ok(address)
    }

    /// Adds an obstacle, which takes effect at once, also on open connections. If several obstacles affect the same traffic, the most
    /// severe one counts.
    pub fn impose(&self, hindrances: impl IntoIterator<Item = Hindrance>) -> Imposed {
        let mut state = self.state();
        state.count += 1;
        let number = state.count;
        state.imposed.push((number, hindrances.into_iter().collect()));
        state.obey();
        Imposed(number)
    }

    /// Removes an obstacle. One that is already gone is no error.
    pub fn lift(&self, imposed: Imposed) {
        let mut state = self.state();
        state.imposed.retain(|(number, _)| *number != imposed.0);
        state.obey();
    }

    /// The listening addresses of the paths from one side to the other, or back.
    pub fn addresses_between(&self, one: &Side, other: &Side) -> Vec<SocketAddr> {
        let is =
            |path: &Arc<Path>| (path.from.is(one) && path.to.is(other)) || (path.from.is(other) && path.to.is(one));
        self.state().paths.iter().filter(|path| is(path)).map(|path| path.proxy.address()).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn obey(&self) {
        for path in &self.paths {
            path.obey(&self.imposed);
        }
    }
}

impl Path {
    fn obey(&self, imposed: &[(u64, Vec<Hindrance>)]) {
        let hindrances = imposed.iter().flat_map(|(_, hindrances)| hindrances);
        let mut rules: Vec<Rule> = hindrances.filter_map(|hindrance| hindrance.rule(self)).collect();
        rules.sort_by_key(|rule| gravity(rule.verdict));
        self.proxy.set_rules(rules);
    }
}

/// The first rule that matches counts: verdicts that block come before verdicts that only slow.
fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Vanish => 0,
        Verdict::BlackHole => 1,
        Verdict::Reset => 2,
        Verdict::Cut => 3,
        Verdict::Throttle { .. } => 4,
        Verdict::Lose { .. } => 5,
        Verdict::Delay(_) => 6,
        Verdict::Pass => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn end(region: &str, system: &str) -> End {
        let named = |name: &str| Some(name.to_owned()).filter(|name| name != OUTSIDE);
        End { region: named(region), system: named(system) }
    }

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    /// Longer than any test takes: reached only where something hangs that must not.
    const FOR_EVER: Duration = Duration::from_secs(30);

    /// How long a byte takes there and back.
    async fn passes(at: SocketAddr) -> Duration {
        let begun = std::time::Instant::now();
        assert_eq!(tokio::time::timeout(FOR_EVER, round_trip(at)).await.expect("an answer").unwrap(), b'x');
        begun.elapsed()
    }

    async fn is_held(at: SocketAddr) -> bool {
        tokio::time::timeout(Duration::from_millis(100), round_trip(at)).await.is_err()
    }

    async fn round_trip(at: SocketAddr) -> io::Result<u8> {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(b"x").await?;
        stream.read_u8().await
    }

    #[tokio::test]
    async fn what_is_in_the_way_counts_for_its_paths_alone_until_it_is_lifted() {
        let (network, upstream) = (Network::default(), echo().await.to_string());
        let path = async |from, to| network.path(from, to, Ipv4Addr::LOCALHOST, &upstream).await.unwrap();
        let users = path(End::users(), end("east", "primary")).await;
        let west = path(end("west", "standby"), end("east", "primary")).await;
        let (east_side, west_side) = (Side::Region("east".into()), Side::Region("west".into()));
        let cut = network.impose(Hindrance::between(&east_side, &west_side, Verdict::BlackHole));
        passes(users).await;
        assert!(is_held(west).await);
        network.lift(cut);
        passes(west).await;

        let delay = Duration::from_millis(60);
        let to = Side::Region(OUTSIDE.into());
        let slow = network.impose([Hindrance { from: east_side.clone(), to, verdict: Verdict::Delay(delay) }]);
        assert!(passes(users).await >= delay, "the answer goes from east to outside");
        let crash = Hindrance::between(&Side::System("primary".into()), &Side::Anywhere, Verdict::BlackHole);
        let crash = network.impose(crash);
        assert!(is_held(users).await && is_held(west).await, "the gravest counts");
        let later = path(end("west", "other"), end("east", "primary")).await;
        assert!(is_held(later).await, "a path that comes later obeys too");
        network.lift(crash);
        network.lift(slow);
        for at in [users, west, later] {
            passes(at).await;
        }
        assert_eq!(network.addresses_between(&east_side, &west_side), [west, later]);
    }
}
