//! Diagnostics as people read them: the source line, underlined.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::{Diagnostic, Severity, SourceFile, Span};

/// The diagnostics of a file as text, each with its place, separated by empty lines; with ANSI colours where asked for.
pub fn render(file: &SourceFile, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let blocks: Vec<String> = diagnostics.iter().map(|finding| block(&renderer, file, finding)).collect();
    blocks.join("\n\n") + if blocks.is_empty() { "" } else { "\n" }
}

fn block(renderer: &Renderer, file: &SourceFile, finding: &Diagnostic) -> String {
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(finding.message.as_str()).id(finding.code);
    // A line that holds a secret is named, never shown.
    let secret = finding.code == super::codes::PLAIN_SECRET.id;
    let mut group = match range(file, finding.span).filter(|_| !secret) {
        Some(range) => {
            // The line alone: the renderer reads all that it is given, for each finding.
            let (first, line) = line_of(file, range.start);
            let mark =
                AnnotationKind::Primary.span(range.start - first..range.end - first).label(finding.label.as_str());
            let number = usize::try_from(finding.span.line).unwrap_or(1);
            title.element(Snippet::source(line).line_start(number).path(file.name.as_str()).annotation(mark))
        }
        None => {
            let origin = annotate_snippets::Origin::path(file.name.as_str());
            let line = usize::try_from(finding.span.line).unwrap_or(0);
            title.element(if line > 0 { origin.line(line) } else { origin })
        }
    };
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group] as &[Group<'_>])
}

/// The line that holds this byte, and where it begins.
fn line_of(file: &SourceFile, at: usize) -> (usize, &str) {
    let first = file.text[..at].rfind('\n').map_or(0, |end| end + 1);
    let rest = &file.text[first..];
    (first, rest.split_inclusive('\n').next().unwrap_or(rest))
}

/// The bytes to underline: at least one character, never more than one line.
fn range(file: &SourceFile, span: Span) -> Option<std::ops::Range<usize>> {
    let (start, end) = match (span.start, span.end, span.line) {
        (0, 0, 0) => return None,
        (0, 0, line) => file.line(line),
        (start, end, _) => (start, end),
    };
    if start > file.text.len() || !file.text.is_char_boundary(start) {
        return None;
    }
    let rest = &file.text[start..];
    let line = rest.find('\n').unwrap_or(rest.len());
    let end = end.clamp(start, start + line);
    let first = rest.chars().next().map_or(0, char::len_utf8);
    Some(start..end.max(start + first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_between_characters_is_shown_as_the_whole_one_behind_it() {
        let file = SourceFile { name: "a.yaml".to_owned(), text: " ? \u{113}A: 1\n".to_owned() };
        let (message, label) = ("wrong".to_owned(), "here".to_owned());
        for start in [0, 3, file.text.len()] {
            let span = Span { start, end: start, line: 1, column: 4 };
            let code = super::super::codes::TOO_LARGE;
            let (message, label) = (message.clone(), label.clone());
            let finding = Diagnostic { code: code.id, severity: Severity::Error, message, span, label, help: None };
            assert!(render(&file, &[finding], false).contains("a.yaml:1"), "{start}");
        }
    }
}
