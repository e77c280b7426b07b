//! Ctrl-C while a program runs on a machine: the engine hears it and ends the program, which a terminal cannot reach; a second
//! one ends the engine at once. Nothing stays behind, not even where the engine is killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;

const RUNBOOK: &str = r#"lifeboat: 1
id: DR-000
name: Look at a backup for ever
targets:
  recovery: { kind: machine }
steps:
  - id: verify
    uses: pg/verify-backup
    with: { machine: recovery, backup: nightly }
"#;

const LABEL: &str = "START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n\
    CHECKPOINT LOCATION: 0/2000060\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n\
    START TIME: 2026-11-21 03:55:28 UTC\nLABEL: nightly\nSTART TIMELINE: 1\n";

/// Tells its number and continues for ever.
const ENDLESS: &str = "#!/bin/sh\necho $$ >FIFO\nexec sleep 3600\n";

/// Stands in for a container engine: runs what it is told to right here. Told to look at the backup it hears nothing any more.
const DEAF_ENGINE: &str = r#"#!/bin/sh
while [ "$1" != there ]; do shift; done
shift
case "$*" in
*pg_verifybackup*) echo $$ >FIFO; exec sleep 3600 ;;
*) exec "$@" ;;
esac
"#;

/// A backup to look at, and a program that never comes to an end with it.
struct Stage {
    folder: TempDir,
}

impl Stage {
    fn new(via: &str) -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(stage.path("backups/nightly")).unwrap();
        fs::create_dir(stage.path("work")).unwrap();
        fs::write(stage.path("backups/nightly/backup_label"), LABEL).unwrap();
        fs::write(stage.path("runbook.yaml"), RUNBOOK).unwrap();
        assert!(Command::new("mkfifo").arg(stage.path("fifo")).status().unwrap().success());
        stage.program("pg_verifybackup", ENDLESS);
        stage.program("docker", DEAF_ENGINE);
        let [backups, work, bin] = ["backups", "work", ""].map(|name| stage.path(name));
        let bindings = format!(
            "lifeboat: 1\ntargets:\n  recovery:\n    kind: machine\n    via: {via}\n    postgres_bin: {bin}\n    \
             folders:\n      \
             backups: {{ path: {backups}, access: read }}\n      work: {{ path: {work}, access: write }}\n"
        );
        fs::write(stage.path("bindings.yaml"), bindings).unwrap();
        stage
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text.replace("FIFO", &self.path("fifo"))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn lifeboat(&self, arguments: &[&str]) -> Command {
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/lifeboat-cache");
        fs::create_dir_all(cache).unwrap();
        let home = self.folder.path().join("home");
        fs::create_dir_all(&home).unwrap();
        // Fails where it is there already.
        let _linked = std::os::unix::fs::symlink(cache, home.join("cache"));
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments).env("LIFEBOAT_HOME", home).env("PATH", path);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// An engine, the first one of its process group as under a terminal, and the program that it waits for.
    fn hangs(&self) -> (Engine, Pid) {
        let (runbook, bindings) = (self.path("runbook.yaml"), self.path("bindings.yaml"));
        let mut command = self.lifeboat(&["run", &runbook, "--bindings", &bindings]);
        let engine = Engine(command.process_group(0).spawn().unwrap());
        let told = fs::read_to_string(self.path("fifo")).unwrap();
        (engine, Pid::from_raw(told.trim().parse().unwrap()).unwrap())
    }

    fn journal(&self) -> String {
        let runs = fs::read_dir(self.path("home/runs")).unwrap();
        let run = runs.map(|run| run.unwrap().path()).find(|run| run.is_dir()).unwrap();
        fs::read_to_string(run.join("journal.jsonl")).unwrap()
    }
}

/// An engine that does not outlive its test.
struct Engine(Child);

impl Engine {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Exit code and what it said.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Both fail where it has ended before, which is all that is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns when the program is gone; one whose end nobody has taken notice of is.
fn until_gone(program: Pid) {
    let state = || fs::read_to_string(format!("/proc/{program}/stat")).unwrap_or_default();
    while test_kill_process(program).is_ok() && !state().contains(") Z ") {
        std::thread::yield_now();
    }
}

#[test]
fn a_terminals_ctrl_c_reaches_the_engine_alone_and_the_program_ends_with_its_call() {
    let stage = Stage::new("local");
    let (mut engine, program) = stage.hangs();
    kill_process_group(engine.pid(), Signal::INT).unwrap();
    let (code, said) = engine.end();
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("stopped "), "{said}");
    until_gone(program);
    let journal = stage.journal();
    assert!(journal.contains("step_started") && !journal.contains("attempt_failed"), "{journal}");

    // It continues with the same step, and can be stopped again.
    let mut again = Engine(stage.lifeboat(&["resume", "last"]).process_group(0).spawn().unwrap());
    let told = fs::read_to_string(stage.path("fifo")).unwrap();
    kill_process_group(again.pid(), Signal::TERM).unwrap();
    assert_eq!(again.end().0, Some(5));
    until_gone(Pid::from_raw(told.trim().parse().unwrap()).unwrap());
    assert!(stage.journal().contains("\"attempt\":2"));
}

#[test]
fn a_killed_engine_leaves_no_program_behind() {
    let stage = Stage::new("local");
    let (mut engine, program) = stage.hangs();
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    until_gone(program);
    let shown = |arguments: &[&str]| String::from_utf8(stage.lifeboat(arguments).output().unwrap().stdout).unwrap();
    let status = shown(&["status"]);
    let first = status.lines().next().unwrap();
    assert!(first.contains("NO ENGINE WORKS ON THIS RUN") && first.contains("lifeboat resume dr-000-"), "{status}");
    assert!(status.contains("cut off") && !status.contains("running"), "{status}");
    assert!(shown(&["runs"]).contains("no engine; can be resumed"));
    let document: serde_json::Value = serde_json::from_str(&shown(&["status", "--json"])).unwrap();
    assert_eq!((&document["live"], &document["steps"][0]["cut_off"]), (&false.into(), &true.into()), "{document:#}");
}

#[test]
fn the_second_ctrl_c_ends_the_engine_at_once() {
    let stage = Stage::new("{ container: { engine: docker, name: there } }");
    let (mut engine, deaf) = stage.hangs();
    kill_process(engine.pid(), Signal::INT).unwrap();
    // The program does not hear that it should end, so the engine says that it stops and is not over yet.
    let mut said = BufReader::new(engine.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("stopping:") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it never said that it stops");
    }
    kill_process(engine.pid(), Signal::INT).unwrap();
    let status = engine.0.wait().unwrap();
    // It hears nothing, so nobody but the test ends it.
    kill_process(deaf, Signal::KILL).unwrap();
    assert_eq!(status.code(), Some(130), "{status}");
    assert!(Path::new(&stage.path("home/runs")).is_dir());
}
