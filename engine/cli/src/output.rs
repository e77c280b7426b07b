//! Where text goes: data to standard output, everything else to standard error. Colours are stripped where they cannot
//! be shown or are not wanted (`NO_COLOR`, `--color never`, a pipe).

use std::{
    fmt::{Display, Write as _},
    io,
    io::Write as _,
};

use anstyle::{AnsiColor, Style};
use lifeboat_core::text::steers;
use lifeboat_present::{Part, Text, Tone};
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

/// How something looks that is meant so.
pub(crate) fn style(tone: Tone) -> Style {
    match tone {
        Tone::Good => GOOD,
        Tone::Bad => BAD,
        Tone::Warn => WARN,
        Tone::Plain => QUIET,
    }
}

/// A text in the styles of its parts.
pub(crate) fn painted(text: &Text) -> String {
    let part = |part: &Part| match part {
        Part::Words(words) => words.clone(),
        Part::Name(name) => styled(STRONG, name),
        Part::Toned(tone, words) => styled(style(*tone), words),
    };
    text.parts().iter().map(part).collect()
}

/// A text whose further lines cannot be taken for lines of ours: they stand below its first one.
pub(crate) fn hanging(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// The text without what steers a terminal or is not seen, but for our own colours: whoever made a text of outputs, of evidence or of
/// an old journal may not have cleaned it.
fn shown(text: impl Display) -> String {
    let seen = |c: char| if steers(c) && !matches!(c, '\n' | '\t' | '\u{1b}') { '\u{fffd}' } else { c };
    text.to_string().chars().map(seen).collect()
}

/// Writes a line of data to standard output.
pub(crate) fn data(text: impl Display) {
    let text = wrap::wrapped(&shown(text), wrap::width(io::stdout()));
    unless_nobody_reads(writeln!(anstream::stdout(), "{text}"));
}

/// Writes text that already ends as it should to standard output.
pub(crate) fn data_as_is(text: impl Display) {
    unless_nobody_reads(write!(anstream::stdout(), "{}", shown(text)));
}

/// Writes a document of data to standard output, readable by people too.
pub(crate) fn json(value: &impl Serialize) -> serde_json::Result<()> {
    data_as_is(format_args!("{}\n", escaped(&serde_json::to_string_pretty(value)?)));
    Ok(())
}

/// JSON with terminal control characters as escapes, which mean the same to programs that read it as data.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) && c != '\n' {
            let mut units = [0; 2];
            c.encode_utf16(&mut units).iter().for_each(|unit| {
                // Writing into a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            });
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Writes a line for people to standard error. If that fails, the recovery continues: it matters more than its
/// messages, and its journal has everything.
pub(crate) fn note(text: impl Display) {
    let text = wrap::wrapped(&shown(text), wrap::width(io::stderr()));
    drop(writeln!(anstream::stderr(), "{text}"));
}

/// Writes text for people that already has the form that it should have.
pub(crate) fn note_as_is(text: impl Display) {
    drop(write!(anstream::stderr(), "{}", shown(text)));
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

/// `lifeboat runs | head -1` closes our output early; that is not a failure, and does not change how the command ends.
/// Any other failure to write is one.
fn unless_nobody_reads(written: io::Result<()>) {
    if written.is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        Exit::Failed.now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_steers_the_terminal_or_hides() {
        assert_eq!(shown("a\u{202e}b\rc\u{200b}\td\n"), "a\u{fffd}b\u{fffd}c\u{fffd}\td\n");
        assert_eq!(shown(styled(BAD, "red")), styled(BAD, "red"));
        assert_eq!(hanging("it failed\n03:00:00 all is well"), "it failed\n    03:00:00 all is well");
    }

    #[test]
    fn a_text_looks_as_its_parts_are_meant() {
        let text = Text::name("DR-003") + "  " + Text::toned(Tone::Bad, "missed") + ", once";
        assert_eq!(painted(&text), format!("{}  {}, once", styled(STRONG, "DR-003"), styled(BAD, "missed")));
    }

    #[test]
    fn a_document_of_data_means_what_it_meant_and_steers_nothing() {
        let value = serde_json::json!({ "text": "a\u{202e}b\u{9b}c\u{e0041}" });
        let json = escaped(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!json.chars().any(|c| c != '\n' && steers(c)), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}
