//! One connection through the proxy, from its acceptance to its end.

use std::{io, sync::Arc};

use tokio::{net::TcpStream, sync::watch, time::Instant};

use super::{
    pump::{Lane, pump},
    rule::{Direction, Verdict, judge},
    setting::{Counters, Setting, changed},
};

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Closed normally.
    Close,
    /// With a reset.
    Reset,
}

/// The other side of a client's connection.
struct Server {
    stream: TcpStream,
    /// Its address when the connection was made.
    upstream: Arc<str>,
}

/// Carries a client's connection until a side, a rule or a switch to another server ends it.
pub(super) async fn serve(client: TcpStream, number: u64, setting: watch::Receiver<Setting>, counters: Arc<Counters>) {
    let ending = match open(&client, number, setting.clone()).await {
        Ok(server) => carry(&client, server, number, setting, &counters).await,
        Err(ending) => ending,
    };
    end(&client, ending);
}

/// Waits until the rules let the connection through to the server, and makes it.
async fn open(client: &TcpStream, number: u64, mut setting: watch::Receiver<Setting>) -> Result<Server, Ending> {
    client.set_nodelay(true).map_err(|_| Ending::Close)?;
    let accepted = Instant::now();
    let mut has_vanished = false;
    loop {
        let now = setting.borrow_and_update().clone();
        match judge(&now.rules, number, Direction::ToServer) {
            Verdict::Cut => return Err(Ending::Close),
            Verdict::Reset => return Err(Ending::Reset),
            Verdict::Vanish => {
                has_vanished = true;
                changed(&mut setting).await;
            }
            _ if has_vanished => return Err(Ending::Reset),
            Verdict::BlackHole => changed(&mut setting).await,
            Verdict::Delay(delay) => tokio::select! {
                () = tokio::time::sleep_until(accepted + delay) => return reach(now.upstream).await,
                () = changed(&mut setting) => {}
            },
            Verdict::Pass | Verdict::Lose { .. } | Verdict::Throttle { .. } => return reach(now.upstream).await,
        }
    }
}

/// A client that was accepted can no longer be refused; a reset is closest to that.
async fn reach(upstream: Arc<str>) -> Result<Server, Ending> {
    let stream = connect(&upstream).await.map_err(|_| Ending::Reset)?;
    Ok(Server { stream, upstream })
}

/// The connection to the server, with the same socket options as the client's.
async fn connect(upstream: &str) -> io::Result<TcpStream> {
    let server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    Ok(server)
}

async fn carry(
    client: &TcpStream,
    server: Server,
    number: u64,
    setting: watch::Receiver<Setting>,
    counters: &Counters,
) -> Ending {
    let lane = |direction, bytes| Lane { number, direction, setting: setting.clone(), bytes };
    let pumps = async {
        tokio::try_join!(
            pump(client, &server.stream, lane(Direction::ToServer, &counters.to_server_bytes)),
            pump(&server.stream, client, lane(Direction::ToClient, &counters.to_client_bytes)),
        )
    };
    let ending = tokio::select! {
        biased;
        ending = doom(number, &server.upstream, setting.clone()) => ending,
        done = pumps => ending_of(&done),
    };
    end(&server.stream, ending);
    ending
}

/// A reset on one side resets the other one, as on a direct connection.
fn ending_of(done: &io::Result<((), ())>) -> Ending {
    match done {
        Ok(_) => Ending::Close,
        Err(_) => Ending::Reset,
    }
}

/// Resolves when a rule, or a switch to another server, ends the connection; this also ends idle connections.
async fn doom(number: u64, upstream: &str, mut setting: watch::Receiver<Setting>) -> Ending {
    let mut has_vanished = false;
    loop {
        let now = setting.borrow_and_update().clone();
        if *now.upstream != *upstream {
            return Ending::Close;
        }
        let verdicts = [Direction::ToServer, Direction::ToClient].map(|direction| judge(&now.rules, number, direction));
        let is_gone = verdicts.contains(&Verdict::Vanish);
        has_vanished |= is_gone;
        match verdicts.into_iter().find(|verdict| verdict.is_fatal()) {
            Some(Verdict::Reset) => return Ending::Reset,
            Some(_) => return Ending::Close,
            None if has_vanished && !is_gone => return Ending::Reset,
            None => changed(&mut setting).await,
        }
    }
}

/// With zero linger the close that follows is a reset. A socket that is gone already needs none.
fn end(stream: &TcpStream, ending: Ending) {
    if ending == Ending::Reset {
        stream.set_zero_linger().ok();
    }
}
