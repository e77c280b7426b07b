//! The one place that turns errors of the libraries into what a user sees: a code, a message, hints, an exit code.

use std::fmt;

use lifeboat_launch::SourceError;

use crate::{
    exit::Exit,
    output::{BAD, hint, note, styled},
};

/// Something that ends a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// How the process ends.
    pub(crate) exit: Exit,
    /// Its page: `lifeboat explain CODE`.
    pub(crate) code: Option<String>,
    /// What happened.
    pub(crate) message: String,
    /// What to do next, a line each.
    pub(crate) hints: Vec<String>,
}

impl Problem {
    /// A problem without a page of its own.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, code: None, message: message.into(), hints: Vec::new() }
    }

    /// The command line asks for something impossible.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A problem with a page; the code decides the exit code.
    pub(crate) fn coded(code: &str, message: impl Into<String>) -> Self {
        Self { exit: exit_of(code), code: Some(code.to_owned()), message: message.into(), hints: Vec::new() }
    }

    /// The same problem with one more line of advice.
    pub(crate) fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }

    /// Shows it.
    pub(crate) fn print(&self) {
        match &self.code {
            Some(code) => note(format_args!("{}: {}", styled(BAD, format_args!("error[{code}]")), self.message)),
            None => note(format_args!("{}: {}", styled(BAD, "error"), self.message)),
        }
        self.hints.iter().for_each(hint);
        if let Some(code) = self.code.as_deref().filter(|code| crate::pages::page(code).is_some()) {
            hint(format_args!("for details, run `lifeboat explain {code}`"));
        }
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Self {
        let problem = match error.code() {
            Some(code) => Self::coded(code, error.to_string()),
            None => Self::new(Exit::File, error.to_string()),
        };
        problem.hint(match error {
            SourceError::Unreadable { .. } => "check the path",
            SourceError::VariantMissing => "add `--variant planned` or `--variant disaster`",
            SourceError::NoVariants => "remove `--variant`",
        })
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(problem) => return problem,
            Err(error) => error,
        };
        let error = match error.downcast::<SourceError>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        let code = error
            .downcast_ref::<lifeboat_runtime::Error>()
            .map(lifeboat_runtime::Error::code)
            .or_else(|| error.downcast_ref::<lifeboat_host::HostError>().map(lifeboat_host::HostError::code))
            .or_else(|| {
                error
                    .downcast_ref::<lifeboat_simulator::drill::DrillError>()
                    .map(lifeboat_simulator::drill::DrillError::code)
            });
        match code {
            Some(code) => Self::coded(code, told(&error)),
            None => Self::new(Exit::Failed, told(&error)),
        }
    }
}

/// The whole chain: the first fragment says what was tried, the last one why it failed. Many an error says its cause itself; that is
/// not said twice.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for fragment in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = fragment;
        } else if !told.ends_with(&fragment) {
            told = format!("{told}: {fragment}");
        }
    }
    told
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// Which exit code a coded error has. What is not listed is an ordinary failure.
fn exit_of(code: &str) -> Exit {
    const REFUSED: [&str; 7] =
        ["copy-in-use", "operator-", "run-locked", "run-lease-", "host-refused-", "host-identity-", "pg-not-ours"];
    const USAGE: [&str; 9] = [
        "log-filter",
        "copy-unknown",
        "run-unknown",
        "run-ambiguous",
        "run-variant",
        "drill-unknown",
        "operator-unknown-step",
        "operator-no-reason",
        "operator-evidence",
    ];
    const INCONCLUSIVE: [&str; 1] = ["drill-stopped"];
    let among = |list: &[&str]| list.iter().any(|prefix| code.starts_with(prefix));
    if code.starts_with("run-journal-") {
        Exit::Journal
    } else if among(&USAGE) {
        Exit::Usage
    } else if among(&REFUSED) {
        Exit::Refused
    } else if among(&INCONCLUSIVE) {
        Exit::Inconclusive
    } else if code.starts_with("LB") || code == "drill-runbook" {
        Exit::File
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_how_the_process_ends() {
        let check = |code: &str, expected: Exit| assert_eq!(exit_of(code), expected, "{code}");
        check("run-locked", Exit::Refused);
        check("run-lease-held", Exit::Refused);
        check("host-refused-effect", Exit::Refused);
        check("host-identity-mismatch", Exit::Refused);
        check("run-journal-damaged", Exit::Journal);
        check("run-unknown", Exit::Usage);
        check("run-state-disk", Exit::Failed);
        check("LB0001", Exit::File);
        check("drill-runbook", Exit::File);
        check("drill-stopped", Exit::Inconclusive);
        check("drill-unknown", Exit::Usage);
        check("log-filter", Exit::Usage);
        check("run-variant", Exit::Usage);
        check("operator-role", Exit::Refused);
        check("operator-no-reason", Exit::Usage);
    }

    #[test]
    fn no_cause_is_said_twice() {
        let cause = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let state = lifeboat_runtime::Error::Unreadable { path: "state".into(), source: cause() };
        let said = Problem::from(anyhow::Error::from(state)).message;
        assert!(said.ends_with("read `state`: permission denied"), "{said}");
        let outer = anyhow::Error::from(cause()).context("while starting");
        assert_eq!(Problem::from(outer).message, "while starting: permission denied");
    }

    #[test]
    fn a_problem_keeps_its_exit_code_on_the_way_up() {
        let error = anyhow::Error::from(Problem::usage("no such step")).context("while starting");
        assert_eq!(Problem::from(error).exit, Exit::Usage);
        assert_eq!(Problem::from(anyhow::anyhow!("disk on fire")).exit, Exit::Failed);
    }
}
