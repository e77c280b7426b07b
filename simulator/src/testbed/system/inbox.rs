//! The webhook that plays the people on call: it records what it is sent and checks the signature.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

/// More notifications than any drill sends; further ones are refused, so that a runbook in a loop cannot fill the memory.
const NOTIFICATIONS_MAX: usize = 10_000;

/// The state of a notification's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// It is correct for the shared secret.
    Valid,
    /// It is wrong.
    Wrong,
    /// There is no signature.
    Missing,
}

/// A notification as it arrived.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// When.
    pub at: Timestamp,
    /// The sender's idempotency key (`lifeboat-id`).
    pub id: Option<String>,
    /// Whether it is authentic.
    pub signature: Signature,
    /// The JSON that was posted; a string if it was not JSON.
    pub body: serde_json::Value,
}

#[derive(Debug)]
struct Shared {
    key: String,
    received: Mutex<Vec<Notification>>,
}

/// The webhook's server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Inbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Inbox {
    /// Listens on a free loopback port.
    pub(super) async fn start(key: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { key: key.to_owned(), received: Mutex::default() });
        let routes = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&shared));
        // `serve` returns only after a graceful shutdown, which never happens: dropping the webhook aborts it.
        let serving = tokio::spawn(async { axum::serve(listener, routes).await.unwrap_or(()) });
        Ok(Self { address, shared, serving })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// What has arrived so far, oldest first.
    pub(super) fn notifications(&self) -> Vec<Notification> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Like a real receiver, it refuses what is not authentic; unlike one, it keeps it, so that a drill can report it.
async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = check(&shared.key, &headers, &body);
    let notification = Notification {
        at: Timestamp::now(),
        id: header(&headers, "lifeboat-id").map(ToOwned::to_owned),
        signature,
        body: serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()),
    };
    let mut received = shared.received.lock().unwrap_or_else(PoisonError::into_inner);
    if received.len() >= NOTIFICATIONS_MAX {
        return StatusCode::TOO_MANY_REQUESTS;
    }
    received.push(notification);
    if signature == Signature::Valid { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// `lifeboat-signature` is `v1=` and the hexadecimal HMAC-SHA-256 of `id.timestamp.body`.
fn check(key: &str, headers: &HeaderMap, body: &[u8]) -> Signature {
    let given = ["lifeboat-id", "lifeboat-timestamp", "lifeboat-signature"].map(|name| header(headers, name));
    let [Some(id), Some(timestamp), Some(signature)] = given else { return Signature::Missing };
    if signature == sign(key, id, timestamp, body) { Signature::Valid } else { Signature::Wrong }
}

fn sign(key: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes keys of any length");
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    let code: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={code}")
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// Computed with `printf 'a/b.1700000000.{}' | openssl dgst -sha256 -hmac key`.
    const KNOWN: &str = "v1=d4abd030a6e88764d7b6b1c44f3d51372ecc3358412d3b5a19a18fcb63f7fe4c";

    #[test]
    fn signature_is_the_documented_one() {
        assert_eq!(sign("key", "a/b", "1700000000", b"{}"), KNOWN);
    }

    #[test]
    fn signatures_are_told_apart() {
        let check = |pairs: &[(&'static str, &str)], body: &[u8], expected| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            assert_eq!(check("key", &headers, body), expected, "{pairs:?}");
        };
        let (id, time) = (("lifeboat-id", "a/b"), ("lifeboat-timestamp", "1700000000"));
        check(&[id, time, ("lifeboat-signature", KNOWN)], b"{}", Signature::Valid);
        check(&[id, time, ("lifeboat-signature", KNOWN)], b"{ }", Signature::Wrong);
        check(&[id, ("lifeboat-timestamp", "1700000001"), ("lifeboat-signature", KNOWN)], b"{}", Signature::Wrong);
        check(&[id, time], b"{}", Signature::Missing);
    }

    #[tokio::test]
    async fn what_arrives_is_recorded_and_judged() {
        let webhook = Inbox::start("key").await.unwrap();
        let post = async |headers: String, body: &str| {
            let mut stream = TcpStream::connect(webhook.address).await.unwrap();
            let length = body.len();
            let request = format!(
                "POST /hook HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let signed = format!("lifeboat-id: a/b\r\nlifeboat-timestamp: 1700000000\r\nlifeboat-signature: {KNOWN}\r\n");
        assert!(post(signed, "{}").await.starts_with("HTTP/1.1 204"));
        assert!(post(String::new(), "no JSON").await.starts_with("HTTP/1.1 401"));
        let seen: Vec<_> = webhook.notifications().into_iter().map(|one| (one.id, one.signature, one.body)).collect();
        assert_eq!(
            seen,
            [
                (Some("a/b".to_owned()), Signature::Valid, serde_json::json!({})),
                (None, Signature::Missing, "no JSON".into()),
            ]
        );
    }
}
