//! The boundary: a hostile plugin does its worst, its step fails with a code, and everything else continues.

#![expect(clippy::unwrap_used, reason = "a broken fixture should stop the test where it breaks")]

use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use lifeboat_core::{
    action::{Action, Effect},
    bindings::{Binding, Bindings, Folder, Machine, System, Via},
    diagnostic::SourceFile,
    event::Mode,
    failure::{Failure, FailureKind, Reason},
    input::{Call, Observation, Purpose},
    name::{ActionName, RoleName, RunId, StepId},
    plan::{Plan, TargetDeclaration},
    runbook::compile,
    sketch,
    text::steers,
    types::TargetKind,
};
use lifeboat_host::{Component, Host, HostOptions, Limits};
use lifeboat_runtime::invoke::{Answer, Deadline, Fence, Invoke, Note, Request, Unfenced};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A host with the hostile plugin, bound to a machine.
struct Bench {
    folder: TempDir,
    host: Host,
    invoke: Arc<dyn Invoke>,
    notes: Arc<Mutex<Vec<Note>>>,
    cancel: CancellationToken,
    deadline: Option<Timestamp>,
    granted: Effect,
    fence: Arc<dyn Fence>,
}

fn limits() -> Limits {
    Limits {
        memory_bytes: 16 << 20,
        wall: Duration::from_secs(60),
        grace: Duration::from_millis(50),
        concurrent_calls: 4,
        ..Limits::default()
    }
}

fn hostile(cache: &std::path::Path) -> HostOptions {
    let plugins = vec![Component { name: "hostile".to_owned(), bytes: lifeboat_bundle::HOSTILE.to_vec() }];
    HostOptions { cache: cache.to_owned(), plugins, limits: limits() }
}

fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("work")).unwrap();
        let host = Host::new(hostile(&folder.path().join("cache"))).unwrap();
        let work = folder.path().join("work").display().to_string();
        let machine = Machine {
            via: Via::Local,
            user: None,
            programs: BTreeMap::new(),
            folders: [("work".to_owned(), Folder::new(work, Effect::Destroy))].into(),
            ports: BTreeMap::new(),
            identity: None,
        };
        let binding = Binding { access: Effect::Destroy, system: System::Machine(machine), line: 4 };
        let bindings = Bindings { targets: [(role("lab"), binding)].into(), ..Bindings::default() };
        let target = TargetDeclaration { kind: TargetKind::Machine, access: Effect::Destroy };
        let plan = Plan { targets: [(role("lab"), target)].into(), ..sketch::plan(Vec::new()) };
        let invoke = host.bind(&plan, bindings).unwrap();
        let (notes, cancel) = (Arc::default(), CancellationToken::new());
        let fence = Arc::new(Unfenced);
        Self { folder, host, invoke, notes, cancel, deadline: None, granted: Effect::Read, fence }
    }

    async fn call(&self, action: &str, parameters: Value) -> Result<Value, Failure> {
        match self.ask(action, parameters, Purpose::Run).await {
            Answer::Ran(result) => result.map(|done| done.outputs),
            Answer::Observed(seen) => panic!("nothing was observed: {seen:?}"),
        }
    }

    async fn ask(&self, action: &str, parameters: Value, purpose: Purpose) -> Answer {
        let notes = self.notes.clone();
        let request = Request {
            call: Call {
                step: StepId::new("step").unwrap(),
                attempt: 1,
                purpose,
                action: ActionName::new(&format!("hostile/{action}")).unwrap(),
                parameters,
                grants: [(role("lab"), self.granted)].into(),
                deadline: self.deadline,
            },
            run: RunId::new("run").unwrap(),
            mode: Mode::Real,
            deadline: Deadline::fixed(self.deadline),
            cancel: self.cancel.clone(),
            notes: Arc::new(move |note| notes.lock().unwrap().push(note)),
            fence: self.fence.clone(),
        };
        self.invoke.invoke(request).await
    }

    #[track_caller]
    fn check(&self, result: Result<Value, Failure>, kind: FailureKind, code: &str) {
        let failure = result.expect_err("it should have been stopped");
        assert_eq!((failure.kind(), failure.reason().code.as_str()), (kind, code), "{failure:?}");
    }

    /// Other calls are as good as ever.
    async fn still_works(&self) {
        assert_eq!(self.call("nothing", json!({})).await, Ok(json!({})));
    }
}

#[tokio::test]
async fn what_breaks_fails_its_own_step_only() {
    let bench = Bench::new();
    for action in ["trap", "recurse"] {
        bench.check(bench.call(action, json!({})).await, FailureKind::Permanent, "host-plugin-trapped");
        bench.still_works().await;
    }
    bench.check(bench.call("eat-memory", json!({})).await, FailureKind::Permanent, "host-plugin-memory");
    bench.still_works().await;
    let said = bench.notes.lock().unwrap().iter().any(|note| format!("{note:?}").contains("panics on purpose"));
    assert!(said, "the plugin's last words are in the log");
}

#[tokio::test]
async fn rubbish_is_no_answer() {
    let bench = Bench::new();
    for action in ["rubbish-json", "wrong-outputs"] {
        bench.check(bench.call(action, json!({})).await, FailureKind::Permanent, "host-plugin-answer");
    }
    let huge = bench.call("huge-answer", json!({})).await;
    bench.check(huge, FailureKind::Permanent, "host-plugin-memory");
    bench.still_works().await;
}

#[tokio::test]
async fn whatever_a_plugin_tells_is_short_and_steers_nothing() {
    let bench = Bench::new();
    let Err(failure) = bench.call("forge", json!({})).await else { panic!("it fails") };
    let Answer::Observed(Ok(Observation::Unknown(why))) = bench.ask("forge", json!({}), Purpose::Observe).await else {
        panic!("it does not know")
    };
    let reason = failure.reason();
    for text in [&reason.message, &why] {
        assert!(text.len() < 4200 && text.lines().count() <= 52, "{} bytes, {text}", text.len());
    }
    assert!(reason.code.len() < 80, "{}", reason.code);
    for text in [&reason.message, &reason.code, &why] {
        assert!(!text.chars().any(|c| c != '\n' && steers(c)), "{text:?}");
    }
    assert!(!reason.code.contains('\n'), "{:?}", reason.code);
}

#[tokio::test]
async fn what_does_not_end_is_ended_at_the_deadline_or_when_cancelled() {
    let mut bench = Bench::new();
    for action in ["loop", "sleep-for-ever"] {
        bench.deadline = Some(Timestamp::now() + SignedDuration::from_millis(50));
        bench.check(bench.call(action, json!({})).await, FailureKind::Transient, "host-deadline");
        bench.deadline = None;
        let cancelling = async {
            tokio::task::yield_now().await;
            bench.cancel.cancel();
        };
        let (result, ()) = tokio::join!(bench.call(action, json!({})), cancelling);
        bench.check(result, FailureKind::Transient, "host-cancelled");
        bench.cancel = CancellationToken::new();
        bench.still_works().await;
    }
}

#[tokio::test]
async fn what_was_not_granted_is_denied() {
    let bench = Bench::new();
    let outside = format!("{}/work/../cache", bench.folder.path().display());
    let inside = format!("{}/work/file", bench.folder.path().display());
    let cases = [
        ("ask-other-role", json!({ "role": "primary" }), "host-refused-role"),
        ("write-in-read", json!({ "server": "primary", "sql": "DELETE FROM orders" }), "host-refused-role"),
        ("post-elsewhere", json!({ "role": "oncall" }), "host-refused-role"),
        ("exfiltrate-path", json!({ "machine": "lab", "path": "/etc/passwd" }), "machine-path"),
        ("exfiltrate-path", json!({ "machine": "lab", "path": outside }), "machine-path"),
        ("destroy-in-read", json!({ "machine": "lab", "path": inside }), "host-refused-effect"),
        ("run-program", json!({ "machine": "lab", "program": "sh", "arguments": ["-c", "id"] }), "machine-program"),
        ("run-program", json!({ "machine": "lab", "program": "cp", "arguments": ["a", "b"] }), "host-refused-effect"),
        (
            "run-program",
            json!({ "machine": "lab", "program": "sha256sum", "arguments": ["/etc/passwd"] }),
            "machine-argument",
        ),
    ];
    for (action, parameters, code) in cases {
        bench.check(bench.call(action, parameters).await, FailureKind::Denied, code);
    }
    assert_eq!(fs::read_dir(bench.folder.path().join("work")).unwrap().count(), 0);
}

/// Lets so many changes through, and then the lease is lost.
struct LostAfter(AtomicUsize);

impl Fence for LostAfter {
    fn check(&self) -> Result<(), Reason> {
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Reason::new("run-lease-lost", "it was taken over"))
    }
}

#[tokio::test]
async fn a_call_that_loses_its_lease_changes_nothing_more_and_goes_on_reading() {
    let fence = Arc::new(LostAfter(AtomicUsize::new(2)));
    let bench = Bench { granted: Effect::Mutate, fence, ..Bench::new() };
    let work = bench.folder.path().join("work");
    let result = bench.call("write-on", json!({ "machine": "lab", "folder": work.display().to_string() })).await;
    bench.check(result, FailureKind::Denied, "run-lease-lost");
    let mut left: Vec<_> = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["1", "2"]);
    let notes = bench.notes.lock().unwrap();
    let said = |note: &Note| if let Note::Log { message, .. } = note { message.clone() } else { format!("{note:?}") };
    let said: Vec<_> = notes.iter().map(said).collect();
    assert_eq!(said, ["1 files after 1", "2 files after 2", "2 files after 3", "2 files after 4"]);
}

#[tokio::test]
async fn a_flood_of_notes_is_thinned_out() {
    let bench = Bench::new();
    assert_eq!(bench.call("flood-log", json!({})).await, Ok(json!({})));
    let notes = bench.notes.lock().unwrap();
    let progress = notes.iter().filter(|note| matches!(note, Note::Progress { .. })).count();
    assert!((1..10_000).contains(&progress), "{progress} progress notes");
    assert_eq!(notes.len() - progress, 10_001);
    let longest = notes.iter().map(|note| if let Note::Log { message, .. } = note { message.len() } else { 0 }).max();
    assert!(longest < Some(4200), "{longest:?}");
}

#[tokio::test]
async fn more_calls_than_slots_wait_for_each_other() {
    let bench = Bench::new();
    let calls = (0..40).map(|_| bench.call("nothing", json!({})));
    for result in futures::future::join_all(calls).await {
        assert_eq!(result, Ok(json!({})));
    }
}

#[test]
fn a_plugin_is_what_it_imports() {
    let bench = Bench::new();
    let [plugin] = &bench.host.plugins()[..] else { panic!("one plugin") };
    let mut imports: Vec<_> = plugin.imports.iter().filter(|import| !import.contains("/types@")).collect();
    imports.sort();
    assert_eq!(
        imports,
        [
            "lifeboat:http/http@0.1.0",
            "lifeboat:machine/machine@0.1.0",
            "lifeboat:postgres/postgres@0.1.0",
            "lifeboat:runtime/runtime@0.1.0"
        ]
    );
    assert!(plugin.digest.starts_with("sha256:"));
    assert_eq!(bench.host.catalogue().iter().count(), plugin.actions.len());
}

#[test]
fn an_action_that_is_served_in_front_of_the_host_can_be_bound_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::new(HostOptions { plugins: Vec::new(), ..hostile(folder.path()) }).unwrap();
    let action = json!({ "name": "drill/hold", "doc": "It.", "parameters": [], "outputs": [], "effect": "read",
        "idempotent": true, "observable": false });
    let behind = host.clone().behind([serde_json::from_value::<Action>(action).unwrap()]);
    let text = "lifeboat: 1\nid: A\nname: A\nsteps:\n  - { id: hold, uses: drill/hold }\n";
    let file = SourceFile { name: "a.yaml".to_owned(), text: text.to_owned() };
    assert!(compile(&file, &host.catalogue()).plan.is_none(), "the host alone has no such action");
    let plan = compile(&file, &behind.catalogue()).plan.unwrap();
    assert!(behind.bind(&plan, Bindings::default()).is_ok());
    let refused = host.bind(&plan, Bindings::default()).err();
    assert_eq!(refused.map(|error| error.code()), Some("host-action-unknown"));
}

#[test]
fn what_is_no_plugin_is_refused_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str, bytes: &[u8]| {
        let plugin = Component { name: name.to_owned(), bytes: bytes.to_vec() };
        let plugins = vec![plugin.clone(), plugin];
        Host::new(HostOptions { cache: folder.path().join("cache"), plugins, limits: limits() }).err().map(|e| e.code())
    };
    let empty = [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
    assert_eq!(load("rubbish", b"rubbish"), Some("host-not-a-plugin"));
    assert_eq!(load("empty", &empty), Some("host-not-a-plugin"));
    assert_eq!(load("hostile", lifeboat_bundle::HOSTILE), Some("host-plugin-description"));
    let wasi = wasi_component();
    assert_eq!(load("wasi", &wasi), Some("host-import-unknown"));
}

/// `(component (import "wasi:cli/environment@0.2.0" (instance)))`, encoded.
fn wasi_component() -> Vec<u8> {
    let name = b"wasi:cli/environment@0.2.0";
    let mut component = vec![0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0];
    // A type section with one instance type without declarations, then an import section with one instance of it.
    component.extend([0x07, 0x03, 0x01, 0x42, 0x00]);
    component.extend([0x0a, u8::try_from(name.len()).unwrap() + 5, 0x01, 0x00, u8::try_from(name.len()).unwrap()]);
    component.extend(name);
    component.extend([0x05, 0x00]);
    component
}
