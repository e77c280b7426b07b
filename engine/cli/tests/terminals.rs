//! A terminal that cannot move its cursor: what is shown there is plain lines, and a question is answered with one line. `script`
//! stands for the terminal; it knows no width, as its input is a pipe.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
};

use tempfile::TempDir;

const PEOPLE: &str = "\
lifeboat: 1
id: DR-000
name: Accidental silence
steps:
  - id: sign_off
    approve: { by: [dba], message: Is it an incident? }
  - id: dns
    manual: { instruction: Point reports.example.com at the primary again, evidence: { ticket: string } }
";

/// A state folder, a runbook and its bindings.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(people: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/lifeboat-cache");
        fs::create_dir_all(cache).unwrap();
        fs::create_dir(desk.path("home")).unwrap();
        std::os::unix::fs::symlink(cache, desk.path("home/cache")).unwrap();
        fs::write(desk.path("people.yaml"), PEOPLE).unwrap();
        fs::write(desk.path("bindings.yaml"), format!("lifeboat: 1\ntargets: {{}}\n{people}")).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn around(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LIFEBOAT_HOME", self.path("home")).env_remove("NO_COLOR").env_remove("CI").env_remove("SUDO_USER");
        command.current_dir(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Without a terminal.
    fn lifeboat(&self, arguments: &[&str]) -> Output {
        self.around(env!("CARGO_BIN_EXE_lifeboat")).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn lifeboat_as(&self, user: &str, arguments: &[&str]) -> Output {
        let mut command = self.around(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments).env("SUDO_USER", user).stdin(Stdio::null()).output().unwrap()
    }

    /// On a terminal of that kind.
    fn terminal(&self, kind: Option<&str>, arguments: &str) -> Terminal {
        let mut command = self.around("script");
        command.args(["-q", "-e", "-c", &format!("{} {arguments}", env!("CARGO_BIN_EXE_lifeboat")), "/dev/null"]);
        match kind {
            Some(kind) => command.env("TERM", kind),
            None => command.env_remove("TERM"),
        };
        let mut child = command.spawn().unwrap();
        let keyboard = child.stdin.take();
        Terminal { child, keyboard, shown: String::new() }
    }

    fn start(&self) {
        let output = self.lifeboat(&["run", "people.yaml", "--bindings", "bindings.yaml"]);
        assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    }

    fn journals(&self) -> Vec<String> {
        let runs = fs::read_dir(self.path("home/runs")).unwrap().map(|run| run.unwrap().path());
        let mut journals: Vec<String> = runs.filter_map(|run| journal(&run)).collect();
        journals.sort();
        journals
    }
}

fn journal(run: &Path) -> Option<String> {
    fs::read_to_string(run.join("journal.jsonl")).ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What stands on the terminal, and the keyboard before it.
struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    shown: String,
}

impl Terminal {
    /// Waits until that is shown behind everything that was waited for before.
    fn shows(&mut self, wanted: &str) {
        let from = self.shown.len();
        let mut byte = [0];
        while !self.shown[from..].contains(wanted) {
            let screen = self.child.stdout.as_mut().unwrap();
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "no `{wanted}` in:\n{}", self.shown);
            // What is waited for has only letters of one byte.
            self.shown.push(char::from(byte[0]));
        }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.keyboard.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Exit code, and everything that was shown.
    fn end(&mut self) -> (Option<i32>, String) {
        self.keyboard = None;
        let mut rest = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), format!("{}{}", self.shown, text(&rest)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Both fail where it has ended before, which is all that is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_dumb_terminal_shows_every_line_and_each_question_takes_one_answer() {
    for kind in [Some("dumb"), None, Some("xterm")] {
        let desk = Desk::new("");
        let mut terminal = desk.terminal(kind, "--color never run people.yaml --bindings bindings.yaml");
        terminal.shows("started: Accidental silence");
        terminal.shows("Is it an incident?");
        terminal.shows("y or n, optionally followed by a comment: ");
        terminal.types("perhaps");
        terminal.shows("type y or n");
        terminal.shows("followed by a comment: ");
        terminal.types("y 412 rows");
        terminal.shows("sign_off approved by");
        terminal.shows("ticket (string): ");
        terminal.types("OPS-12");
        terminal.shows("dns done by hand by");
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(!shown.contains("\u{1b}[A") && !shown.contains("\u{1b}[2K"), "nothing moves: {shown:?}");
        assert!(desk.journals()[0].contains("\"comment\":\"412 rows\""));
    }
}

#[test]
fn what_last_stands_for_is_shown_and_asked_about() {
    let desk = Desk::new("");
    desk.start();
    let before = desk.journals();
    let mut terminal = desk.terminal(Some("dumb"), "approve last");
    terminal.shows("Accidental silence (DR-000), started ");
    terminal.shows("sign_off: waits for approval by dba: Is it an incident?");
    terminal.shows("Approve this? y or n: ");
    terminal.types("n");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(6), "{shown}");
    assert_eq!(desk.journals(), before, "nothing is recorded");

    let mut terminal = desk.terminal(Some("dumb"), "approve last --comment counted");
    terminal.shows("Approve this? y or n: ");
    terminal.types("y");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(desk.journals()[0].contains("\"comment\":\"counted\""));
}

#[test]
fn a_run_that_is_named_is_not_asked_about_and_the_answer_repeats_the_question() {
    let desk = Desk::new("");
    desk.start();
    let mut terminal = desk.terminal(Some("dumb"), "reject dr-000 sign_off");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    for part in
        ["Accidental silence (DR-000)", "sign_off: waits for approval by dba: Is it an incident?", "rejected by"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[test]
fn where_nobody_can_be_asked_last_is_refused_while_it_could_be_another_run() {
    let desk = Desk::new("");
    desk.start();
    desk.start();
    let before = desk.journals();
    for arguments in [
        &["approve", "last"][..],
        &["reject", "last"],
        &["skip", "last", "dns", "--reason", "x"],
        &["retry", "last", "dns"],
        &["resolve", "last", "dns", "--evidence", "ticket=x"],
        &["pause", "last"],
        &["abort", "last"],
        &["resume", "last"],
        &["leases", "take-over", "last", "--reason", "x"],
    ] {
        let output = desk.lifeboat(arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains("run-ambiguous"), "{arguments:?}: {said}");
    }
    assert_eq!(desk.journals(), before, "nothing is recorded");
    assert!(desk.lifeboat(&["status", "last"]).status.success(), "looking is no matter");
}

#[test]
fn who_may_not_answer_is_told_who_may_and_the_engine_waits_for_them() {
    let desk = Desk::new("people: { dba: [nobody] }\n");
    let mut terminal = desk.terminal(Some("dumb"), "run people.yaml --bindings bindings.yaml");
    terminal.shows("sign_off: Is it an incident?");
    terminal.shows("can only be answered by dba: nobody; you are");
    terminal.shows("waiting for `lifeboat approve ");
    if !rustix::process::geteuid().is_root() {
        // Past the capture of the test harness: that something was not tested must be seen.
        writeln!(std::io::stderr(), "SKIPPED: only root can act for another user").unwrap();
        return;
    }
    let refused = desk.lifeboat_as("daemon", &["approve", "dr-000", "sign_off"]);
    assert_eq!(refused.status.code(), Some(6), "{}", text(&refused.stderr));
    let told = desk.lifeboat_as("nobody", &["approve", "dr-000", "sign_off"]);
    assert!(told.status.success(), "{}", text(&told.stderr));
    terminal.shows("sign_off approved by nobody");
    terminal.shows("ticket (string): ");
    terminal.types("OPS-12");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
}

#[test]
fn without_a_terminal_an_approval_waits_the_same_with_and_without_an_end() {
    for expires in ["", ", expires: 1h"] {
        let desk = Desk::new("");
        let runbook = PEOPLE.replace("an incident?", &format!("an incident?{expires}"));
        fs::write(desk.path("people.yaml"), runbook).unwrap();
        desk.start();
        let resumed = desk.lifeboat(&["resume", "last", "--approve", "sign_off"]);
        assert_eq!(resumed.status.code(), Some(5), "the next question waits: {}", text(&resumed.stderr));
    }
}

#[test]
fn who_reads_makes_no_folder() {
    let desk = Desk::new("");
    let home = desk.path("elsewhere");
    for arguments in [
        &["runs"][..],
        &["status"],
        &["report"],
        &["history"],
        &["copies"],
        &["leases"],
        &["verify-journal", "last"],
        &["approve", "last"],
        &["abort", "last"],
        &["resume", "last"],
        &["copies", "remove", "lb-1f2e3d4c5b"],
        &["leases", "take-over", "last", "--reason", "x"],
    ] {
        let mut command = desk.around(env!("CARGO_BIN_EXE_lifeboat"));
        let output = command.args(arguments).env("LIFEBOAT_HOME", &home).stdin(Stdio::null()).output().unwrap();
        assert!(!home.exists(), "{arguments:?} makes a folder: {}", text(&output.stderr));
        assert!(matches!(output.status.code(), Some(0 | 2)), "{arguments:?}: {}", text(&output.stderr));
    }
}

#[test]
fn alone_it_shows_its_help_whatever_the_environment_sets() {
    let output = Desk::new("").lifeboat(&[]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("Usage: lifeboat"), "{said}");
    assert!(!said.contains("error:"), "{said}");
}
