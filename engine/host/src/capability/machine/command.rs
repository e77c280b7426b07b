//! From a program to the command line that runs it where the binding says: here, in a container, over SSH.

use std::{path::PathBuf, time::Duration};

use lifeboat_core::bindings::{Machine, Via};
use tokio::process::Command;

use super::account;
use crate::capability::group;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs `"$@"` and ends it, with everything that it started in its group, as soon as standard input ends: when the engine
/// closes it, and also when the engine is killed, on this machine and across `docker exec` and `ssh`. A program that outlived
/// its engine would work against the resumed run.
const LIFELINE: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
child=$!
( read -r _ <&3; kill -KILL 0 ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait "$child"
code=$?
kill -KILL "$watch" 2>/dev/null
exit "$code""#;

/// What a program's standard input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdin {
    /// The program reads it.
    Data,
    /// It keeps the program alive.
    Lifeline,
}

/// The command that runs `words` (program and arguments) on the machine, by root or by the binding's user, for so long at most.
pub(super) fn on(
    (machine, as_root): (&Machine, bool),
    words: &[String],
    stdin: Stdin,
    longest: Duration,
) -> Result<Command, String> {
    let mut inner: Vec<String> = ["timeout", "-s", "KILL"].map(str::to_owned).to_vec();
    inner.push(format!("{:.3}", longest.as_secs_f64()));
    if stdin == Stdin::Lifeline {
        inner.extend(["sh", "-c", LIFELINE, "sh"].map(str::to_owned));
    }
    inner.extend_from_slice(words);
    let user = if as_root { Some("root") } else { machine.user.as_deref() };
    let mut command = match &machine.via {
        Via::Local => local(user, &inner)?,
        Via::Container { engine, name } => container(engine, name, user, &inner)?,
        Via::Ssh { host } => ssh(host, user, &inner)?,
    };
    group::first_of_its_own(&mut command);
    Ok(command)
}

/// Steps down to another user, its supplementary groups included, before it becomes the program that follows.
const STEP_DOWN: &str = "setpriv";

/// A program that is named by its path, and a user that it takes by itself, let the system library start it without copying this
/// process first: that copy costs some milliseconds, more than most programs run for.
fn local(user: Option<&str>, words: &[String]) -> Result<Command, String> {
    let account = user.map(account::of).transpose()?;
    let own = rustix::process::geteuid();
    let other = account.as_ref().filter(|_| own.is_root());
    let step_down = other.and_then(|account| Some((on_path(STEP_DOWN)?, account)));
    let mut command = match &step_down {
        Some((program, account)) => {
            let mut command = Command::new(program);
            command.args([format!("--reuid={}", account.uid), format!("--regid={}", account.gid)]);
            command.args(["--clear-groups", "--"]).args(words);
            command
        }
        None => {
            let mut command = Command::new(on_path(&words[0]).unwrap_or_else(|| PathBuf::from(&words[0])));
            command.args(&words[1..]);
            command
        }
    };
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
    let (Some(user), Some(account)) = (user, &account) else { return Ok(command) };
    command.env("HOME", &account.home).env("USER", user).env("LOGNAME", user);
    if own.is_root() && step_down.is_none() {
        // Drops the supplementary groups too.
        command.uid(account.uid).gid(account.gid);
    } else if !own.is_root() && own.as_raw() != account.uid {
        return Err(format!("only root can run programs as the user `{user}`"));
    }
    Ok(command)
}

/// Where a program lies that is looked for on this machine.
fn on_path(program: &str) -> Option<PathBuf> {
    let mut found = std::env::split_paths(PATH).map(|folder| folder.join(program));
    if program.contains('/') { None } else { found.find(|path| path.is_file()) }
}

fn container(engine: &str, name: &str, user: Option<&str>, words: &[String]) -> Result<Command, String> {
    if name.starts_with('-') || !matches!(engine, "docker" | "podman") {
        return Err(format!("`{engine} exec {name}` is not a valid command for a container"));
    }
    let mut command = Command::new(engine);
    command.args(["exec", "-i", "-e", "LC_ALL=C", "-e", "TZ=UTC"]);
    if let Some(user) = user {
        command.args(["-u", user]);
    }
    command.arg(name).args(words);
    Ok(command)
}

fn ssh(host: &str, user: Option<&str>, words: &[String]) -> Result<Command, String> {
    if host.starts_with('-') {
        return Err(format!("`{host}` is not a valid host name"));
    }
    let mut command = Command::new("ssh");
    command.args(["-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=10"]);
    if let Some(user) = user {
        command.args(["-l", user]);
    }
    // The remote side hands one line to a shell.
    let line: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    command.arg(host).arg(format!("exec env LC_ALL=C TZ=UTC {}", line.join(" ")));
    Ok(command)
}

/// A word that a POSIX shell reads back as it is.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(command: &Command) -> String {
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_prefix_is_that_of_the_binding() {
        let words = ["cat".to_owned(), "it's".to_owned()];
        let within = Duration::from_millis(1500);
        let machine = |via, user: Option<&str>| Machine {
            via,
            user: user.map(str::to_owned),
            programs: Default::default(),
            folders: Default::default(),
            ports: Default::default(),
            identity: None,
        };
        let build = |via, user| on((&machine(via, user), false), &words, Stdin::Data, within);
        let local = line(&build(Via::Local, None).unwrap());
        assert!(local.starts_with('/') && local.ends_with("/timeout -s KILL 1.500 cat it's"), "{local}");
        let container = Via::Container { engine: "docker".to_owned(), name: "pg".to_owned() };
        assert_eq!(
            line(&build(container, Some("postgres")).unwrap()),
            "docker exec -i -e LC_ALL=C -e TZ=UTC -u postgres pg timeout -s KILL 1.500 cat it's"
        );
        assert_eq!(
            line(&build(Via::Ssh { host: "db1".to_owned() }, None).unwrap()),
            "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 db1 \
             exec env LC_ALL=C TZ=UTC 'timeout' '-s' 'KILL' '1.500' 'cat' 'it'\\''s'"
        );
        let container = Via::Container { engine: "docker".to_owned(), name: "pg".to_owned() };
        let by_root = on((&machine(container, Some("postgres")), true), &words, Stdin::Data, within).unwrap();
        assert!(line(&by_root).contains(" -u root pg timeout "), "{}", line(&by_root));
        assert!(build(Via::Ssh { host: "-oProxyCommand=id".to_owned() }, None).is_err());
    }
}
