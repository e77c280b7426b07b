//! Two engines with state folders of their own and one server: the target itself keeps the second one away while the first one lives,
//! asleep or not, and no longer.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{ssh, stand::Stand};

/// A run that does not outlive the test.
struct Engine {
    child: Child,
    _stderr: BufReader<ChildStderr>,
}

impl Engine {
    /// Starts it and reads on until a step started.
    fn started(mut command: Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::null()).spawn()?;
        let stderr = BufReader::new(child.stderr.take().context("stderr is piped")?);
        let mut engine = Self { child, _stderr: stderr };
        let mut seen = String::new();
        while !seen.lines().last().is_some_and(|line| line.ends_with(" started") && line.contains(" restore ")) {
            ensure!(engine._stderr.read_line(&mut seen)? > 0, "it ended before:\n{seen}");
        }
        Ok(engine)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        ensure!(sent.success(), "kill {signal} failed");
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Both fail where it has ended before, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_keeps_the_engine_of_another_state_folder_away_as_long_as_the_first_one_lives() -> Result<()> {
    let stand = Stand::loaded(300).await?;
    let application = stand.application().await?;
    let before = stand.content().await?;
    application.batch_execute("DELETE FROM customers WHERE id <= 100").await?;
    let other = |mut command: Command| {
        command.env("LIFEBOAT_HOME", stand.home.path().join("other"));
        command
    };

    let first = Engine::started(stand.run())?;
    first.signal("-STOP")?;
    let run = stand.run_folder()?.file_name().context("a name")?.to_string_lossy().into_owned();
    let refused = other(stand.run()).output()?;
    let message = said(&refused);
    ensure!(!refused.status.success() && message.contains("error[run-lease-held]"), "{message}");
    ensure!(message.contains(&format!("the run `{run}`, process {}", first.child.id())), "{message}");
    let listed = other(stand.lifeboat(&["runs", "--json"])).output()?;
    ensure!(!String::from_utf8_lossy(&listed.stdout).contains("dr-003"), "a run that was refused has not happened");

    // Who asks an engine that sleeps is told so, and what was asked is not done later.
    let asked = stand.lifeboat(&["pause", "last", "--reason", "asleep"]).output()?;
    ensure!(!asked.status.success() && said(&asked).contains("stopped by a signal"), "{}", said(&asked));

    // A dead engine holds nothing.
    drop(first);
    let second = other(stand.run()).output()?;
    ensure!(second.status.success(), "{}", said(&second));
    ensure!(stand.content().await? == before, "every row is back once");
    let journal = std::fs::read_to_string(stand.run_folder()?.join("journal.jsonl"))?;
    ensure!(!journal.contains("asleep"), "{journal}");
    let left = stand.testbed.work_folder().join(".lifeboat-lease");
    ensure!(!left.exists(), "a run that is over holds nothing");
    stand.stop().await
}

/// Changes the machine, and no server.
const RESTORE: &str = r#"lifeboat: 1
id: RESTORE-004
name: Restore a copy
targets:
  primary: { kind: postgres, access: read, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the copy is made" }
steps:
  - id: restore
    uses: pg/restore
    with: { machine: recovery, server: primary, target: { immediate: true } }
    timeout: 5m
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_behind_ssh_keeps_other_engines_away_whatever_way_they_come() -> Result<()> {
    let stand = Stand::loaded(20).await?;
    let home = stand.home.path();
    let runbook = home.join("restore.yaml");
    std::fs::write(&runbook, RESTORE)?;
    let there = ssh::bindings(&stand.bindings, home)?;
    let path = ssh::path(home)?;
    let run = |bindings: &std::path::Path, state: &str| {
        let mut command = stand.lifeboat(&["run"]);
        command.arg(&runbook).arg("--bindings").arg(bindings).env("PATH", &path);
        command.env("LIFEBOAT_HOME", home.join(state));
        command
    };

    let first = Engine::started(run(&there, "state"))?;
    first.signal("-STOP")?;
    let name = stand.run_folder()?.file_name().context("a name")?.to_string_lossy().into_owned();
    for bindings in [&there, &stand.bindings] {
        let refused = run(bindings, "other").output()?;
        let message = said(&refused);
        ensure!(!refused.status.success() && message.contains("error[run-lease-held]"), "{message}");
        ensure!(message.contains(&format!("the run `{name}`, process {}", first.child.id())), "{message}");
    }
    let lease = stand.testbed.work_folder().join(".lifeboat-lease");
    ensure!(lease.exists(), "the lock is a file of the machine");

    // A dead engine holds nothing, and of one that is done nothing is left.
    drop(first);
    let mut second = run(&there, "other").output()?;
    while said(&second).contains("run-lease-held") {
        // The program at the other end has not heard yet that nobody is there.
        second = run(&there, "other").output()?;
    }
    ensure!(second.status.success(), "{}", said(&second));
    while lease.exists() {
        tokio::task::yield_now().await;
    }
    stand.stop().await
}
