//! Where text goes: data to standard output, everything else to standard error. Colours are stripped where they cannot
//! be shown or are not wanted (`NO_COLOR`, `--color never`, a pipe).

use std::{fmt::Display, io, io::Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{exit::Exit, wrap};

/// Of what worked.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Of what failed.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Of what needs attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Of what to do next.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default();
/// Of names that the eye looks for.
pub(crate) const STRONG: Style = Style::new().bold();
/// Of what matters less.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// `text` in that style.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes a line of data to standard output.
pub(crate) fn data(text: impl Display) {
    let text = wrap::wrapped(&text.to_string(), wrap::width(io::stdout()));
    unless_nobody_reads(writeln!(anstream::stdout(), "{text}"));
}

/// Writes text that already ends as it should to standard output.
pub(crate) fn data_as_is(text: impl Display) {
    unless_nobody_reads(write!(anstream::stdout(), "{text}"));
}

/// Writes a document of data to standard output, readable by people too.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<()> {
    data_as_is(format_args!("{}\n", serde_json::to_string_pretty(value)?));
    Ok(())
}

/// Writes a line for people to standard error. Where that fails a recovery goes on all the same: it matters more than its
/// telling, and its journal has everything.
pub(crate) fn note(text: impl Display) {
    let text = wrap::wrapped(&text.to_string(), wrap::width(io::stderr()));
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// Writes text for people that already has the form that it should have.
pub(crate) fn note_as_is(text: impl Display) {
    drop(write!(anstream::stderr(), "{text}"));
}

/// Writes the beginning of a line that a person ends.
pub(crate) fn prompt(text: impl Display) {
    let mut terminal = anstream::stderr();
    drop(write!(terminal, "{text}").and_then(|()| terminal.flush()));
}

/// Writes a line that says what to do next.
pub(crate) fn hint(text: impl Display) {
    note(format_args!("{}: {text}", styled(HINT, "hint")));
}

/// `lifeboat runs | head -1` closes our output early; that is no failure of ours, and says nothing about how the command ends.
/// Any other failure to write is one.
fn unless_nobody_reads(written: io::Result<()>) {
    if written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        Exit::Failed.now();
    }
}
