//! Free loopback ports for servers that start later.
//!
//! They are below the range from which the kernel takes the ports of outgoing connections: otherwise a connection could take a
//! port between its choice and the server's start.

use std::{fs, io, net::TcpListener};

const FIRST: u16 = 15_000;
const ATTEMPTS: u32 = 1_000;

/// This many different ports on which nothing listens.
pub(super) fn free(count: usize) -> io::Result<Vec<u16>> {
    let end = ephemeral_start().filter(|start| *start > FIRST + 1_000).unwrap_or(32_768);
    // All are held until the last is found, so that they differ.
    let mut held = Vec::new();
    for _ in 0..ATTEMPTS {
        if held.len() == count {
            break;
        }
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let port = FIRST + u16::from_ne_bytes(random) % (end - FIRST);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    if held.len() < count {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("no {count} free ports from {FIRST} to {end}")));
    }
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn ephemeral_start() -> Option<u16> {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let mut ports = free(20).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
        for port in ports {
            TcpListener::bind(("127.0.0.1", port)).unwrap();
        }
    }
}
