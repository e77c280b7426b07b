//! The fault proxy on real sockets: each verdict does what it says, at once, also to connections that are open.
//!
//! No test asks how long anything took: what is slow is so slow that it cannot arrive while the test runs.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test itself does")]

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use lifeboat_simulator::proxy::{Direction, Proxy, Rule, Verdict};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};

/// Longer than any test takes: reached only where something hangs that must not.
const FOR_EVER: Duration = Duration::from_secs(30);

/// A server that sends its name and then echoes. It ends with the set.
async fn server(tasks: &mut JoinSet<()>, name: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            connections.spawn(async move {
                stream.write_all(&[name]).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

struct Line {
    proxy: Proxy,
    _servers: JoinSet<()>,
}

async fn line() -> Line {
    let mut servers = JoinSet::new();
    let address = server(&mut servers, b'a').await;
    Line { proxy: Proxy::start(&address.to_string()).await.unwrap(), _servers: servers }
}

async fn client(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn read(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    timeout(FOR_EVER, stream.read_exact(&mut bytes)).await.expect("nothing arrived")?;
    Ok(bytes)
}

/// An open connection over which one echo has gone.
async fn greeted(proxy: &Proxy) -> TcpStream {
    let mut stream = client(proxy).await;
    stream.write_all(b"x").await.unwrap();
    assert_eq!(read(&mut stream, 2).await.unwrap(), b"ax");
    stream
}

#[tokio::test]
async fn pass_carries_everything_and_both_ends() {
    let line = line().await;
    let mut stream = client(&line.proxy).await;
    let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[2]).collect();
    let (mut from, mut to) = stream.split();
    let writing = async {
        to.write_all(&sent).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let (_, read) = timeout(FOR_EVER, async { tokio::join!(writing, from.read_to_end(&mut got)) }).await.unwrap();
    read.unwrap();
    assert!(got[0] == b'a' && got[1..] == sent);
    let statistics = line.proxy.statistics();
    assert_eq!((statistics.accepted, statistics.to_server_bytes), (1, 5_000_000));
    assert_eq!(statistics.to_client_bytes, 5_000_001);
}

#[tokio::test]
async fn cut_ends_open_and_new_connections_in_good_order() {
    let line = line().await;
    let mut open = greeted(&line.proxy).await;
    line.proxy.set(Verdict::Cut);
    assert_eq!(read(&mut open, 1).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(read(&mut client(&line.proxy).await, 1).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    line.proxy.heal();
    greeted(&line.proxy).await;
}

#[tokio::test]
async fn reset_resets_open_and_new_connections() {
    let line = line().await;
    let mut open = greeted(&line.proxy).await;
    line.proxy.set(Verdict::Reset);
    assert_eq!(read(&mut open, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let fresh = async { read(&mut TcpStream::connect(line.proxy.address()).await?, 1).await };
    assert_eq!(fresh.await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    line.proxy.heal();
    greeted(&line.proxy).await;
}

#[tokio::test]
async fn black_hole_answers_nothing_and_delivers_after_healing() {
    let line = line().await;
    let mut open = greeted(&line.proxy).await;
    let free = line.proxy.statistics().accepted + 1;
    line.proxy
        .set_rules([Rule { from_connection: Some(free), ..Rule::all(Verdict::Pass) }, Rule::all(Verdict::BlackHole)]);
    open.write_all(b"y").await.unwrap();
    let mut fresh = client(&line.proxy).await;
    fresh.write_all(b"z").await.unwrap();
    // Whole round trips on connections that pass; neither of the others gets anything in the meantime.
    let mut passing = 0;
    while line.proxy.statistics().accepted <= free {
        greeted(&line.proxy).await;
        passing += 1;
    }
    assert!(passing > 0);
    for stream in [&open, &fresh] {
        assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    line.proxy.heal();
    assert_eq!(read(&mut open, 1).await.unwrap(), b"y");
    assert_eq!(read(&mut fresh, 2).await.unwrap(), b"az");
}

/// What was on its way when an end vanished never arrives, also when the end is back.
#[tokio::test]
async fn what_vanished_comes_back_with_nothing_that_was_on_its_way() {
    let line = line().await;
    let mut open = greeted(&line.proxy).await;
    let free = line.proxy.statistics().accepted + 1;
    line.proxy
        .set_rules([Rule { from_connection: Some(free), ..Rule::all(Verdict::Pass) }, Rule::all(Verdict::Vanish)]);
    open.write_all(b"y").await.unwrap();
    let mut fresh = client(&line.proxy).await;
    fresh.write_all(b"z").await.unwrap();
    while line.proxy.statistics().accepted <= free {
        greeted(&line.proxy).await;
    }
    for stream in [&open, &fresh] {
        assert_eq!(stream.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    let delivered = line.proxy.statistics().to_server_bytes;
    line.proxy.heal();
    for stream in [&mut open, &mut fresh] {
        assert_eq!(read(stream, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(line.proxy.statistics().to_server_bytes, delivered, "what was held is gone");
    greeted(&line.proxy).await;
}

#[tokio::test]
async fn delay_arrives_but_not_at_once() {
    let line = line().await;
    let [mut slow, mut slower] = [greeted(&line.proxy).await, greeted(&line.proxy).await];
    let delayed = |from, delay| Rule {
        from_connection: Some(from),
        ..Rule::direction(Direction::ToClient, Verdict::Delay(delay))
    };
    let passing = Rule { from_connection: Some(2), ..Rule::all(Verdict::Pass) };
    line.proxy.set_rules([passing, delayed(1, Duration::from_hours(1)), delayed(0, Duration::from_millis(20))]);
    slower.write_all(b"y").await.unwrap();
    slow.write_all(b"z").await.unwrap();
    assert_eq!(read(&mut slow, 1).await.unwrap(), b"z");
    greeted(&line.proxy).await;
    assert_eq!(slower.try_read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn throttle_lets_little_through_and_healing_lets_the_rest() {
    let line = line().await;
    let mut slow = greeted(&line.proxy).await;
    let before = line.proxy.statistics().to_server_bytes;
    line.proxy.set_rules([
        Rule { from_connection: Some(1), ..Rule::all(Verdict::Pass) },
        Rule::direction(Direction::ToServer, Verdict::Throttle { bytes_per_s: 20 }),
    ]);
    slow.write_all(&[b'y'; 10_000]).await.unwrap();
    greeted(&line.proxy).await;
    // At 20 bytes a second 10,000 would take eight minutes.
    assert!(line.proxy.statistics().to_server_bytes - before < 5_000);
    assert_eq!(read(&mut slow, 1).await.unwrap(), b"y");
    line.proxy.heal();
    assert_eq!(read(&mut slow, 9_999).await.unwrap(), [b'y'; 9_999]);
}

#[tokio::test]
async fn switch_cuts_the_old_and_serves_the_new() {
    let mut line = line().await;
    let mut open = greeted(&line.proxy).await;
    let second = server(&mut line._servers, b'b').await.to_string();
    line.proxy.switch(&second);
    assert_eq!(read(&mut open, 1).await.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(read(&mut client(&line.proxy).await, 1).await.unwrap(), b"b");
    assert_eq!(line.proxy.upstream(), second);
}

#[tokio::test]
async fn an_upstream_that_refuses_resets_the_client() {
    let line = line().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    line.proxy.switch(&closed.to_string());
    assert_eq!(read(&mut client(&line.proxy).await, 1).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// One HTTP exchange, by hand so that the test shows what goes over the wire.
async fn exchange(url: &str, method: &str, body: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn control_shows_and_switches_and_refuses_nonsense() {
    let mut line = line().await;
    let second = server(&mut line._servers, b'b').await.to_string();
    let url = line.proxy.control_url();
    let first = line.proxy.upstream();
    let shown = exchange(&url, "GET", "").await;
    assert!(shown.starts_with("HTTP/1.1 200") && shown.ends_with(&format!("{{\"address\":\"{first}\"}}")), "{shown}");
    for nonsense in ["{\"address\":\"nowhere\"}", "{\"address\":\":1\"}", "{\"address\":\"h:99999\"}", "[]"] {
        let refused = exchange(&url, "PUT", nonsense).await;
        assert!(refused.starts_with("HTTP/1.1 4"), "{nonsense}: {refused}");
    }
    assert_eq!(line.proxy.upstream(), first);
    let switched = exchange(&url, "PUT", &format!("{{\"address\":\"{second}\"}}")).await;
    assert!(switched.starts_with("HTTP/1.1 200"), "{switched}");
    assert_eq!(read(&mut client(&line.proxy).await, 1).await.unwrap(), b"b");
}
