//! A receiver of webhooks on this machine that answers as a test wants it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context, Result};

/// A receiver; it listens as long as the process lives.
pub struct Webhook {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Webhook {
    /// Answers the first requests with these statuses, and every further one with 200.
    pub fn answering(statuses: &[u16]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let bodies = Arc::<Mutex<Vec<String>>>::default();
        let (taken, statuses) = (bodies.clone(), statuses.to_vec());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that is killed in the middle is nothing to the receiver.
                if let Ok(body) = receive(&stream) {
                    let mut bodies = taken.lock().unwrap_or_else(PoisonError::into_inner);
                    let status = statuses.get(bodies.len()).copied().unwrap_or(200);
                    bodies.push(body);
                    let _ = answer(&stream, status);
                }
            }
        });
        Ok(Self { address, bodies })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The bodies of all requests so far.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn receive(stream: &TcpStream) -> Result<String> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    String::from_utf8(body).context("a body is text")
}

fn answer(mut stream: &TcpStream, status: u16) -> Result<()> {
    write!(stream, "HTTP/1.1 {status} As-The-Test-Wants\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(stream.flush()?)
}
