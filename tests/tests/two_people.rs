//! Four eyes: an approval takes two different users of the operating system. Each types in a process of their own; who they are is
//! what the system says of that process, and a group counts where the bindings name one.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{lifeboat, webhook::Webhook};
use serde_json::Value;
use tempfile::TempDir;

/// One step backs off for an hour, so that the engine lives while people answer.
const RUNBOOK: &str = r#"
lifeboat: 1
id: DR-043
name: Two people
targets: { oncall: { kind: notify } }
steps:
  - id: announce
    uses: notify/send
    with: { channel: oncall, message: It begins }
    retry: { attempts: 2, backoff: 1h, backoff_max: 1h }
  - id: sign_off
    approve: { by: [dba], message: "Shall we?", four_eyes: true }
    needs: []
"#;

/// An account that every system has.
#[derive(Clone, Copy)]
struct Account {
    name: &'static str,
    uid: u32,
}

/// One who may by name, one who may by their group, and one who can reach the run and may not.
struct Accounts {
    named: Account,
    grouped: Account,
    other: Account,
    group: u32,
}

impl Accounts {
    /// `Err` where this process cannot become somebody else.
    fn find() -> Result<Self, String> {
        if id(&["-u"])? != 0 {
            return Err("only root can become another user".to_owned());
        }
        let account = |name| Ok::<_, String>(Account { name, uid: id(&["-u", name])? });
        let (named, grouped, other) = (account("nobody")?, account("daemon")?, account("bin")?);
        Ok(Self { named, grouped, other, group: id(&["-g", "daemon"])? })
    }
}

fn id(arguments: &[&str]) -> Result<u32, String> {
    let output = Command::new("id").args(arguments).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    said.parse().map_err(|_| format!("`id {}` says nothing of use", arguments.join(" ")))
}

struct Stand {
    folder: TempDir,
    hook: Webhook,
    accounts: Accounts,
}

impl Stand {
    /// A state folder of a team: its group may write.
    fn new(accounts: Accounts) -> Result<Self> {
        let stand = Self { folder: tempfile::tempdir()?, hook: Webhook::answering(&[503])?, accounts };
        fs::set_permissions(stand.folder.path(), fs::Permissions::from_mode(0o755))?;
        // The checkout may lie where only its owner can go.
        let binary = stand.file("lifeboat");
        fs::hard_link(lifeboat(), &binary).or_else(|_| fs::copy(lifeboat(), &binary).map(drop))?;
        fs::create_dir(stand.file("state"))?;
        std::os::unix::fs::chown(stand.file("state"), None, Some(stand.accounts.group))?;
        fs::set_permissions(stand.file("state"), fs::Permissions::from_mode(0o2770))?;
        fs::write(stand.file("runbook.yaml"), RUNBOOK)?;
        let (named, grouped) = (stand.accounts.named.name, stand.accounts.grouped.name);
        let bindings = format!(
            "lifeboat: 1\npeople: {{ dba: [{named}, \"group:{grouped}\"] }}\ntargets:\n  \
             oncall: {{ kind: notify, channel: webhook, url: \"{}\" }}\n",
            stand.hook.url()
        );
        fs::write(stand.file("bindings.yaml"), bindings)?;
        Ok(stand)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        // As the manual says for a team: what is made belongs to its group too.
        let mut command = Command::new("sh");
        command.args(["-c", "umask 007; exec \"$0\" \"$@\""]).arg(self.file("lifeboat")).args(arguments);
        command.env("LIFEBOAT_HOME", self.file("state")).env_remove("SUDO_USER").current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Somebody types it, in a process that may write what the team may.
    fn command_of(&self, account: Account, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.uid(account.uid).gid(self.accounts.group);
        command
    }

    fn types(&self, account: Account, arguments: &[&str]) -> Result<Output> {
        Ok(self.command_of(account, arguments).output()?)
    }

    fn accepted(&self, account: Account, arguments: &[&str]) -> Result<()> {
        let output = self.types(account, arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?} of {} ended with {}:\n{said}", account.name, output.status);
        Ok(())
    }

    fn refused(&self, account: Account, code: &str) -> Result<()> {
        let output = self.types(account, &["approve", "last"])?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.code() == Some(6) && said.contains(code), "{} should be {code}:\n{said}", account.name);
        Ok(())
    }

    /// The engine, up to where it backs off and asks.
    fn start(&self) -> Result<Child> {
        let mut child = self.command(&["run", "runbook.yaml", "--bindings", "bindings.yaml"]).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        for wanted in ["sign_off waits for approval", "announce next attempt"] {
            let mut seen = Vec::new();
            while !seen.last().is_some_and(|line: &String| line.contains(wanted)) {
                let line = lines.next().with_context(|| format!("no `{wanted}` in {seen:#?}"))??;
                seen.push(line);
            }
        }
        // Read on, or the engine would wait for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(child)
    }

    fn status(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&self.command(&["status", "last", "--json"]).output()?.stdout)?)
    }
}

/// An engine that is ended with the test, however that ends.
struct Live(Child);

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who approved, as the run tells it.
fn approvals(status: &Value) -> Vec<&str> {
    let people = status["people"].as_array().map(Vec::as_slice).unwrap_or_default();
    let approved = people.iter().filter(|deed| deed["did"] == "approved");
    approved.filter_map(|deed| deed["who"]["name"].as_str()).collect()
}

/// The whole story: of a live engine it goes over the socket, and otherwise into the journal.
fn approved_by_two(live: bool) -> Result<()> {
    let accounts = match Accounts::find() {
        Ok(accounts) => accounts,
        Err(reason) => {
            // Past the capture of the test harness: that something was not tested must be seen.
            writeln!(std::io::stderr(), "SKIPPED: {reason}: four eyes were not tested with two users")?;
            return Ok(());
        }
    };
    let stand = Stand::new(accounts)?;
    let Accounts { named, grouped, other, .. } = stand.accounts;
    let mut engine = Live(stand.start()?);
    if !live {
        engine.0.kill()?;
        engine.0.wait()?;
    }
    stand.refused(other, "operator-role")?;
    stand.accepted(named, &["approve", "last", "--comment", "412 rows"])?;
    stand.refused(named, "operator-same-person")?;
    stand.refused(other, "operator-role")?;
    let waiting = stand.status()?;
    ensure!(waiting["steps"][1]["state"] == "awaiting", "one is not enough: {waiting:#}");
    stand.accepted(grouped, &["approve", "last"])?;
    stand.accepted(grouped, &["retry", "last", "announce"])?;
    if !live {
        // Not the user who started it, and the second one whose engine this state folder sees.
        engine = Live(stand.command_of(grouped, &["resume", "last"]).stderr(Stdio::null()).spawn()?);
    }
    let ended = engine.0.wait()?;
    let status = stand.status()?;
    ensure!(ended.success() && status["outcome"] == "succeeded", "it ended with {ended}: {status:#}");
    ensure!(approvals(&status) == [named.name, grouped.name], "{status:#}");
    Ok(())
}

#[test]
fn two_users_approve_what_a_live_engine_asks() -> Result<()> {
    approved_by_two(true)
}

#[test]
fn two_users_approve_where_no_engine_is_live() -> Result<()> {
    approved_by_two(false)
}
