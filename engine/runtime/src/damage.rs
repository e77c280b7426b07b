//! Why a journal cannot be trusted: the first wrong line, and what is wrong with it.

use std::fmt;

/// Why a journal cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The first line that is wrong, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// It is not a record.
    NotARecord(String),
    /// A record is missing or doubled.
    Sequence {
        /// What should stand there.
        expected: u64,
        /// What stands there.
        found: u64,
    },
    /// A record before it was changed, or it comes from another journal.
    Chain,
    /// It says something that cannot follow what came before.
    Illegal(String),
    /// The journal is written in a format that this engine does not know.
    Format {
        /// The format of the journal.
        found: u64,
        /// The format that this engine reads.
        known: u32,
    },
    /// A sound record of a kind that this engine does not know: a newer one wrote it.
    NewerEvent(String),
}

impl Damage {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self.problem {
            Problem::Format { .. } | Problem::NewerEvent(_) => "run-journal-format",
            _ => "run-journal-damaged",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match &self.problem {
            Problem::NotARecord(why) => write!(f, "not a record of a journal ({why})"),
            Problem::Sequence { expected, found } => write!(f, "expected record {expected}, found {found}"),
            Problem::Chain => f.write_str("the hash of the previous record does not match: a record was changed"),
            Problem::Illegal(why) => write!(f, "it cannot follow the previous records ({why})"),
            Problem::Format { found, known } => {
                write!(f, "written in format {found} of the journal; this engine reads format {known}")
            }
            Problem::NewerEvent(kind) => {
                write!(f, "unknown event `{kind}`: a newer engine wrote the journal")
            }
        }
    }
}
