//! A place where a testbed runs programs: this machine or a container, as the user that runs its servers.

use lifeboat_core::bindings::Via;
use lifeboat_programs::Account;
use serde_json::{Value, json};

use super::error::{TestbedError, Unavailable};

/// The last so many bytes of a failed program's messages are shown.
const MESSAGE_BYTES: usize = 2000;
/// The user that PostgreSQL's packages make for its servers.
pub(super) const SERVERS_USER: &str = "postgres";

/// The user that servers must run as: PostgreSQL refuses to run as root, so root steps down to `postgres`; any other user runs them
/// without a change of user.
pub(super) fn account_of_servers() -> Result<Option<Account>, Unavailable> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    Account::of(SERVERS_USER)
        .map(Some)
        .map_err(|problem| Unavailable { reason: format!("PostgreSQL does not run as root, and {problem}") })
}

/// A place where programs run.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) via: Via,
    /// None: this process's own.
    pub(super) user: Option<String>,
}

/// What a program is run with.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub(super) arguments: &'a [&'a str],
    /// Handed over in the environment, never on a command line that other users can read.
    pub(super) password: Option<&'a str>,
    pub(super) stdin: &'a [u8],
}

impl<'a> Call<'a> {
    pub(super) fn new(arguments: &'a [&'a str]) -> Self {
        Self { arguments, ..Self::default() }
    }
}

impl Place {
    /// Runs a program to its end and returns what it printed. Dropped before that, it is killed with everything that it started.
    ///
    /// # Errors
    /// It cannot be run, or ends with another code than 0.
    pub(super) async fn run(&self, program: &str, call: Call<'_>) -> Result<String, TestbedError> {
        let failed = |message: String| TestbedError::Program { program: program.to_owned(), message };
        let words: Vec<String> = [program].iter().chain(call.arguments).map(|word| (*word).to_owned()).collect();
        let secrets: Vec<_> = call.password.map(|password| ("PGPASSWORD", password)).into_iter().collect();
        let command = lifeboat_programs::command(&self.via, self.user.as_deref(), &words, &secrets).map_err(failed)?;
        let output = lifeboat_programs::output(command, call.stdin).await.map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].concat();
        let tail = &said[said.len().saturating_sub(MESSAGE_BYTES)..];
        Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(tail).trim())))
    }

    /// The key `via` of a machine's binding.
    pub(super) fn binding(&self) -> Value {
        match &self.via {
            Via::Local => json!("local"),
            Via::Container { engine, name } => json!({ "container": { "engine": engine, "name": name } }),
            Via::Ssh { host } => json!({ "ssh": { "host": host } }),
        }
    }

    /// Writes a file of mode 0600.
    pub(super) async fn write(&self, path: &str, content: &str) -> Result<(), TestbedError> {
        let arguments = ["-c", "umask 077; cat > \"$0\"", path];
        self.run("sh", Call { stdin: content.as_bytes(), ..Call::new(&arguments) }).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failed_program_is_named_with_the_end_of_its_messages() {
        let place = Place { via: Via::Local, user: None };
        let error = place.run("sh", Call::new(&["-c", "echo first; echo last >&2; exit 7"])).await.unwrap_err();
        assert_eq!(error.to_string(), "sh: exit status: 7: first\nlast");
        assert_eq!(error.code(), "drill-testbed-program");
        let error = place.run("no-such-program", Call::default()).await.unwrap_err();
        assert!(error.to_string().starts_with("no-such-program: "), "{error}");
    }
}
