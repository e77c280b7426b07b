//! A copy that is reached over the network needs a port, and others want ports too: one that is bound by a program that does not listen
//! looks free until the copy's server wants it.

use std::{fs, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{bindings, finding::superuser, stand::Stand};
use tokio::net::TcpSocket;

const RESTORE: &str = r#"lifeboat: 1
id: RESTORE-003
name: Restore a copy
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the copy is made" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
    timeout: 2m
  - id: restore
    uses: pg/restore
    with: { machine: recovery, server: primary, target: { latest: true } }
    timeout: 5m
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_moves_on_from_a_port_that_only_its_server_finds_taken() -> Result<()> {
    let stand = Stand::loaded(1).await?;
    let mut ports: Vec<u16> = Vec::new();
    bindings::changed(&stand.bindings, &stand.bindings, |targets| {
        let declared = targets["recovery"]["ports"].as_object().into_iter().flatten();
        ports.extend(declared.filter_map(|(port, _)| port.parse::<u16>().ok()));
    })?;
    // They are tried in order.
    ports.sort_unstable();
    ensure!(ports.len() >= 3, "{ports:?}");
    // A path that is too long for a socket, so that the copy is reached over the network.
    let work = stand.testbed.work_folder().display().to_string();
    let long = format!("{work}/{}", "long".repeat(20));
    let server = superuser(&stand).await?;
    let make = format!("mkdir -m 700 {long} && cp {work}/.lifeboat-identity {long}/");
    server.batch_execute(&format!("COPY (SELECT 1) TO PROGRAM '{make}'")).await?;
    bindings::with_long_work_folder(&stand.bindings, &stand.bindings, &long)?;

    let mut held = Vec::new();
    for port in &ports[..2] {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], *port)))?;
        held.push(socket);
    }
    let path = stand.home.path().join("restore.yaml");
    fs::write(&path, RESTORE)?;
    let mut command = stand.lifeboat(&["run"]);
    let output = command.arg(&path).arg("--bindings").arg(&stand.bindings).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let journal = fs::read_to_string(stand.run_folder()?.join("journal.jsonl"))?;
    let records = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let restored: Vec<_> =
        records.filter(|record| record["step"] == "restore" && record["event"] != "step_progressed").collect();
    let port = restored.iter().find_map(|record| record["outputs"]["port"].as_u64()).context("a port")?;
    ensure!(port == u64::from(ports[2]), "{port}, not {}", ports[2]);
    let attempts = restored.iter().filter(|record| record["event"] == "step_started").count();
    ensure!(attempts == 1, "{attempts} attempts");
    drop(held);
    stand.stop().await
}
