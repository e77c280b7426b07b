//! What was found in files, on standard error.

use lifeboat_core::diagnostic;
use lifeboat_launch::{Wrong, source::Checked};

use crate::output::note;

/// Shows everything that was found in a file and in those that it calls.
pub(crate) fn print(checked: &Checked) {
    for (file, found) in checked.found().filter(|(_, found)| !found.is_empty()) {
        note(diagnostic::render(file, found, true).trim_end());
        note("");
    }
}

/// Shows what is wrong with a file that no user has named.
pub(crate) fn print_wrong(Wrong { file, diagnostics }: &Wrong) {
    note(diagnostic::render(file, diagnostics, true));
}
