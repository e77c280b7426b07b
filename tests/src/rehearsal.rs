//! A drill as a user holds it, on few rows, in folders of its own: nothing of it may be left outside of them.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use lifeboat_simulator::drill::DrillRequest;
use tempfile::TempDir;

use crate::{lifeboat, repository};

/// Each drill needs the machine to itself: its writers have a schedule to keep.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Waits until no other drill of this process is held.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The folders of a drill.
pub struct Rehearsal {
    /// Where its servers live.
    pub temporary: TempDir,
    /// The engine's state.
    pub home: TempDir,
    file: PathBuf,
}

/// How a drill ended.
pub struct Ended {
    /// Its exit code.
    pub status: ExitStatus,
    /// What it said on standard output.
    pub out: String,
    /// What it said on standard error.
    pub said: String,
}

impl Rehearsal {
    /// DR-003 as it is shipped, but for a size and windows that let it end within seconds.
    pub fn small() -> Result<Self> {
        Self::changed(&[])
    }

    /// The same with other words in its file: the first of each pair, which must be there, becomes the second.
    pub fn changed(edits: &[(&str, &str)]) -> Result<Self> {
        let small = [
            (
                "customers: 40000, orders: 60000, order_items: 110000",
                "customers: 4000, orders: 6000, order_items: 9000",
            ),
            ("damaged_customers: 12000", "damaged_customers: 1200"),
            ("steady: 8s", "steady: 3s"),
            ("stable: 5s", "stable: 2s"),
        ];
        Self::of("workflows/drills/dr-003.yaml", &[&small, edits].concat())
    }

    /// A shipped drill with other words in its file.
    pub fn of(shipped: &str, edits: &[(&str, &str)]) -> Result<Self> {
        let (temporary, home) = (tempfile::tempdir()?, tempfile::tempdir()?);
        // PostgreSQL runs as a user of its own where the tests run as root.
        fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o755))?;
        let mut text = fs::read_to_string(repository().join(shipped))?;
        for (from, to) in edits {
            ensure!(text.contains(from), "the shipped drill has no `{from}`");
            text = text.replacen(from, to, 1);
        }
        // The file lies elsewhere than its runbooks.
        let workflows = repository().join("workflows");
        let text = text.replace("runbook: ../", &format!("runbook: {}/", workflows.display()));
        let file = home.path().join("drill.yaml");
        fs::write(&file, text)?;
        Ok(Self { temporary, home, file })
    }

    /// The drill file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// `lifeboat drill` of it with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let file = self.file.to_string_lossy();
        self.lifeboat(&[&["drill", &*file][..], arguments].concat())
    }

    /// The binary with these arguments, in a process group of its own as a shell gives it one.
    pub fn lifeboat(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(lifeboat());
        command.args(arguments).process_group(0);
        command.env("TMPDIR", self.temporary.path()).env("LIFEBOAT_HOME", self.state());
        command.current_dir(repository()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What holds it in this process, for what no file can say. Nothing but its state is in the folders of the rehearsal then.
    pub fn request(&self) -> Result<DrillRequest> {
        Ok(DrillRequest::new(&self.file.to_string_lossy(), self.state())?)
    }

    /// The engine's state folder.
    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Holds it, and shows each line on standard error to `watch`, with the number of the process.
    pub fn hold(&self, arguments: &[&str], watch: impl FnMut(&str, u32) -> Result<()>) -> Result<Ended> {
        watched(self.command(arguments), watch)
    }

    /// The folder of the testbed that stands.
    pub fn testbed(&self) -> Result<PathBuf> {
        let mut entries = fs::read_dir(self.temporary.path())?.flatten().map(|entry| entry.path());
        entries.find(|path| path.join("testbed.json").exists()).context("no testbed stands")
    }

    /// The run folders, oldest first.
    pub fn runs(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(self.state().join("runs"))?.flatten();
        let mut folders: Vec<_> =
            entries.filter_map(|entry| Some((entry.metadata().ok()?.created().ok()?, entry.path()))).collect();
        folders.sort();
        Ok(folders.into_iter().map(|(_, path)| path).collect())
    }

    /// What is left of its servers: folders, processes that name one or work in one.
    pub fn left(&self) -> Result<Vec<String>> {
        let below = self.temporary.path();
        let mut left: Vec<String> =
            fs::read_dir(below)?.flatten().map(|entry| entry.path().display().to_string()).collect();
        for process in fs::read_dir("/proc")?.flatten().map(|entry| entry.path()) {
            let line = fs::read(process.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let works_there = fs::read_link(process.join("cwd")).is_ok_and(|folder| folder.starts_with(below));
            if works_there || line.contains(&*below.to_string_lossy()) {
                left.push(format!("{}: {line}", process.display()));
            }
        }
        Ok(left)
    }
}

/// Runs the command to its end, and shows each line on standard error to `watch`, with the number of the process.
pub fn watched(mut command: Command, mut watch: impl FnMut(&str, u32) -> Result<()>) -> Result<Ended> {
    let mut child = command.spawn()?;
    // Read meanwhile: a long report fills the pipe, and the command would wait for ever.
    let mut stdout = child.stdout.take().context("stdout is piped")?;
    let out = thread::spawn(move || {
        let mut out = String::new();
        stdout.read_to_string(&mut out).map(|_| out)
    });
    let mut said = Vec::new();
    for line in BufReader::new(child.stderr.take().context("stderr is piped")?).lines() {
        let line = line?;
        watch(&line, child.id())?;
        said.push(line);
    }
    let status = child.wait()?;
    let out = out.join().map_err(|_| anyhow!("the reader of stdout panicked"))??;
    Ok(Ended { status, out, said: said.join("\n") })
}

/// Sends Ctrl-C as a terminal does: to the whole process group.
pub fn interrupt(group: u32) -> Result<()> {
    let status = Command::new("kill").args(["-INT", "--", &format!("-{group}")]).status()?;
    ensure!(status.success(), "no signal was sent: {status}");
    Ok(())
}

/// `kill -9` of the server whose data folder this is.
pub fn kill_server(data: &Path) -> Result<()> {
    let pid = fs::read_to_string(data.join("postmaster.pid"))?;
    let pid = pid.lines().next().context("the file names the postmaster")?.to_owned();
    ensure!(Command::new("kill").args(["-KILL", &pid]).status()?.success(), "{pid} cannot be killed");
    Ok(())
}
