//! The right to work in the folder `work` of a machine that is not this one, kept by a program there that holds a locked file for as
//! long as its standard input is open: it ends with the engine and with the connection, and nobody has to take it over.

use std::process::Stdio;

use lifeboat_core::bindings::Machine;
use lifeboat_programs::Group;
use lifeboat_runtime::holder::Holder;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{ChildStdin, ChildStdout},
};

use super::{
    command::{self, Stdin},
    failed,
    files::{self, RESOLVE},
    folder, running,
};
use crate::{call::CallContext, wit::lifeboat::machine::machine::Error};

/// No run takes so long; the lock of one that does is taken again before its next change.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 60 * 60);
/// How long an answer can be that names another holder.
const ANSWER_BYTES_MAX: u64 = 8 << 10;

/// `$3` is who holds it. The file is that of engines on the machine itself, which lock it in the same way. A file that another
/// user left, and that nobody locks, is replaced. Whoever releases it removes it while it is still locked; the next holder sees
/// that another file is there by now, or none.
const HOLD: &str = r#"path=$real/.lifeboat-lease
command -v flock >/dev/null || { echo "not the program flock is not installed"; exit 0; }
looks=0
while :; do
    [ -e "$path" ] || ( umask 022; : >>"$path" ) 2>/dev/null || { echo "not $path cannot be made"; exit 0; }
    if [ ! -r "$path" ]; then
        [ -e "$path" ] || continue
        echo "not $path cannot be read"
        exit 0
    fi
    { command exec 9<"$path"; } 2>/dev/null || continue
    if ! flock -n 9; then
        looks=$((looks + 1))
        [ $looks -lt 5 ] && { sleep 0.01; continue; }
        printf 'by %s\n' "$(head -c 4096 -- "$path" | tr -d '\n')"
        exit 0
    fi
    [ "$path" -ef /dev/fd/9 ] || continue
    [ -w "$path" ] && break
    rm -f -- "$path" 2>/dev/null || break
done
( printf %s "$3" >"$path" ) 2>/dev/null
echo held
cat >/dev/null
rm -f -- "$path""#;

/// What came of trying to hold a folder.
pub(super) enum Taken {
    /// It is ours for as long as this is kept.
    Held(Box<WorkLease>),
    /// Somebody else has it, who may not have signed it.
    By(Option<Box<Holder>>),
    /// It cannot be held, and why.
    Not(String),
    /// There is no such folder: whoever needs it finds it missing.
    Missing,
}

/// A program that holds the folder. It ends when this is dropped.
pub(super) struct WorkLease {
    program: Group,
    _alive: ChildStdin,
    _answers: BufReader<ChildStdout>,
}

impl WorkLease {
    /// Whether the program, or the connection to it, is gone, and the lock with it.
    pub(super) fn is_lost(&mut self) -> bool {
        self.program.has_ended()
    }
}

/// Tries to hold the folder.
pub(super) async fn take(
    context: &CallContext,
    role: &str,
    machine: &Machine,
    work: &str,
    holder: &Holder,
) -> Result<Taken, Error> {
    let broken = |problem: String| failed("machine-command", format!("on `{role}`: {problem}"));
    let sign = serde_json::to_string(holder).map_err(|error| broken(error.to_string()))?;
    let work = folder::normal(work);
    let words = ["sh", "-c", &format!("{RESOLVE}{HOLD}"), "sh", &work, &work, &sign].map(str::to_owned);
    let mut command = command::on((machine, false), &words, Stdin::Data, LONGEST).map_err(broken)?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        broken(format!("`{}` cannot be started: {error}", command.as_std().get_program().display()))
    })?;
    let (alive, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(alive), Some(stdout), Some(stderr)) = (alive, stdout, stderr) else {
        return Err(broken("the program has no pipe".to_owned()));
    };
    let stderr = tokio::spawn(running::tail(stderr, ANSWER_BYTES_MAX as usize));
    let mut program = Group::of(child);
    let mut answers = BufReader::new(stdout);
    let mut line = String::new();
    let reading = async {
        use tokio::io::AsyncReadExt;
        (&mut answers).take(ANSWER_BYTES_MAX).read_line(&mut line).await
    };
    match context.bounded(reading).await {
        Ok(read) => read.map_err(|error| broken(error.to_string()))?,
        Err(cut) => return Err(Error::TimedOut(format!("{work}: {}", cut.reason().message))),
    };
    let line = line.trim_end();
    if line == "held" {
        return Ok(Taken::Held(Box::new(WorkLease { program, _alive: alive, _answers: answers })));
    }
    if let Some(other) = line.strip_prefix("by ") {
        return Ok(Taken::By(serde_json::from_str(other).ok().map(Box::new)));
    }
    if let Some(why) = line.strip_prefix("not ") {
        return Ok(Taken::Not(why.to_owned()));
    }
    drop(alive);
    let status = program.wait().await.map_err(|error| broken(error.to_string()))?;
    let said = String::from_utf8_lossy(&stderr.await.unwrap_or_default()).into_owned();
    Ok(match running::code(status) {
        files::NOT_FOUND => Taken::Missing,
        _ => Taken::Not(said.lines().last().unwrap_or("the machine does not answer").to_owned()),
    })
}
