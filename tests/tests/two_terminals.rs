//! Two terminals: a run goes on in one, and from another one it is paused, a step skipped, one done by hand, one tried again, and the
//! run resumed; the engine is killed with `kill -9` between any two of these.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{lifeboat, repository, webhook::Webhook};
use serde_json::Value;
use tempfile::TempDir;

/// One step backs off for an hour, one asks for an approval, one for work by hand; the last one needs them all.
const RUNBOOK: &str = r#"
lifeboat: 1
id: DR-042
name: Two terminals
targets: { oncall: { kind: notify } }
steps:
  - id: announce
    uses: notify/send
    with: { channel: oncall, message: It begins }
    retry: { attempts: 2, backoff: 1h, backoff_max: 1h }
  - id: sign_off
    approve: { message: "Shall we?" }
    needs: []
  - id: dns
    manual: { instruction: Point the name back, evidence: { ticket: string } }
    needs: []
  - id: done
    uses: notify/send
    with: { channel: oncall, message: "It is over, see ${{ steps.dns.outputs.ticket }}" }
    needs: [announce, sign_off, dns]
"#;

/// What is typed at the second terminal.
const TYPED: [&[&str]; 5] = [
    &["pause", "last", "--reason", "looking around"],
    &["skip", "last", "sign_off", "--reason", "everybody is on the phone"],
    &["resolve", "last", "dns", "--evidence", "ticket=OPS-12", "--reason", "done while waiting"],
    &["retry", "last", "announce", "--reason", "the channel is back"],
    &["resume", "last"],
];

struct Stand {
    home: TempDir,
    hook: Webhook,
}

impl Stand {
    /// The first message is refused for the time being.
    fn new() -> Result<Self> {
        let stand = Self { home: tempfile::tempdir()?, hook: Webhook::answering(&[503])? };
        // Compiling the plugins for each would take most of the time.
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/two-terminals-cache");
        fs::create_dir_all(cache)?;
        fs::create_dir(stand.file("state"))?;
        std::os::unix::fs::symlink(cache, stand.file("state/cache"))?;
        fs::write(stand.file("runbook.yaml"), RUNBOOK)?;
        let bindings = format!(
            "lifeboat: 1\ntargets:\n  oncall: {{ kind: notify, channel: webhook, url: \"{}\" }}\n",
            stand.hook.url()
        );
        fs::write(stand.file("bindings.yaml"), bindings)?;
        Ok(stand)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `lifeboat …` without a terminal: nobody can be asked there.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(lifeboat());
        command.args(arguments).env("LIFEBOAT_HOME", self.file("state")).current_dir(repository());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(arguments).output()?)
    }

    /// Types it at the second terminal.
    fn types(&self, arguments: &[&str]) -> Result<()> {
        let output = self.output(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{arguments:?} ended with {}:\n{said}", output.status);
        Ok(())
    }

    /// The first terminal, up to where one step backs off and two wait for people.
    fn start(&self) -> Result<Engine> {
        let mut command = self.command(&["run"]);
        command.arg(self.file("runbook.yaml")).arg("--bindings").arg(self.file("bindings.yaml"));
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        for wanted in ["sign_off waits for approval", "dns waits for manual work", "announce next attempt"] {
            let mut seen = Vec::new();
            loop {
                let line = lines.next().with_context(|| format!("no `{wanted}` in {seen:#?}"))??;
                if line.contains(wanted) {
                    break;
                }
                seen.push(line);
            }
        }
        // Read on, or the engine would wait for a reader.
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect());
        Ok(Engine { child, reader })
    }

    fn status(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.output(&["status", "last", "--json"])?.stdout)?)
    }

    fn journal(&self) -> Result<Vec<Value>> {
        let runs = fs::read_dir(self.file("state/runs"))?.flatten().map(|entry| entry.path());
        let run = runs.into_iter().next().context("there is a run")?;
        let text = fs::read_to_string(run.join("journal.jsonl"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

struct Engine {
    child: Child,
    reader: std::thread::JoinHandle<Vec<String>>,
}

impl Engine {
    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn ends_well(mut self) -> Result<()> {
        let status = self.child.wait()?;
        let said = self.reader.join().unwrap_or_default().join("\n");
        ensure!(status.success(), "the engine ended with {status}:\n{said}");
        Ok(())
    }
}

/// What operators did, in order, with who and why.
fn told(journal: &[Value]) -> Vec<(String, bool, String)> {
    let names = ["run_paused", "step_skipped", "hands_reported", "retry_requested", "run_unpaused"];
    let of = journal.iter().filter(|record| names.iter().any(|name| record["event"] == *name));
    of.map(|record| {
        let (who, reason) = match record["reason"].as_object() {
            Some(reason) => (&reason["who"], &reason["reason"]),
            None => (&record["who"], &record["reason"]),
        };
        let named = who["kind"] == "user" && who["name"].as_str().is_some_and(|name| !name.is_empty());
        (record["event"].to_string(), named, reason.as_str().unwrap_or_default().to_owned())
    })
    .collect()
}

/// Kills the engine before the command of that number, or after the last one.
fn killed_before(place: usize) -> Result<()> {
    let stand = Stand::new()?;
    let mut engine = Some(stand.start()?);
    for (number, arguments) in TYPED.iter().enumerate() {
        if number == place {
            engine.take().context("it lives")?.kill()?;
        }
        stand.types(arguments)?;
    }
    match engine {
        Some(engine) if place == TYPED.len() => {
            engine.kill()?;
            stand.types(&["resume", "last"])?;
        }
        Some(engine) => engine.ends_well()?,
        None => {}
    }
    it_ended_right(&stand)
}

fn it_ended_right(stand: &Stand) -> Result<()> {
    let status = stand.status()?;
    ensure!(status["outcome"] == "succeeded_with_exceptions", "{status:#}");
    let states: Vec<_> = status["steps"].as_array().context("steps")?.iter().map(|step| &step["state"]).collect();
    ensure!(states == ["succeeded", "skipped", "resolved_by_hand", "succeeded"], "{status:#}");
    let expected = [
        ("run_paused", "looking around"),
        ("step_skipped", "everybody is on the phone"),
        ("hands_reported", "done while waiting"),
        ("retry_requested", "the channel is back"),
        ("run_unpaused", ""),
    ];
    let expected = expected.map(|(event, reason)| (format!("\"{event}\""), true, reason.to_owned()));
    let journal = stand.journal()?;
    ensure!(told(&journal) == expected, "{:#?}", told(&journal));
    ensure!(stand.output(&["verify-journal", "last"])?.status.success(), "the journal is sound");
    let last = stand.hook.bodies().into_iter().filter(|body| body.contains("OPS-12")).count();
    ensure!(last >= 1, "nobody was told: {:#?}", stand.hook.bodies());
    Ok(())
}

#[test]
fn an_engine_killed_between_any_two_commands_changes_nothing_of_the_end() -> Result<()> {
    for place in 0..=TYPED.len() {
        killed_before(place).with_context(|| format!("killed before command {place}"))?;
    }
    Ok(())
}

#[test]
fn an_engine_that_lives_goes_on_in_its_own_terminal() -> Result<()> {
    killed_before(usize::MAX)
}

#[test]
fn a_wrong_request_is_refused_where_it_was_typed_and_disturbs_nobody() -> Result<()> {
    let stand = Stand::new()?;
    let engine = stand.start()?;
    let before = stand.journal()?;
    for (arguments, code) in [
        (&["approve", "last", "dns"][..], "operator-not-asked"),
        (&["skip", "last", "announce"], "operator-no-reason"),
        (&["skip", "last", "anounce", "--reason", "x"], "operator-unknown-step"),
        (&["retry", "last", "done"], "operator-not-failed"),
        (&["resolve", "last", "dns", "--reason", "x"], "operator-evidence"),
        (&["resolve", "last", "sign_off", "--evidence", "a=b", "--reason", "x"], "operator-approval"),
    ] {
        let output = stand.output(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && said.contains(code), "{arguments:?} should be {code}:\n{said}");
    }
    ensure!(stand.journal()? == before, "something was recorded");
    stand.types(&["abort", "last", "--reason", "enough"])?;
    let mut engine = engine;
    ensure!(engine.child.wait()?.code() == Some(1), "an aborted run has failed");
    ensure!(stand.status()?["outcome"] == "aborted");
    Ok(())
}

#[test]
fn a_run_that_waits_for_people_says_so_while_its_engine_lives() -> Result<()> {
    let stand = Stand::new()?;
    let mut engine = stand.start()?;
    let listed = |state: &str| -> Result<()> {
        let runs: Value = serde_json::from_slice(&stand.output(&["runs", "--json"])?.stdout)?;
        ensure!(runs[0]["state"] == state && runs[0]["engine"].is_object(), "{runs:#}");
        Ok(())
    };
    listed("waiting")?;
    stand.types(&["pause", "last"])?;
    listed("paused")?;
    let before = stand.journal()?;
    let refused = stand.output(&["resume", "last", "--approve", "sign_off"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(2) && said.contains("lifeboat approve"), "{}: {said}", refused.status);
    ensure!(stand.journal()? == before, "an answer for another process was half taken");
    stand.types(&["abort", "last", "--reason", "enough"])?;
    ensure!(engine.child.wait()?.code() == Some(1), "an aborted run has failed");
    Ok(())
}

#[test]
fn a_run_that_failed_goes_on_where_it_is_told_to() -> Result<()> {
    let stand = Stand { hook: Webhook::answering(&[400])?, ..Stand::new()? };
    let runbook = RUNBOOK.split("  - id: sign_off").next().context("a runbook")?;
    fs::write(
        stand.file("runbook.yaml"),
        format!("{runbook}  - id: done\n    uses: notify/send\n    with: {{ channel: oncall, message: OPS-12 }}\n"),
    )?;
    let bindings = format!(
        "lifeboat: 1\ntargets:\n  oncall: {{ kind: notify, channel: webhook, url: \"{}\" }}\n",
        stand.hook.url()
    );
    fs::write(stand.file("bindings.yaml"), bindings)?;
    let (runbook, bindings) = (stand.file("runbook.yaml"), stand.file("bindings.yaml"));
    let output = stand.command(&["run"]).arg(runbook).arg("--bindings").arg(bindings).output()?;
    ensure!(output.status.code() == Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    stand.types(&["retry", "last"])?;
    ensure!(stand.status()?["outcome"] == "succeeded");
    ensure!(stand.hook.bodies().len() == 3, "{:#?}", stand.hook.bodies());
    let again = stand.output(&["retry", "last", "announce"])?;
    ensure!(String::from_utf8_lossy(&again.stderr).contains("operator-run-over"));
    Ok(())
}
