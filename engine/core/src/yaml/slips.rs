//! Why a file is not YAML, in our own words: the commonest slips by name, with what to write instead. The parser's words are for whoever
//! configures a parser.

use serde_yaml::{Error, budget::BudgetBreach};

use crate::diagnostic::{Code, SourceFile, Span, codes};

/// What is said of a file that cannot be read.
pub(super) struct Slip {
    pub(super) code: Code,
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) help: Option<String>,
}

/// What the parser says, and how it is said here: a part of its message, a message, and what helps. The first that fits counts.
const WORDS: &[(&str, &str, &str)] = &[
    ("quoted scalar", "a quoted string is not closed", "close it with the same quote; inside `'…'` write `''` for `'`"),
    ("mapping values are not allowed", "unexpected `:`", "quote a string that contains `: `"),
    (
        "flow mapping",
        "a mapping in `{ … }` is not closed or lacks a `,`",
        "quote strings that contain `{`, `}`, `[`, `]` or `,`",
    ),
    (
        "flow sequence",
        "a list in `[ … ]` is not closed or lacks a `,`",
        "quote strings that contain `{`, `}`, `[`, `]` or `,`",
    ),
    ("flow", "brackets do not match", "quote strings that contain `{`, `}`, `[`, `]` or `,`"),
    (
        "unknown anchor",
        "`*` refers to an anchor that does not exist",
        "define it before with `&name`, or quote a string that begins with `*`",
    ),
    (
        "unknown alias",
        "`*` refers to an anchor that does not exist",
        "define it before with `&name`, or quote a string that begins with `*`",
    ),
    ("anchor", "unexpected `&` or `*`", "quote a string that begins with `&` or `*`"),
    ("cannot start any token", "a string cannot begin with this character", "put the string in quotes"),
    ("directive", "unknown directive (`%…`)", "remove it: YAML 1.2 needs none"),
    ("tag", "tags (`!…`) are not supported", "remove it, or quote a string that begins with `!`"),
    ("control character", "unexpected control character", "remove it"),
    ("invalid indentation", "the indentation of this line does not match any line above it", INDENT),
    ("indent", "the indentation of this line does not match any line above it", INDENT),
    ("block", "this line does not continue anything above it", INDENT),
    ("expected <document start>", "this line does not continue anything above it", INDENT),
    ("string key", "a key must be a string", "put it in quotes"),
    ("key", "this line is not a `key: value` pair", INDENT),
];

const INDENT: &str = "align the keys of a mapping, and the `-` of a list, in the same column";

/// What is wrong at the place that the parser names.
pub(super) fn explain(file: &SourceFile, error: &Error, place: Span) -> Slip {
    let error = cause(error);
    let place = underlined(file, place);
    by_kind(file, error, place).or_else(|| in_line(file, place)).unwrap_or_else(|| by_words(error, place))
}

/// The place as the parser names it; where that has no length, from there to the end of the line.
fn underlined(file: &SourceFile, place: Span) -> Span {
    if place.end > place.start || place.line == 0 {
        return place;
    }
    let before = usize::try_from(place.line - 1).unwrap_or(usize::MAX);
    let start: usize = file.text.split_inclusive('\n').take(before).map(str::len).sum();
    let line = file.text[start..].lines().next().unwrap_or_default();
    let column = usize::try_from(place.column.saturating_sub(1)).unwrap_or(usize::MAX);
    let indent = line.len() - line.trim_start().len();
    let from = line.char_indices().nth(column).map_or(indent, |(at, _)| at.max(indent));
    let to = line.trim_end().len();
    file.span(start + if from < to { from } else { indent }, start + to.max(indent))
}

/// The parser wraps what is wrong behind an alias in an error about the alias.
fn cause(error: &Error) -> &Error {
    match error {
        Error::AliasError { error, .. } => cause(error),
        error => error,
    }
}

fn by_kind(file: &SourceFile, error: &Error, place: Span) -> Option<Slip> {
    let slip = |code, span, message: String, label, help: &str| {
        let help = Some(help.to_owned());
        Some(Slip { code, span, message, label, help })
    };
    match error {
        Error::DuplicateMappingKey { key, .. } => {
            let key =
                key.clone().unwrap_or_else(|| file.text.get(place.start..place.end).unwrap_or_default().to_owned());
            let key: String = key.chars().take(60).collect();
            let message = format!("the key `{key}` appears twice in one mapping");
            slip(codes::DUPLICATE_KEY, place, message, "appears again here", "remove one of them")
        }
        Error::MergeKeyNotAllowed { .. } | Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            let message = "merge keys (`<<`) are not supported".to_owned();
            let help = "write the keys out; a whole value can be reused with `&name` and `*name`";
            slip(codes::NOT_YAML, word(file, place, "<<"), message, "a merge key", help)
        }
        Error::MultipleDocuments { .. } | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            let message = "the file contains more than one document".to_owned();
            let help = "put each runbook in a file of its own; a line `---` starts another document";
            slip(
                codes::NOT_YAML,
                second_document(file).unwrap_or(place),
                message,
                "the second document starts here",
                help,
            )
        }
        Error::Budget { breach, .. } => {
            let message = match breach {
                BudgetBreach::Depth { .. } => "the file is nested too deep",
                BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
                    "the file uses too many anchors and aliases"
                }
                _ => "the file is too large",
            };
            let help = "at most 32 levels, 100 anchors, 1,000 aliases and 400,000 values are allowed";
            slip(codes::TOO_DEEP, place, message.to_owned(), "the limit is exceeded here", help)
        }
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            let message = "the file expands too many aliases".to_owned();
            slip(codes::TOO_DEEP, place, message, "the limit is exceeded here", "write the values out instead")
        }
        Error::UnknownAnchor { .. } => {
            let message = "`*` refers to an anchor that does not exist".to_owned();
            let help = "define it before with `&name`, or quote a string that begins with `*`";
            slip(codes::NOT_YAML, place, message, "here", help)
        }
        Error::Eof { .. } => slip(
            codes::NOT_YAML,
            place,
            "unexpected end of the file".to_owned(),
            "here",
            "close the open quote or bracket",
        ),
        _ => None,
    }
}

/// Slips that show in the line, whatever the parser makes of them; it often notices one line later.
fn in_line(file: &SourceFile, place: Span) -> Option<Slip> {
    let (lines, number) = (file.text.lines().collect::<Vec<_>>(), place.line.max(1) as usize);
    let filled = |line: &usize| lines.get(line - 1).is_some_and(|text| !text.trim().is_empty());
    let (before, after) = ((1..number).rev().find(filled), (number + 1..=lines.len()).find(filled));
    let at = |number: usize, from: usize, to: usize| {
        let start: usize = file.text.split_inclusive('\n').take(number - 1).map(str::len).sum();
        file.span(start + from, start + to)
    };
    let slip = |span, message: &str, label, help: String| {
        Some(Slip { code: codes::NOT_YAML, span, message: message.to_owned(), label, help: Some(help) })
    };
    let tabbed = [Some(number), after].into_iter().flatten().find_map(|number| {
        let line = lines.get(number - 1)?;
        let tab = line[..line.len() - line.trim_start().len()].find('\t')?;
        Some(at(number, tab, tab + 1))
    });
    if let Some(tab) = tabbed {
        return slip(tab, "this line is indented with a tab", "a tab", "indent with spaces".to_owned());
    }
    [Some(number), before].into_iter().flatten().find_map(|number| {
        let line = lines.get(number - 1)?;
        if let Some((from, to)) = unquoted_expression(line) {
            let help = format!("put it in quotes: `\"{}\"`", &line[from..to]);
            return slip(
                at(number, from, to),
                "an expression inside `{ … }` or `[ … ]` must be in quotes",
                "not in quotes",
                help,
            );
        }
        let (from, to) = second_colon(line)?;
        let help = format!("put the value in quotes: `\"{}\"`", line[from..to].trim_end());
        slip(at(number, from, to), "a value that contains `: ` must be in quotes", "not in quotes", help)
    })
}

/// `${{ … }}`, or `{{ … }}` of another language, behind a bracket and outside of quotes.
fn unquoted_expression(line: &str) -> Option<(usize, usize)> {
    let open = line.find("{{")?;
    let from = if line[..open].ends_with('$') { open - 1 } else { open };
    let quoted = |quote: char| line[..from].matches(quote).count() % 2 == 1;
    let begins = line[..from].trim_end().ends_with([':', '[', ',', '-', '{']);
    if quoted('"') || quoted('\'') || !begins {
        return None;
    }
    let to = line[open..].find("}}").map_or(line.len(), |close| open + close + 2);
    Some((from, to))
}

/// The value of `key: a: b`.
fn second_colon(line: &str) -> Option<(usize, usize)> {
    let (key, value) = line.split_once(": ")?;
    let is_key = key.trim_start_matches([' ', '-']).chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    let from = key.len() + 2 + (value.len() - value.trim_start().len());
    let plain = !value.trim_start().starts_with(['"', '\'', '{', '[', '|', '>', '&', '*', '#', '!']);
    let text = value.split(" #").next().unwrap_or(value);
    let twice = text.contains(": ") || text.trim_end().ends_with(':');
    (is_key && plain && twice).then(|| (from, key.len() + 2 + text.trim_end().len()))
}

fn by_words(error: &Error, place: Span) -> Slip {
    let said = error.without_snippet().to_string();
    let deep = ["nest", "recursion", "limit exceeded", "budget"].iter().any(|word| said.contains(word));
    if deep {
        let help = Some("at most 32 levels of mappings and lists are allowed".to_owned());
        let message = "the file is nested too deep".to_owned();
        return Slip { code: codes::TOO_DEEP, span: place, message, label: "too deep here", help };
    }
    let found = WORDS.iter().find(|(word, ..)| said.contains(word));
    let (message, help) = found.map_or(("this is not YAML", INDENT), |(_, message, help)| (*message, *help));
    Slip { code: codes::NOT_YAML, span: place, message: message.to_owned(), label: "here", help: Some(help.to_owned()) }
}

/// The place of a word at or behind the place; the place where it is not there.
fn word(file: &SourceFile, place: Span, word: &str) -> Span {
    let found = file.text.get(place.start..).and_then(|rest| rest.find(word));
    found.map_or(place, |at| file.span(place.start + at, place.start + at + word.len()))
}

/// The line with which a second document begins. One at the top of the file begins the first.
fn second_document(file: &SourceFile) -> Option<Span> {
    let (mut at, mut content) = (0, false);
    for line in file.text.split_inclusive('\n') {
        let text = line.trim_end();
        if content && (text == "---" || text.starts_with("--- ")) {
            return Some(file.span(at, at + 3));
        }
        content |= !text.is_empty() && !text.starts_with(['#', '%']);
        at += line.len();
    }
    None
}
