//! What `LIFEBOAT_LOG` asks for: where lines go, what a script can read of them, and what is never in them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const RUNBOOK: &str = "\
lifeboat: 1
id: DR-000
name: Accidental silence
inputs:
  host: { type: string, description: What is pointed elsewhere }
steps:
  - id: dns
    manual: { instruction: 'Point ${{ inputs.host }} at the primary', evidence: { ticket: string } }
";
/// What a run is given: an input, and the evidence of a person.
const GIVEN: [&str; 4] = ["--input", "host=planted-input", "--evidence", "dns.ticket=planted-evidence"];

/// A state folder with a runbook and its bindings.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/lifeboat-cache");
        fs::create_dir_all(cache).unwrap();
        fs::create_dir(desk.path("home")).unwrap();
        std::os::unix::fs::symlink(cache, desk.path("home/cache")).unwrap();
        fs::write(desk.path("silence.yaml"), RUNBOOK).unwrap();
        fs::write(desk.path("bindings.yaml"), "lifeboat: 1\ntargets: {}\n").unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn around(&self, program: &str, log: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        command.env("LIFEBOAT_HOME", self.path("home")).envs(log.iter().copied()).current_dir(self.0.path());
        command.env_remove("NO_COLOR").env_remove("CI").stdin(Stdio::null());
        command
    }

    fn lifeboat(&self, log: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.around(env!("CARGO_BIN_EXE_lifeboat"), log).args(arguments).output().unwrap()
    }

    fn run(&self, log: &[(&str, &str)]) -> Output {
        let arguments = [&["run", "silence.yaml", "--bindings", "bindings.yaml", "--json"], &GIVEN[..]].concat();
        self.lifeboat(log, &arguments)
    }

    /// `logs/engine.log` of the only run.
    fn engine_log(&self) -> PathBuf {
        let run = fs::read_dir(self.path("home/runs")).unwrap().next().unwrap().unwrap().path();
        run.join("logs/engine.log")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn nothing_is_logged_unless_it_is_asked_for() {
    let desk = Desk::new();
    let output = desk.run(&[("LIFEBOAT_LOG", "")]);
    let said = text(&output.stderr);
    assert!(output.status.success() && !said.contains("lifeboat_runtime"), "{said}");
    assert!(!desk.engine_log().exists());
}

#[test]
fn lines_go_beside_the_data_and_hold_nothing_that_was_given() {
    let desk = Desk::new();
    let output = desk.run(&[("LIFEBOAT_LOG", "trace"), ("LIFEBOAT_LOG_FORMAT", "json")]);
    let (data, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    serde_json::from_str::<Value>(&data).expect("standard output is one document");
    let logged: Vec<(Value, &str)> = said
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| (serde_json::from_str(line).unwrap(), line))
        .collect();
    let recorded = |event: &str| logged.iter().any(|(line, _)| line["fields"]["event"] == event);
    assert!(recorded("RunStarted") && recorded("HandsReported") && recorded("RunFinished"), "{said}");
    assert!(logged.iter().any(|(line, _)| line["fields"]["message"] == "close"), "{said}");
    for (_, line) in &logged {
        assert!(!line.contains("planted"), "{line}");
    }
}

#[test]
fn a_live_view_is_not_torn_and_the_lines_are_in_the_log_of_the_run() {
    let desk = Desk::new();
    let lifeboat = env!("CARGO_BIN_EXE_lifeboat");
    let line = format!("stty cols 100; {lifeboat} run silence.yaml --bindings bindings.yaml {}", GIVEN.join(" "));
    let mut terminal = desk.around("script", &[("LIFEBOAT_LOG", "trace"), ("TERM", "xterm")]);
    let output = terminal.args(["-q", "-e", "-c", &line, "/dev/null"]).output().unwrap();
    let shown = text(&output.stdout);
    assert!(output.status.success() && shown.contains("\u{1b}["), "a live view moves: {shown:?}");
    assert!(!shown.contains("lifeboat_runtime"), "{shown}");
    let log = desk.engine_log();
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("run{run=dr-000-") && logged.contains("the session is over"), "{logged}");
    assert!(!logged.contains("planted"), "{logged}");
}

#[test]
fn a_filter_that_cannot_be_read_is_refused_and_its_page_can_be_read_all_the_same() {
    let desk = Desk::new();
    for wrong in [[("LIFEBOAT_LOG", "debgu")].as_slice(), &[("LIFEBOAT_LOG", "info"), ("LIFEBOAT_LOG_FORMAT", "xml")]] {
        let output = desk.lifeboat(wrong, &["runs"]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("error[log-filter]") && said.contains("hint: set `LIFEBOAT_LOG=debug`"), "{said}");
        assert!(said.contains("lifeboat explain log-filter"), "{said}");
        assert!(desk.lifeboat(wrong, &["explain", "log-filter"]).status.success());
    }
}
