//! Asking before something is changed that was not named: one line, yes or no.

use std::io::{BufRead as _, stdin};

use super::{keyboard, prompt::yes_or_no};
use crate::output::{note, prompt};

/// Whether somebody at this terminal says yes. Blocks until they say something; a terminal that is gone says no.
pub(crate) fn confirmed(question: &str) -> bool {
    keyboard::forget();
    loop {
        prompt(format_args!("{question} y or n: "));
        let mut line = String::new();
        if !matches!(stdin().lock().read_line(&mut line), Ok(1..)) {
            return false;
        }
        match yes_or_no(line.trim()) {
            Ok(answer) => return answer,
            Err(problem) => note(problem),
        }
    }
}
