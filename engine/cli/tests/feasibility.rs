//! What a recovery took is held against its objective the next time that somebody checks the runbook.

#[expect(clippy::unwrap_used, reason = "a test that cannot run its binary has failed")]
#[expect(dead_code, reason = "other tests use the rest")]
mod screen;

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
};

use anyhow::{Context, Result, ensure};
use screen::Screen;

/// Sends a message; no time at all is enough for nothing.
const RUNBOOK: &str = "lifeboat: 1\nid: DR-000\nname: Tells people\nobjectives: { rto: 0s }\ntargets:\n  oncall: { kind: \
                       notify }\nsteps:\n  - id: announce\n    uses: notify/send\n    with: { channel: oncall, message: Hello \
                       }\n";

/// Takes one request and answers it.
fn answer_once(listener: &TcpListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_run_that_took_longer_than_the_rto_is_remembered() -> Result<()> {
    let screen = Screen::new();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let (runbook, bindings) = (screen.folder("runbook.yaml"), screen.folder("bindings.yaml"));
    fs::write(&runbook, RUNBOOK)?;
    let target = format!("{{ kind: notify, access: write, channel: webhook, url: \"{url}\" }}");
    fs::write(&bindings, format!("lifeboat: 1\ntargets: {{ oncall: {target} }}\n"))?;
    let check = || screen.lifeboat(&["check", "--strict", &runbook]);

    let before = check();
    ensure!(before.starts_with("exit code 0"), "{before}");
    let dry = screen.lifeboat(&["run", &runbook, "--bindings", &bindings, "--dry-run"]);
    ensure!(dry.starts_with("exit code 0") && check() == before, "a dry run takes no time: {dry}\n{}", check());
    let answering = thread::spawn(move || answer_once(&listener));
    let run = screen.lifeboat(&["run", &runbook, "--bindings", &bindings]);
    ensure!(run.starts_with("exit code 0"), "{run}");
    answering.join().ok().context("the listener panicked")??;
    let after = check();
    ensure!(after.contains("LB0063") && after.contains("(1 earlier run)"), "{after}");
    ensure!(after.starts_with("exit code 3"), "{after}");
    Ok(())
}

/// What `lifeboat check --strict` finds in a file of `workflows/examples`.
fn contradictions(arguments: &[&str]) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows/examples");
    let paths: Vec<String> = arguments
        .iter()
        .map(
            |argument| if argument.starts_with("--") { (*argument).to_owned() } else { format!("{folder}/{argument}") },
        )
        .collect();
    let arguments: Vec<&str> = ["check", "--strict"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    Screen::new().lifeboat(&arguments).replace(folder, "workflows/examples")
}

#[test]
fn procedures_that_contradict_their_own_objectives_are_told_so() {
    screen::check("examples_point_in_time", &contradictions(&["point-in-time.yaml"]));
    screen::check("examples_region", &contradictions(&["--bindings", "region.bindings.yaml", "region.yaml"]));
}
