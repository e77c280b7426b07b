//! Testbeds on real servers: they come up, serve, can be hurt, and leave nothing behind however they end.

#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as the test itself does")]

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lifeboat_core::{
    bindings::{self, System},
    diagnostic::SourceFile,
};
use lifeboat_simulator::{
    proxy::Verdict,
    testbed::{Backend, Door, Fidelity, Hindrance, OUTSIDE, OneServer, Side, Testbed, TestbedOptions, at_hand},
};
use tokio_postgres::{Client, Config, NoTls};

/// Set for the child process of the test of a killed owner.
const CHILD: &str = "LIFEBOAT_TEST_TESTBED_PARENT";

fn options(backend: Backend, parent: &Path) -> TestbedOptions {
    TestbedOptions { backend, folder: Some(parent.to_owned()), ..TestbedOptions::default() }
}

/// A folder that the server's user can enter.
fn parent() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Says so where a backend is missing.
#[expect(clippy::explicit_write, reason = "the test harness shows nothing of what a test that passes prints")]
fn can_run(backend: Backend) -> bool {
    let missing = at_hand(backend).err();
    if let Some(missing) = &missing {
        writeln!(std::io::stderr(), "SKIPPED, no {} testbed: {missing}", backend.as_str()).unwrap();
    }
    missing.is_none()
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn count(config: &Config) -> i64 {
    connect(config).await.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0)
}

/// Processes of servers that work below the folder.
fn servers_below(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    processes.filter(|process| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))).collect()
}

/// Containers and networks that belong to the testbed of that folder.
fn containers_of(folder: &Path) -> String {
    let id = folder.file_name().unwrap().to_str().unwrap().trim_start_matches("lifeboat-testbed-").to_lowercase();
    let filter = format!("label=org.lifeboat.testbed={id}");
    let listed = |list: &[&str]| {
        let output = Command::new("docker").args(list).args(["--quiet", "--filter", &filter]).output();
        output.map(|output| String::from_utf8(output.stdout).unwrap()).unwrap_or_default()
    };
    listed(&["ps", "--all"]) + &listed(&["network", "ls"])
}

fn assert_gone(backend: Backend, folder: &Path) {
    assert!(!folder.exists(), "{} is left", folder.display());
    assert_eq!(servers_below(folder), Vec::<PathBuf>::new());
    if backend == Backend::Container {
        assert_eq!(containers_of(folder), "");
    }
}

/// Start, write through the proxy, back up, archive, kill, start again, stop; in a folder with an odd name.
async fn check_life(backend: Backend, major: Option<u16>) {
    let parent = parent();
    let odd = parent.path().join("it's 100% odd");
    let testbed =
        OneServer::start(1, TestbedOptions { postgres_major: major, ..options(backend, &odd) }).await.unwrap();
    let application = connect(&testbed.application()).await;
    application.batch_execute("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)").await.unwrap();

    let backup = testbed.base_backup("first").await.unwrap();
    assert!(backup.bytes > 1_000_000 && backup.started < backup.ended, "{backup:?}");
    assert!(backup.folder.join("backup_manifest").exists());
    application.batch_execute("INSERT INTO t VALUES (101)").await.unwrap();
    archived(&testbed).await;
    let cut =
        testbed.network().impose(Hindrance::between(&Side::Anywhere, &Side::System("primary".into()), Verdict::Cut));
    assert!(testbed.application().connect(NoTls).await.is_err(), "the application's path leads through a proxy");
    assert!(testbed.observer().connect(NoTls).await.is_ok(), "and the observer's does not");
    testbed.network().lift(cut);

    testbed.kill_primary().await.unwrap();
    assert!(testbed.observer().connect(NoTls).await.is_err());
    testbed.start_primary().await.unwrap();
    assert_eq!(count(&testbed.application()).await, 101);
    testbed.stop_primary().await.unwrap();
    testbed.start_primary().await.unwrap();
    assert_eq!(count(&testbed.observer()).await, 101);

    let systems = testbed.infos();
    let primary = systems.iter().find(|system| system.role == "primary").unwrap();
    assert!(primary.version.starts_with("PostgreSQL 1") && primary.fidelity == Fidelity::Real, "{primary:?}");
    if let Some(major) = major {
        assert!(primary.version.contains(&format!("PostgreSQL {major}.")), "{primary:?}");
    }
    let folder = testbed.folder().to_owned();
    assert_eq!(servers_below(&folder).is_empty(), backend == Backend::Container);
    testbed.stop().await.unwrap();
    assert_gone(backend, &folder);
}

/// The server itself says when a segment is in the archive.
async fn archived(testbed: &OneServer) {
    let observer = connect(&testbed.observer()).await;
    let segment: String = observer.query_one("SELECT pg_walfile_name(pg_switch_wal() - 1)", &[]).await.unwrap().get(0);
    let sql = "SELECT coalesce(last_archived_wal >= $1, false) FROM pg_stat_archiver";
    while !observer.query_one(sql, &[&segment]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
    assert_eq!(fs::metadata(testbed.archive_folder().join(segment)).unwrap().len(), 16 * 1024 * 1024);
}

async fn check_panic(backend: Backend) {
    let parent = parent();
    let options = options(backend, parent.path());
    let (tell, told) = tokio::sync::oneshot::channel();
    let doomed = tokio::spawn(async move {
        let testbed = OneServer::start(1, options).await.unwrap();
        tell.send(testbed.folder().to_owned()).unwrap();
        panic!("a panic in the middle of a drill");
    });
    assert!(doomed.await.unwrap_err().is_panic());
    assert_gone(backend, &told.await.unwrap());
}

/// Two regions: a server, a synchronous standby across, and the application's endpoint.
fn two_regions(backend: Backend, parent: &Path) -> TestbedOptions {
    let systems = serde_json::json!({
        "east": { "kind": "postgres", "region": "east", "archive": { "interval": "1s", "in_production": "5m" } },
        "west": { "kind": "standby", "of": "east", "region": "west", "mode": "sync" },
        "app": { "kind": "switch", "to": "east" },
    });
    TestbedOptions { systems: serde_json::from_value(systems).unwrap(), ..options(backend, parent) }
}

/// Waits until the server answers the question with true.
async fn until(server: &Client, sql: &str) {
    while !server.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
        tokio::task::yield_now().await;
    }
}

/// A region that is cut off holds up synchronous commits, and lets them go when it is back; the application follows the switch to the
/// other region; nothing is left at the end.
async fn check_regions(backend: Backend) {
    let parent = parent();
    let testbed = Testbed::start(two_regions(backend, parent.path())).await.unwrap();
    let login = |system, door| testbed.login(system, door).unwrap();
    let (east, west) = (connect(&login("east", Door::Observer)).await, connect(&login("west", Door::Observer)).await);
    assert!(west.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap().get::<_, bool>(0));

    let endpoint = login("east", testbed.door(Some("app")));
    let application = connect(&endpoint).await;
    application.batch_execute("CREATE TABLE t (n int); INSERT INTO t SELECT generate_series(1, 100)").await.unwrap();
    let (here, there) = (Side::Region("east".into()), Side::Region("west".into()));
    let cut = testbed.network().impose(Hindrance::between(&here, &there, Verdict::BlackHole));
    let waiting = tokio::spawn(async move {
        application.batch_execute("INSERT INTO t VALUES (101)").await.unwrap();
    });
    until(&east, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'").await;
    assert!(!waiting.is_finished(), "the commit waits for the standby");
    testbed.network().lift(cut);
    waiting.await.unwrap();
    until(&west, "SELECT count(*) = 101 FROM t").await;

    let cut = testbed.network().impose(Hindrance::between(&here, &Side::Region(OUTSIDE.into()), Verdict::Cut));
    assert!(endpoint.connect(NoTls).await.is_err(), "who is outside does not reach the region");
    let roles = BTreeMap::from([("standby".to_owned(), "west".to_owned())]);
    let text = testbed.bindings(&roles);
    let parsed = bindings::parse(&SourceFile { name: "bindings.yaml".into(), text });
    let targets = parsed.bindings.unwrap().targets;
    let System::Postgres(standby) = &targets.iter().find(|(role, _)| role.as_str() == "standby").unwrap().1.system
    else {
        panic!("the standby is no server");
    };
    assert_eq!(targets.keys().map(|role| role.as_str()).collect::<Vec<_>>(), ["app", "east", "standby", "west"]);
    let switch = testbed.systems().find_map(|(_, system)| system.switch()).unwrap();
    switch.switch(&format!("{}:{}", standby.host, standby.port));
    let elsewhere = connect(&endpoint).await;
    assert!(elsewhere.query_one("SELECT pg_is_in_recovery()", &[]).await.unwrap().get::<_, bool>(0));
    testbed.network().lift(cut);

    testbed.server("west").unwrap().kill().await.unwrap();
    assert!(!testbed.server("west").unwrap().runs().await && testbed.server("east").unwrap().runs().await);
    testbed.server("west").unwrap().start().await.unwrap();
    assert_eq!(count(&login("west", Door::Observer)).await, 101);
    let folder = testbed.folder().to_owned();
    testbed.stop().await.unwrap();
    assert_gone(backend, &folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn process_regions() {
    if can_run(Backend::Process) {
        check_regions(Backend::Process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn container_regions() {
    if can_run(Backend::Container) {
        check_regions(Backend::Container).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_life() {
    if can_run(Backend::Process) {
        check_life(Backend::Process, None).await;
    }
}

/// Root hands the server to another user, who may not get everywhere; nothing must be left of the attempt.
#[tokio::test]
async fn a_folder_that_the_server_can_not_enter() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let parent = tempfile::tempdir().unwrap();
    fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if is_root && can_run(Backend::Process) {
        let error = OneServer::start(1, options(Backend::Process, parent.path())).await.unwrap_err();
        assert!(error.code() == "drill-testbed-folder" && error.to_string().contains("postgres"), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_version_that_nobody_has() {
    let parent = parent();
    if can_run(Backend::Process) {
        let options = TestbedOptions { postgres_major: Some(9999), ..options(Backend::Process, parent.path()) };
        let error = OneServer::start(1, options).await.unwrap_err();
        assert_eq!(error.code(), "drill-testbed-unavailable");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn process_panic() {
    if can_run(Backend::Process) {
        check_panic(Backend::Process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn container_life() {
    if can_run(Backend::Container) {
        check_life(Backend::Container, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn container_life_15() {
    if can_run(Backend::Container) {
        check_life(Backend::Container, Some(15)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn container_panic() {
    if can_run(Backend::Container) {
        check_panic(Backend::Container).await;
    }
}

/// Not a test of its own: the process that [`check_killed_owner`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_is_killed() {
    let Ok(parent) = std::env::var(CHILD) else { return };
    let (backend, parent) = parent.split_once(':').unwrap();
    let backend = if backend == "process" { Backend::Process } else { Backend::Container };
    let testbed = OneServer::start(1, options(backend, Path::new(parent))).await.unwrap();
    println!("\nfolder={}", testbed.folder().display());
    std::future::pending::<()>().await;
}

/// `kill -9` of the owner leaves everything standing; the next testbed sweeps it.
async fn check_killed_owner(backend: Backend) {
    let parent = parent();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_is_killed", "--nocapture"])
        .env(CHILD, format!("{}:{}", backend.as_str(), parent.path().display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let folder = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("folder=").map(PathBuf::from));
    child.kill().unwrap();
    child.wait().unwrap();
    let folder = folder.unwrap();
    assert!(folder.exists());

    let testbed = OneServer::start(1, options(backend, parent.path())).await.unwrap();
    assert!(!testbed.swept().is_empty());
    assert_gone(backend, &folder);
    testbed.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn process_killed_owner() {
    if can_run(Backend::Process) {
        check_killed_owner(Backend::Process).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn container_killed_owner() {
    if can_run(Backend::Container) {
        check_killed_owner(Backend::Container).await;
    }
}
