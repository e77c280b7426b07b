//! PgBouncer between the engine and a server: a lock that it would hand on with its session is never taken for one.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::stand::{Stand, connect};

/// Changes the server.
const SWITCH: &str = r#"lifeboat: 1
id: SWITCH-001
name: Close a segment
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the archive lies" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
    timeout: 1m
"#;

/// A pooler, which ends with the test.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        // Both fail where it has ended before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Pooler {
    /// Starts it before the server of the stand, and waits until it answers.
    async fn start(stand: &Stand, program: &Path, mode: &str, robin: bool) -> Result<(Self, u16)> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = stand.testbed.observer().get_ports()[0];
        let password = fs::read_to_string(stand.binding("password: file:")?)?;
        let user = stand.binding("user: ")?;
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user={user} password={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = any\npool_mode = {mode}\nserver_round_robin = {}\nmin_pool_size = 4\nunix_socket_dir =\n\
             ignore_startup_parameters = options,extra_float_digits\n",
            password.trim(),
            u8::from(robin),
        );
        // It refuses to run as root.
        let folder = stand.testbed.work_folder();
        let path = folder.join(format!("bouncer-{port}.ini"));
        fs::write(&path, text)?;
        let owner = fs::metadata(&folder)?;
        let owner = std::os::unix::fs::MetadataExt::uid(&owner);
        let mut command = Command::new(program);
        if Command::new("id").arg("-u").output()?.stdout == b"0\n" {
            use std::os::unix::process::CommandExt;
            std::os::unix::fs::chown(&path, Some(owner), None)?;
            command.uid(owner).gid(owner);
        }
        let child = command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut pooler = Self(child);
        let mut login = tokio_postgres::Config::new();
        login.host("127.0.0.1").port(port).user(&user).dbname("postgres");
        while connect(&login).await.is_err() {
            ensure!(pooler.0.try_wait()?.is_none(), "the pooler has ended");
        }
        Ok((pooler, port))
    }
}

fn run(stand: &Stand, port: u16) -> Result<Output> {
    let runbook = stand.home.path().join("switch.yaml");
    fs::write(&runbook, SWITCH)?;
    let server = stand.testbed.observer().get_ports()[0];
    let text = fs::read_to_string(&stand.bindings)?;
    ensure!(text.contains(&format!("port: {server}")), "{text}");
    let bindings = stand.home.path().join("pooled.yaml");
    fs::write(&bindings, text.replace(&format!("port: {server}"), &format!("port: {port}")))?;
    Ok(stand.lifeboat(&["run"]).arg(&runbook).arg("--bindings").arg(&bindings).output()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_another_one_the_next_time_holds_no_server() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let Some(program) = folders.map(|folder| folder.join("pgbouncer")).find(|program| program.exists()) else {
        eprintln!("SKIPPED: there is no PgBouncer");
        return Ok(());
    };
    let stand = Stand::loaded(20).await?;
    for (mode, robin, pooled) in [("session", false, false), ("transaction", false, true), ("transaction", true, true)]
    {
        let (pooler, port) = Pooler::start(&stand, &program, mode, robin).await.context(mode)?;
        let output = run(&stand, port)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let told = said.contains("run-lease-unproved") && said.contains("a pooler gives out sessions");
        ensure!(told == pooled, "pool_mode = {mode}, in turn: {robin}:\n{said}");
        drop(pooler);
    }
    stand.stop().await
}
