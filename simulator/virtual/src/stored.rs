//! Cases that broke something once, as they are kept beside the runbook: played first, for good.
//!
//! A text file, a case a line: the code of the invariant, and the case as [`Case`] writes it. `#` begins a comment line.

use std::fmt;

use super::case::Case;

/// A case that once broke an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Which invariant.
    pub code: String,
    /// The case.
    pub case: Case,
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.case)
    }
}

/// A line that is no case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct StoredError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// The cases of a file.
pub fn stored(text: &str) -> Result<Vec<Stored>, StoredError> {
    let lines = text.lines().enumerate().map(|(place, line)| (place + 1, line.trim()));
    let cases = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    cases
        .map(|(line, text)| {
            let (code, case) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let case = case.parse().map_err(|problem| StoredError { line, problem })?;
            Ok(Stored { code: code.to_owned(), case })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "# kept\n\ntest-once-only 17 crash-unheard@merge#1\n";
        let cases = stored(text).unwrap();
        assert_eq!(
            cases.iter().map(Stored::to_string).collect::<Vec<_>>(),
            ["test-once-only 17 crash-unheard@merge#1"]
        );
    }

    #[test]
    fn a_line_that_is_no_case_is_named() {
        let problem = |text| stored(text).unwrap_err().to_string();
        assert_eq!(
            problem("# kept\ntest-once-only x\n"),
            "line 2: a case must begin with its seed, a whole number, not with `x`"
        );
        assert_eq!(problem("test-once-only"), "line 1: a case must begin with its seed, a whole number, not with ``");
    }
}
