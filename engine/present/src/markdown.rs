//! Chapters as Markdown, for a ticket or a pull request.

use crate::{
    Part, Text, Tone,
    chapter::{Block, Chapter, Sheet},
};

/// The chapters, each with its title.
pub(crate) fn chapters(chapters: &[Chapter]) -> String {
    let mut document = String::new();
    for Chapter { title, blocks, .. } in chapters {
        document.push_str(&format!("\n## {}\n", inline(title)));
        blocks.iter().for_each(|block| document.push_str(&self::block(block)));
    }
    document
}

fn block(block: &Block) -> String {
    match block {
        Block::Words(text) => format!("\n{}\n", line(&shown(text))),
        Block::Table(sheet) => table(sheet),
        // Its numbers stand in the tables below it.
        Block::TimeLine => String::new(),
    }
}

fn table(Sheet { caption, heads, rows }: &Sheet) -> String {
    if rows.is_empty() {
        return format!("\n{}: none.\n", inline(caption));
    }
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = row(heads.iter().map(|head| inline(head)).collect());
    let rule = row(heads.iter().map(|_| "---".to_owned()).collect());
    let rows: String = rows.iter().map(|cells| row(cells.iter().map(shown).collect())).collect();
    format!("\n{}:\n\n{head}{rule}{rows}", inline(caption))
}

/// A text whose tones can be told apart without colours.
pub(crate) fn shown(text: &Text) -> String {
    let part = |part: &Part| match part {
        Part::Words(words) => inline(words),
        Part::Name(name) => code(name),
        Part::Toned(Tone::Plain, words) => inline(words),
        Part::Toned(Tone::Good, words) => format!("{} {}", Tone::Good.symbol(), inline(words)),
        Part::Toned(tone, words) => format!("**{} {}**", inline(tone.symbol()), inline(words)),
    };
    text.parts().iter().map(part).collect()
}

/// A name as code, where nothing in it ends that.
fn code(name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !"`|\\<&".contains(c) || c == ' ');
    if is_plain && name.trim() == name { format!("`{name}`") } else { inline(name) }
}

/// A text in which nothing is markup, on one line.
pub(crate) fn inline(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let (mut before, mut characters) = (None, text.chars().peekable());
    while let Some(character) = characters.next() {
        let within_word = |other: Option<char>| other.is_some_and(char::is_alphanumeric);
        match character {
            _ if character.is_control() => safe.push(' '),
            '_' if within_word(before) && within_word(characters.peek().copied()) => safe.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '!' => safe.extend(['\\', character]),
            _ => safe.push(character),
        }
        before = Some(character);
    }
    safe
}

/// A line of such text that is neither a heading, nor a list, nor code because of how it begins.
pub(crate) fn line(text: &str) -> String {
    let text = text.trim_start();
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - rest.len()];
    let is_marker =
        if digits.is_empty() { text.starts_with(['#', '-', '+', '=']) } else { rest.starts_with(['.', ')']) };
    if is_marker { format!("{digits}\\{rest}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_markup() {
        let check = |text: &str, expected: &str| assert_eq!(inline(text), expected, "{text}");
        check("a|b\nc", "a\\|b c");
        check(
            "<script>*a* _b_ t_stable `c` [d](e) ![f]",
            "\\<script\\>\\*a\\* \\_b\\_ t_stable \\`c\\` \\[d\\](e) \\!\\[f\\]",
        );
        check("&lt;\u{1b}[2J", "\\&lt; \\[2J");
        let check = |text: &str, expected: &str| assert_eq!(line(text), expected, "{text}");
        check("    # a #b - c", "\\# a #b - c");
        check("- a", "\\- a");
        check("12. a 1.5", "12\\. a 1.5");
        check("1) a", "1\\) a");
        check("On 12 days", "On 12 days");
        check("12 days", "12 days");
        assert_eq!([code("dr-003"), code("a`b"), code("a|b"), code("")], ["`dr-003`", "a\\`b", "a\\|b", ""]);
    }
}
