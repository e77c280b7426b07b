//! Each wall around a restored copy of a real server: which one stands is named, what a superuser of the copy reaches from behind it,
//! and that nothing of it stays behind.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    ssh,
    stand::{Stand, connect, files_below},
};
use tokio_postgres::Client;

/// Restores a copy behind a wall.
const RESTORE: &str = r#"lifeboat: 1
id: RESTORE-003
name: Restore a copy behind a wall
inputs:
  wall: { type: string, description: "The wall" }
  promote: { type: bool, description: "Promote it" }
targets:
  primary: { kind: postgres, access: write, description: "The server" }
  recovery: { kind: machine, access: destroy, description: "Where the copy is made" }
steps:
  - id: archive
    uses: pg/switch-wal
    with: { server: primary, machine: recovery }
    timeout: 2m
  - id: restore
    uses: pg/restore
    with:
      machine: recovery
      server: primary
      target: { latest: true }
      wall: "${{ inputs.wall }}"
      promote: "${{ inputs.promote }}"
    timeout: 5m
    undo:
      uses: pg/destroy-instance
      with: { machine: recovery }
  - id: look
    uses: pg/check
    with:
      machine: recovery
      instance: "${{ steps.restore.outputs.instance }}"
      assertions:
        - { name: rows, sql: "SELECT count(*) FROM public.customers", expect: 20 }
        - { name: only the catalog is looked through, sql: "SELECT current_setting('search_path')", expect: pg_catalog }
    timeout: 1m
"#;

/// The user of servers behind the walls by another user.
const STRANGER: u32 = 58_231;

struct Fixture {
    stand: Stand,
    server: Client,
    runbook: PathBuf,
    /// Files of the primary's user that nobody else sees.
    marks: PathBuf,
}

impl Fixture {
    async fn new() -> Result<Self> {
        let stand = Stand::loaded(20).await?;
        let server = connect(&stand.testbed.observer()).await?;
        let runbook = stand.home.path().join("restore.yaml");
        fs::write(&runbook, RESTORE)?;
        let marks = stand.testbed.folder().join("primary/marks");
        let fixture = Self { stand, server, runbook, marks };
        let marks = fixture.marks.display();
        fixture
            .shell(&format!("mkdir -m 700 {marks} && echo secret >{marks}/secret && chmod 600 {marks}/secret"))
            .await?;
        Ok(fixture)
    }

    /// Runs a command as the user of the server.
    async fn shell(&self, command: &str) -> Result<()> {
        let quoted = command.replace('\'', "''");
        // A program that does not read what it is given may end before that is written, which is an error.
        Ok(self.server.batch_execute(&format!("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; {quoted}'")).await?)
    }

    /// Lets every user read the archive, and reach the folder `work`.
    async fn open_archive(&self) -> Result<()> {
        let archive = self.stand.testbed.archive_folder().display().to_string();
        let command = format!("test -e {archive}/%f || install -m 644 %p {archive}/%f").replace('\'', "''");
        self.server.batch_execute(&format!("ALTER SYSTEM SET archive_command = '{command}'")).await?;
        self.server.batch_execute("SELECT pg_reload_conf()").await?;
        self.shell(&format!("chmod -R go+rX {archive}")).await?;
        let root = self.stand.testbed.folder();
        for folder in ["", "primary", "recovery", "recovery/work"] {
            fs::set_permissions(root.join(folder), fs::Permissions::from_mode(0o711))?;
        }
        Ok(())
    }

    fn run(&self, bindings: &Path, wall: &str, promote: bool) -> Result<Output> {
        let mut command = self.stand.lifeboat(&["run"]);
        command.arg(&self.runbook).arg("--bindings").arg(bindings);
        command.args(["--input", &format!("wall={wall}"), "--input", &format!("promote={promote}")]);
        if bindings != self.stand.bindings {
            command.env("PATH", ssh::path(self.stand.home.path())?);
        }
        Ok(command.output()?)
    }

    /// What a superuser of the copy reaches of the primary from inside.
    async fn reached(&self, instance: &str) -> Result<Vec<&'static str>> {
        let copy = connect(&self.stand.copy_of(instance)?).await?;
        let port = self.stand.testbed.observer().get_ports()[0];
        let postmaster: i32 = self.postmaster()?;
        let (marks, sockets) = (self.marks.display(), self.stand.testbed.folder().join("primary/sockets"));
        let tries = [
            ("write", format!("touch {marks}/reached")),
            ("read", format!("cat {marks}/secret >/dev/null")),
            ("signal", format!("kill -0 {postmaster}")),
            ("tcp", format!("bash -c \"exec 3<>/dev/tcp/127.0.0.1/{port}\"")),
            (
                "socket",
                format!("psql -XAtq -h {} -p {port} -U postgres -d postgres -c \"SELECT 1\"", sockets.display()),
            ),
        ];
        let mut reached = Vec::new();
        for (what, command) in tries {
            let sql =
                format!("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; {} >/dev/null 2>&1'", command.replace('\'', "''"));
            if copy.batch_execute(&sql).await.is_ok() {
                reached.push(what);
            }
        }
        ensure!(self.marks.join("reached").exists() == reached.contains(&"write"), "{reached:?}");
        self.shell(&format!("rm -f {marks}/reached")).await?;
        Ok(reached)
    }

    fn postmaster(&self) -> Result<i32> {
        let file = fs::read_to_string(self.stand.testbed.folder().join("primary/data/postmaster.pid"))?;
        file.lines().next().and_then(|line| line.parse().ok()).context("a number")
    }

    /// The one copy there is.
    fn copy(&self) -> Result<String> {
        let copies = self.stand.instances();
        ensure!(copies.len() == 1, "{copies:?}");
        copies.into_iter().next().context("a copy")
    }

    /// Restores behind a wall, looks at what is reached, and removes the copy.
    async fn restore(&self, bindings: &Path, wall: &str, promote: bool) -> Result<Vec<&'static str>> {
        let run = self.run(bindings, wall, promote)?;
        ensure!(run.status.success(), "{wall}, promote: {promote}: {}", said(&run));
        let journals = files_below(&self.stand.home.path().join("state/runs"));
        let named = format!("\"wall\":\"{wall}\"");
        let is_named = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|journal| journal.contains(&named));
        ensure!(journals.iter().any(is_named), "no journal names the wall {wall}");
        let copy = self.copy()?;
        let reached = self.reached(&copy).await?;
        let mut remove = self.stand.lifeboat(&["copies", "remove", &copy, "--yes"]);
        if bindings != self.stand.bindings {
            remove.env("PATH", ssh::path(self.stand.home.path())?);
        }
        let removed = remove.output()?;
        ensure!(removed.status.success(), "{wall}: {}", said(&removed));
        ensure!(self.stand.instances().is_empty(), "{wall}: {:?} stays behind", self.stand.instances());
        ensure!(strangers() == 0, "{wall}: processes of the user {STRANGER} go on");
        Ok(reached)
    }

    fn refused(&self, bindings: &Path, wall: &str, texts: &[&str]) -> Result<()> {
        let run = self.run(bindings, wall, false)?;
        let said = said(&run);
        ensure!(!run.status.success(), "{wall} stands");
        let lacking: Vec<_> = texts.iter().filter(|text| !said.contains(**text)).collect();
        ensure!(lacking.is_empty(), "{lacking:?} are not said:\n{said}");
        ensure!(self.stand.instances().is_empty(), "{wall}: {:?} stays behind", self.stand.instances());
        Ok(())
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How many processes of the user of copies do not end by themselves: one that was killed a moment ago may still be within its last system call.
fn strangers() -> usize {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
        let left = processes.filter(|entry| entry.metadata().is_ok_and(|it| it.uid() == STRANGER)).count();
        if left == 0 || Instant::now() > until {
            return left;
        }
    }
}

/// Whether the programs are there, and this is root where that is needed.
fn can(programs: &[&str], root: bool) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    programs.iter().all(has) && (is_root || !root)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reached_from_behind_the_wall_that_stands() -> Result<()> {
    let fixture = Fixture::new().await?;
    let here = fixture.stand.bindings.clone();
    // What is tried is reached where nothing is in between: else the rest would prove nothing.
    let all = ["write", "read", "signal", "tcp", "socket"];
    ensure!(fixture.restore(&here, "none", true).await? == all);
    fixture.refused(&here, "brick", &["machine-wall", "unknown wall `brick`", "user-net"])?;
    if can(&["bwrap"], false) {
        for promote in [false, true] {
            ensure!(fixture.restore(&here, "bwrap", promote).await?.is_empty(), "bwrap");
        }
    } else {
        eprintln!("SKIPPED: there is no bubblewrap");
    }
    // What a kernel cannot hold yet is reached; files never are.
    for promote in [false, true] {
        let reached = fixture.restore(&here, "landlock", promote).await?;
        ensure!(!reached.contains(&"write") && !reached.contains(&"read"), "landlock: {reached:?}");
    }
    if can(&["setpriv", "unshare"], true) {
        fixture.refused(&here, "user", &["machine-wall", &format!("the user {STRANGER} cannot reach ")])?;
        fixture.open_archive().await?;
        for promote in [false, true] {
            ensure!(fixture.restore(&here, "user-net", promote).await?.is_empty(), "user-net");
            ensure!(fixture.restore(&here, "user", promote).await? == ["tcp"], "user");
        }
    } else {
        eprintln!("SKIPPED: the walls by another user need root, setpriv and unshare");
    }
    fixture.stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_reached_over_ssh_has_a_wall_around_its_files() -> Result<()> {
    let fixture = Fixture::new().await?;
    let there = ssh::bindings(&fixture.stand.bindings, fixture.stand.home.path())?;
    ensure!(fixture.restore(&there, "none", true).await? == ["write", "read", "signal", "tcp", "socket"]);
    fixture.refused(&there, "landlock", &["unknown wall `landlock`", "bwrap-files, user, none"])?;
    if can(&["bwrap"], false) {
        for promote in [false, true] {
            ensure!(fixture.restore(&there, "bwrap-files", promote).await? == ["tcp"], "bwrap-files");
        }
    } else {
        eprintln!("SKIPPED: there is no bubblewrap");
    }
    fixture.stand.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablespace_that_no_folder_takes_the_place_of_is_refused_before_anything_is_copied() -> Result<()> {
    let fixture = Fixture::new().await?;
    let here = fixture.stand.bindings.clone();
    let late = fixture.marks.display().to_string();
    fixture.shell(&format!("mkdir -m 700 {late}/late")).await?;
    fixture.server.batch_execute(&format!("CREATE TABLESPACE late LOCATION '{late}/late'")).await?;
    for wall in ["none", "landlock"] {
        fixture.refused(&here, wall, &["pg-not-isolated", &format!("{late}/late")])?;
    }
    fixture.stand.stop().await
}
