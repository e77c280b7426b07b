//! Long lines for people: broken between words, where a terminal would break them anywhere.

use std::os::fd::AsFd;

use rustix::termios::{isatty, tcgetwinsize};

/// Narrower than this nothing is readable, and a terminal that says so does not know its width.
const WIDTH_MIN: usize = 20;
/// Number of blanks by which continuation lines are indented.
const HANG: usize = 2;

/// How wide the terminal behind a stream is; `None` where there is none, or none that knows.
pub(crate) fn width(stream: impl AsFd) -> Option<usize> {
    let size = isatty(&stream).then(|| tcgetwinsize(stream).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|width| *width >= WIDTH_MIN)
}

/// The text with each line that is wider broken between words.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let lines: Vec<String> = text.split('\n').map(|line| hanging(line, width, indent(line) + HANG)).collect();
    lines.join("\n")
}

/// A page of text whose paragraphs fill the width; headings, lists, tables and code keep their lines.
pub(crate) fn reflowed(page: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return page.to_owned() };
    // Each with whether it is to be broken.
    let mut lines: Vec<(String, bool)> = Vec::new();
    let (mut is_code, mut goes_on) = (false, false);
    for line in page.lines() {
        let is_fence = line.trim_start().starts_with("```");
        let stands = is_code || is_fence || line.is_empty() || line.starts_with(['#', '|', ' ']);
        let begins_item = line.starts_with("- ");
        match lines.last_mut().filter(|_| goes_on && !stands && !begins_item) {
            Some((last, _)) => *last = format!("{last} {line}"),
            None => lines.push((line.to_owned(), !is_code && !line.starts_with('|'))),
        }
        is_code ^= is_fence;
        goes_on = !stands;
    }
    let hang = |line: &str| if line.starts_with("- ") { HANG } else { indent(line) };
    let fit = |(line, breaks): &(String, bool)| if *breaks { hanging(line, width, hang(line)) } else { line.clone() };
    lines.iter().map(fit).collect::<Vec<_>>().join("\n")
}

/// One line, broken between words; what continues is set in by `hang` blanks. A word that is wider than the rest stays whole.
pub(crate) fn hanging(line: &str, width: usize, hang: usize) -> String {
    if chars(line) <= width {
        return line.to_owned();
    }
    let hang = if hang + WIDTH_MIN > width { HANG } else { hang };
    let start = indent(line);
    let mut broken = " ".repeat(start);
    let (mut column, mut is_first) = (start, true);
    for word in line[start..].split(' ') {
        let length = chars(word);
        if !is_first && column + 1 + length > width && column > hang {
            broken.truncate(broken.trim_end_matches(' ').len());
            broken.push('\n');
            broken.push_str(&" ".repeat(hang));
            column = hang;
        } else if !is_first {
            broken.push(' ');
            column += 1;
        }
        broken.push_str(word);
        (column, is_first) = (column + length, false);
    }
    broken
}

/// How wide a text is; styles have no width.
pub(crate) fn chars(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words() {
        let check =
            |text: &str, width: usize, expected: &str| assert_eq!(wrapped(text, Some(width)), expected, "{text}");
        check("short", 20, "short");
        check("the archive ends before the target", 20, "the archive ends\n  before the target");
        check("  restore: the archive ends early", 24, "  restore: the archive\n    ends early");
        check("one\ntwo three four five six seven", 22, "one\ntwo three four five\n  six seven");
        check(
            "/a/path/that/is/wider/than/the/screen is named",
            20,
            "/a/path/that/is/wider/than/the/screen\n  is named",
        );
        check(
            "\u{1b}[1mbold words have no\u{1b}[0m width of style",
            24,
            "\u{1b}[1mbold words have no\u{1b}[0m width\n  of style",
        );
    }

    #[test]
    fn what_goes_on_hangs_below_what_it_belongs_to() {
        let line = "restore  failed: the archive ends before the target";
        assert_eq!(hanging(line, 32, 9), "restore  failed: the archive\n         ends before the target");
    }

    #[test]
    fn a_page_fills_the_width_and_keeps_what_has_lines() {
        let page = "# a: title\n\nOne two three four\nfive six.\n\n- item one goes\non here\n- two\n\n```\ncode stays as it is, long or not\n```";
        let expected = "# a: title\n\nOne two three four five\nsix.\n\n- item one goes on here\n- two\n\n```\ncode stays as it is, long or not\n```";
        assert_eq!(reflowed(page, Some(24)), expected);
        assert_eq!(reflowed(page, None), page);
    }

    #[test]
    fn where_no_width_is_known_nothing_is_broken() {
        let long = "word ".repeat(60);
        assert_eq!(wrapped(&long, None), long);
    }
}
