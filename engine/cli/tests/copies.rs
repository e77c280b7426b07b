//! Restored copies that a run has left: listed, named where people look, and removed by a run of its own. The run that leaves them is
//! driven here with a plugin that only says that it restored; what removes them is the real plugin on a real folder.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use lifeboat_core::{
    diagnostic::SourceFile,
    event::{Mode, Person},
    failure::{Failure, Reason},
    input::{Done, Purpose},
    name::RunId,
};
use lifeboat_launch::{Bound, Order, Ready, Runbook, plugins, source};
use lifeboat_runtime::{
    home::Home,
    invoke::{Answer, Invoke, Pending, Request},
    lock::RunLock,
    people::Nobody,
    report::Silent,
    session::{self, Surroundings},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const RUN: &str = "dr-003-20261121-7f3a";
/// The names of the copies of the steps `restore` and `half` of that run.
const RESTORED: &str = "lb-621128864c";
const HALF: &str = "lb-7158316a97";

/// One copy is whole, one is not, one is destroyed, and one is undone; then the run fails.
const RUNBOOK: &str = "\
lifeboat: 1
id: DR-003
name: Leave copies
targets:
  primary: { kind: postgres, access: read }
  recovery: { kind: machine, access: destroy }
steps:
  - id: restore
    uses: pg/restore
    with: { machine: recovery, server: primary, target: { latest: true } }
  - id: gone
    uses: pg/restore
    with: { machine: recovery, server: primary, target: { latest: true } }
  - id: remove
    uses: pg/destroy-instance
    with: { machine: recovery, instance: \"${{ steps.gone.outputs.instance }}\" }
  - id: half
    uses: pg/restore
    with: { machine: recovery, server: primary, target: { latest: true } }
";

/// Says that it restored; the step `half` fails.
struct Restores;

impl Invoke for Restores {
    lifeboat_runtime::holds_nothing!();

    fn invoke(&self, request: Request) -> Pending<Answer> {
        let step = request.call.step.as_str().to_owned();
        let done = |outputs: Value| Ok(Done { outputs, summary: String::new() });
        let answer = match (request.call.purpose, request.call.action.to_string().as_str(), step.as_str()) {
            (Purpose::Run, "pg/restore", "half") => {
                Err(Failure::Permanent(Reason::new("pg-no-port", "every port is taken")))
            }
            (Purpose::Run, "pg/restore", _) => done(json!({
                "instance": if step == "restore" { RESTORED } else { "lb-0000000000" }, "port": 54_330, "backup": "nightly",
                "reached_lsn": "0/3000000", "paused": true, "server_version": "15", "target": "the newest"
            })),
            _ => done(json!({ "removed": true, "files_removed": 0 })),
        };
        Box::pin(std::future::ready(Answer::Ran(answer)))
    }
}

struct Stand {
    folder: TempDir,
}

impl Stand {
    /// A run that has left two copies, and their folders on the machine.
    async fn new(who: Person) -> Self {
        let stand = Self { folder: tempfile::tempdir().unwrap() };
        let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/lifeboat-cache");
        fs::create_dir_all(cache).unwrap();
        for folder in ["home", "work", "bin"] {
            fs::create_dir(stand.path(folder)).unwrap();
        }
        std::os::unix::fs::symlink(cache, stand.path("home/cache")).unwrap();
        fs::write(stand.path("work/.lifeboat-identity"), "recovery-a1b2\n").unwrap();
        // No server runs.
        fs::write(stand.path("bin/pg_ctl"), "#!/bin/sh\nexit 3\n").unwrap();
        fs::set_permissions(stand.path("bin/pg_ctl"), fs::Permissions::from_mode(0o755)).unwrap();
        for (name, step) in [(RESTORED, "restore"), (HALF, "half")] {
            let folder = stand.path("work").join(name);
            fs::create_dir_all(folder.join("data")).unwrap();
            let marker = json!({ "run": RUN, "key": format!("{RUN}/{step}"), "port": 54_330, "login_as": "primary",
                "system_identifier": "7", "created_ms": 1 });
            fs::write(folder.join("lifeboat-instance.json"), marker.to_string()).unwrap();
        }
        stand.run(who).await;
        stand
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bindings(&self) -> String {
        let [work, bin] = ["work", "bin"].map(|name| self.path(name).display().to_string());
        format!(
            "lifeboat: 1\ntargets:\n  primary: {{ kind: postgres, access: read, host: 127.0.0.1, port: 1, user: u, \
             database: d, \
             system_identifier: \"7\" }}\n  recovery:\n    kind: machine\n    access: destroy\n    via: local\n    \
             postgres_bin: {bin}\n    folders:\n      work: {{ path: {work}, access: destroy }}\n    identity: recovery-a1b2\n"
        )
    }

    async fn run(&self, who: Person) {
        let home = Home::open(self.path("home")).unwrap();
        let host = plugins::host(home.cache()).unwrap();
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        let runbook = Runbook::of(source::check_runbook(file("runbook.yaml", RUNBOOK), &host.catalogue())).unwrap();
        let bound = Bound::of(source::check_bindings(file("bindings.yaml", &self.bindings()))).unwrap();
        let ready = Ready::new(runbook, bound, &BTreeMap::new()).unwrap();
        let run = RunId::new(RUN).unwrap();
        let new = ready.into_run(Order { run, mode: Mode::Real, who, onset: None });
        let surroundings = Surroundings {
            invoke: Arc::new(Restores),
            people: Arc::new(Nobody),
            reporter: Arc::new(Silent),
            stop: CancellationToken::new(),
        };
        session::start(&home, new, surroundings).await.unwrap();
    }

    fn lifeboat(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        command.args(arguments).env("LIFEBOAT_HOME", self.path("home")).env("NO_COLOR", "1").stdin(Stdio::null());
        command.output().unwrap()
    }

    fn said(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.lifeboat(arguments);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    fn copies(&self) -> Vec<Value> {
        let document: Value = serde_json::from_slice(&self.lifeboat(&["copies", "--json"]).stdout).unwrap();
        assert_eq!(document["format"], "lifeboat.copies/1");
        document["copies"].as_array().unwrap().clone()
    }
}

fn user() -> Person {
    Person::User { name: "ada".to_owned() }
}

#[tokio::test]
async fn a_copy_that_a_failed_run_has_left_is_named_and_removed() {
    let stand = Stand::new(user()).await;
    let names: Vec<Value> =
        stand.copies().iter().map(|copy| json!([copy["copy"], copy["step"], copy["port"]])).collect();
    assert_eq!(names, [json!([RESTORED, "restore", 54_330]), json!([null, "half", null])]);
    for said in [stand.said(0, &["copies"]), stand.said(0, &["status", "dr-003"])] {
        assert!(said.contains(RESTORED) && said.contains("54330"), "{said}");
        assert!(said.contains(&format!("lifeboat copies remove {RESTORED}")), "{said}");
        assert!(said.contains(&format!("lifeboat copies remove {RUN}/half")), "{said}");
    }
    assert!(stand.said(2, &["copies", "remove", RESTORED]).contains("--yes"), "nobody can be asked");

    // The machine says how big they are, and has one that no journal here knows.
    fs::create_dir_all(stand.path("work/lb-ffffffffff/data")).unwrap();
    let looked: Value = serde_json::from_slice(&stand.lifeboat(&["copies", "--look", "--json"]).stdout).unwrap();
    assert!(looked["copies"].as_array().unwrap().iter().all(|copy| copy["size_bytes"].is_u64()), "{looked:#}");
    assert_eq!(looked["strays"][0]["name"], "lb-ffffffffff", "{looked:#}");
    assert!(stand.said(0, &["copies", "--look"]).contains("lb-ffffffffff on `recovery`"));
    assert!(stand.said(2, &["copies", "remove", "lb-1", "--yes"]).contains("copy-unknown"));

    // As long as somebody works on the run its copies stay.
    let folder = stand.path("home/runs").join(RUN);
    let lock = RunLock::take(&folder, &RunId::new(RUN).unwrap()).unwrap();
    assert!(stand.said(6, &["copies", "remove", RESTORED, "--yes"]).contains("copy-in-use"));
    drop(lock);
    assert!(stand.path("work").join(RESTORED).exists());

    let said = stand.said(0, &["copies", "remove", RESTORED, "--yes"]);
    assert!(said.contains(&format!("{RESTORED} is removed")), "{said}");
    assert!(!stand.path("work").join(RESTORED).exists() && stand.path("work").join(HALF).exists());
    stand.said(0, &["copies", "remove", &format!("{RUN}/half"), "--yes"]);
    assert!(!stand.path("work").join(HALF).exists());
    assert_eq!(stand.copies(), [] as [Value; 0]);
    assert!(stand.said(0, &["copies"]).contains("no run has left a copy"));

    // Who removed what stands in journals of their own.
    let runs: Value = serde_json::from_slice(&stand.lifeboat(&["runs", "--json"]).stdout).unwrap();
    let removals = runs.as_array().unwrap().iter().filter(|run| run["runbook"]["id"] == "COPIES");
    assert_eq!(removals.count(), 2, "{runs:#}");
}

#[tokio::test]
async fn copies_of_a_drill_go_with_its_systems_and_a_drill_is_no_last() {
    let stand = Stand::new(Person::Policy { name: "drill-approves".to_owned() }).await;
    assert_eq!(stand.copies(), [] as [Value; 0]);
    let runs: Value = serde_json::from_slice(&stand.lifeboat(&["runs", "--json"]).stdout).unwrap();
    assert_eq!(runs[0]["drill"], true);
    for arguments in [&["retry", "last"][..], &["abort", "last"], &["resume", "last"]] {
        assert!(stand.said(2, arguments).contains("`last` does not stand for a drill"), "{arguments:?}");
    }
    assert!(stand.said(0, &["status", "last"]).contains(RUN), "looking is no matter");
}
