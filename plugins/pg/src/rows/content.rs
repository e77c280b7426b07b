//! The content of a row as SQL that gives the same on two servers whatever their settings are: the values as they go over the
//! wire in binary, not as text, which depends on `DateStyle`, `extra_float_digits`, `bytea_output` and others.

use crate::{
    rows::{preparation::Matched, relation::Table},
    server::identifier::quote_identifier,
};

/// How much of a value is shown to a person.
const SHOWN_CHARS: usize = 60;
/// A message with the longest names that a server has.
const REASON_CHARS: usize = 300;

/// Values of the columns that are written, of the relation that is called `alias` and has the table's own column names.
pub fn values(table: &Table, alias: &str) -> Vec<String> {
    let value = |column: &crate::rows::relation::Column| {
        let name = format!("{alias}.{}", quote_identifier(&column.name));
        match &column.base {
            Some(base) => format!("{name}::{base}"),
            None => name,
        }
    };
    table.columns.iter().filter(|column| !column.generated).map(value).collect()
}

/// The same values in the copy, where columns can have other names and types.
pub fn sources(matched: &Matched) -> Vec<String> {
    let source = |column: &crate::rows::relation::Column| {
        let source = matched.sources.get(&column.name)?;
        Some(match &column.base {
            Some(base) => format!("{source}::{base}"),
            None => source.clone(),
        })
    };
    matched.now.columns.iter().filter(|column| !column.generated).filter_map(source).collect()
}

/// 32 hexadecimal digits of these values.
pub fn digest(values: &[String]) -> String {
    format!("encode(substr(sha256(record_send(ROW({}))), 1, 16), 'hex')", values.join(", "))
}

/// The values as texts for a person: none is longer than what fits a line.
pub fn shown(values: &[String]) -> String {
    let cut = |value: &String| format!("coalesce(left({value}::text, {}), 'NULL')", SHOWN_CHARS + 1);
    format!("ARRAY[{}]::text[]", values.iter().map(cut).collect::<Vec<_>>().join(", "))
}

/// Both versions of a row in one line, column by column where they differ.
pub fn difference(columns: &[String], then: &[String], now: &[String]) -> String {
    let differ = columns.iter().zip(then.iter().zip(now)).filter(|(_, (then, now))| then != now);
    let texts: Vec<_> =
        differ.map(|(name, (then, now))| format!("{} was {}, is {}", clean(name), clean(then), clean(now))).collect();
    if texts.is_empty() { format!("differs beyond the first {SHOWN_CHARS} characters") } else { texts.join("; ") }
}

/// A text of an application as one line without what a terminal would obey, cut where it is long.
pub fn clean(text: &str) -> String {
    one_line(text, SHOWN_CHARS)
}

/// The same of a message of the server: the name of the rule stands at its end.
pub fn reason(text: &str) -> String {
    one_line(text, REASON_CHARS)
}

fn one_line(text: &str, chars: usize) -> String {
    let harmless = |each: char| if each.is_control() || is_hidden(each) { '\u{FFFD}' } else { each };
    let mut line: String = text.chars().take(chars).map(harmless).collect();
    if text.chars().count() > chars {
        line.push('…');
    }
    line
}

/// Characters that change the direction of text, or cannot be seen.
fn is_hidden(each: char) -> bool {
    matches!(each, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let check = |then: &[&str], now: &[&str], expect: &str| {
            assert_eq!(difference(&texts(&["id", "prefs"]), &texts(then), &texts(now)), expect);
        };
        check(&["7", "{\"theme\": \"dark\"}"], &["7", "{}"], "prefs was {\"theme\": \"dark\"}, is {}");
        check(&["7", "a"], &["7", "a"], "differs beyond the first 60 characters");
        let long = "x".repeat(61);
        check(
            &["7", &long],
            &["7", "\u{1b}[2J\nforged"],
            &format!("prefs was {}…, is \u{FFFD}[2J\u{FFFD}forged", &long[1..]),
        );
    }
}
