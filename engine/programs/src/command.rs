//! From a program to the command that runs it in its place: here, in a container, over SSH.

use std::path::PathBuf;

use lifeboat_core::bindings::Via;
use tokio::process::Command;

use crate::{account::Account, group::Group};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command that runs `words` (program and arguments) by `user`, in a process group of its own. The environment of this process
/// is not handed on; `secrets` are variables that are, and never appear on a command line, which other users can read.
///
/// # Errors
/// The place or the user cannot be used, or secrets cannot be handed over to it.
pub fn command(via: &Via, user: Option<&str>, words: &[String], secrets: &[(&str, &str)]) -> Result<Command, String> {
    let mut command = match via {
        Via::Local => local(user, words)?,
        Via::Container { engine, name } => container(engine, name, user, words, secrets)?,
        Via::Ssh { .. } if !secrets.is_empty() => return Err("SSH does not hand over an environment".to_owned()),
        Via::Ssh { host } => ssh(host, user, words)?,
    };
    command.envs(secrets.iter().copied());
    Group::lead(&mut command);
    Ok(command)
}

/// Steps down to another user, its supplementary groups included, before it becomes the program that follows.
const STEP_DOWN: &str = "setpriv";

/// A program that is named by its path, and a user that it takes by itself, let the system library start it without copying this
/// process first: that copy costs some milliseconds, more than most programs run for.
fn local(user: Option<&str>, words: &[String]) -> Result<Command, String> {
    let account = user.map(Account::of).transpose()?;
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
    // The caller's folder may be closed to the other user.
    command.env_clear().env("PATH", PATH).env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
    let Some(account) = &account else { return Ok(command) };
    command.env("HOME", &account.home).env("USER", &account.name).env("LOGNAME", &account.name);
    if own.is_root() && step_down.is_none() {
        // Drops the supplementary groups too.
        command.uid(account.uid).gid(account.gid);
    } else if !own.is_root() && own.as_raw() != account.uid {
        return Err(format!("only root can run programs as the user `{}`", account.name));
    }
    Ok(command)
}

/// The path of a program that is given by its name on this machine.
fn on_path(program: &str) -> Option<PathBuf> {
    let mut found = std::env::split_paths(PATH).map(|folder| folder.join(program));
    if program.contains('/') { None } else { found.find(|path| path.is_file()) }
}

fn container(
    engine: &str,
    name: &str,
    user: Option<&str>,
    words: &[String],
    secrets: &[(&str, &str)],
) -> Result<Command, String> {
    if name.starts_with('-') || !matches!(engine, "docker" | "podman") {
        return Err(format!("`{engine} exec {name}` is not a valid command for a container"));
    }
    let mut command = Command::new(engine);
    command.args(["exec", "-i", "-e", "LC_ALL=C", "-e", "TZ=UTC"]);
    for (variable, _) in secrets {
        // Named without its value, a variable is taken from the environment of the engine's command line.
        command.args(["-e", variable]);
    }
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
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[(&str, &str)] = &[("PGPASSWORD", "planted")];

    fn line(command: &Command) -> String {
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    fn build(via: Via, user: Option<&str>, secrets: &[(&str, &str)]) -> Result<Command, String> {
        command(&via, user, &["cat".to_owned(), "it's".to_owned()], secrets)
    }

    fn pg() -> Via {
        Via::Container { engine: "docker".to_owned(), name: "pg".to_owned() }
    }

    #[test]
    fn the_prefix_is_that_of_the_place() {
        let local = line(&build(Via::Local, None, &[]).unwrap());
        assert!(local.starts_with('/') && local.ends_with("/cat it's"), "{local}");
        assert_eq!(
            line(&build(pg(), Some("postgres"), &[]).unwrap()),
            "docker exec -i -e LC_ALL=C -e TZ=UTC -u postgres pg cat it's"
        );
        assert_eq!(
            line(&build(Via::Ssh { host: "db1".to_owned() }, None, &[]).unwrap()),
            "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 db1 \
             exec env LC_ALL=C TZ=UTC 'cat' 'it'\\''s'"
        );
        assert!(build(Via::Ssh { host: "-oProxyCommand=id".to_owned() }, None, &[]).is_err());
    }

    #[test]
    fn a_secret_is_in_the_environment_and_on_no_command_line() {
        for via in [Via::Local, pg()] {
            let command = build(via, None, SECRET).unwrap();
            assert!(!line(&command).contains("planted"));
            assert!(command.as_std().get_envs().any(|pair| pair == ("PGPASSWORD".as_ref(), Some("planted".as_ref()))));
        }
        assert!(line(&build(pg(), None, SECRET).unwrap()).contains("-e PGPASSWORD pg cat"));
        assert!(build(Via::Ssh { host: "db1".to_owned() }, None, SECRET).is_err());
    }

    #[test]
    fn a_user_that_does_not_exist_is_named() {
        assert!(build(Via::Local, Some("no-such-user"), &[]).unwrap_err().contains("no-such-user"));
    }
}
