//! The exit codes: the one list of them, for the code and for `--help`.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// A step, a test or a drill failed, or an objective was missed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A file is wrong; the diagnostics say where.
    File = 3,
    /// A drill could not measure what it should.
    Inconclusive = 4,
    /// The run can be resumed and waits for a person to do so.
    Waiting = 5,
    /// A guard refused: identity, lease, lock, grant.
    Refused = 6,
    /// The journal of the run is damaged.
    Journal = 7,
    /// A defect of Lifeboat.
    Bug = 70,
    /// Ended at once by a second Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// Every code, ascending.
    const ALL: [Self; 10] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::File,
        Self::Inconclusive,
        Self::Waiting,
        Self::Refused,
        Self::Journal,
        Self::Bug,
        Self::Interrupted,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Done => "success",
            Self::Failed => "a step, a test or a drill failed, or an objective was missed",
            Self::Usage => "the command line is wrong",
            Self::File => "a file is wrong; the diagnostics say where",
            Self::Inconclusive => "not measured, or inconclusive",
            Self::Waiting => "the run waits for a person, or was stopped; it can be resumed",
            Self::Refused => "refused by a guard (identity, lease, lock, grant), or a request to a run was refused",
            Self::Journal => "the journal of the run is damaged",
            Self::Bug => "a bug in Lifeboat",
            Self::Interrupted => "ended at once by a second Ctrl-C",
        }
    }

    /// The number that the shell sees.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// Ends the process without unwinding; only for signals, and for output that nobody reads.
    pub(crate) fn now(self) -> ! {
        std::process::exit(i32::from(self.code()))
    }

    /// The list for `--help`.
    pub(crate) fn table() -> String {
        let lines = Self::ALL.map(|exit| format!("  {:>3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
