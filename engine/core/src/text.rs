//! Texts of others, made fit for a journal, a log and a terminal: short, and without characters that steer any of them or are not
//! seen. Plugins pass on what servers, programs and tables say, so none of it can be trusted to be a sentence.

/// A text may have one line for every 80 bytes of its limit, and one more.
const LINE_BYTES: usize = 80;

/// Characters that nobody sees, or that change where and in which order others are seen, beside the control characters: first and
/// last of each range. Unicode's format characters, its separators of lines, blanks that count as letters, and the selectors that
/// can carry hidden text. What makes one picture of several emoji stays; joiners do not, as they also tear words apart unseen.
const UNSEEN: &[(char, char)] = &[
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0e}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

/// Whether the character steers a terminal, a log or the order of what is read, or is not seen at all.
pub fn steers(c: char) -> bool {
    c.is_control() || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// The text, cut to `bytes_max` bytes and one line for every 80 of them; control characters are replaced, except line ends and tabs.
pub fn plain(text: &str, bytes_max: usize) -> String {
    let (mut lines, lines_max) = (1, 1 + bytes_max / LINE_BYTES);
    clean(text, bytes_max, |c| {
        lines += usize::from(c == '\n');
        match c {
            '\n' if lines > lines_max => None,
            '\n' | '\t' => Some(c),
            c => Some(seen(c)),
        }
    })
}

/// As [`plain`], on one line.
pub fn one_line(text: &str, bytes_max: usize) -> String {
    clean(text, bytes_max, |c| Some(if matches!(c, '\n' | '\t') { ' ' } else { seen(c) }))
}

fn seen(c: char) -> char {
    if steers(c) { '\u{fffd}' } else { c }
}

/// Each character as `each` has it, until there is no room for one or `each` ends the text.
fn clean(text: &str, bytes_max: usize, mut each: impl FnMut(char) -> Option<char>) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    // A line end of two characters is one.
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        match each(c).filter(|c| clean.len() + c.len_utf8() <= bytes_max) {
            Some(c) => clean.push(c),
            None => {
                clean.push('…');
                break;
            }
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_short_and_steers_nothing() {
        let cut = plain(&"ä".repeat(5000), 4095);
        assert_eq!(cut.len(), 4094 + "…".len());
        assert_eq!(plain("short\tand\r\nplain", 100), "short\tand\nplain");
        assert_eq!(plain("\u{1b}[31mred\u{7}\r", 100), "\u{fffd}[31mred\u{fffd}\u{fffd}");
        assert_eq!(one_line("one\ntwo\t\u{1b}", 100), "one two \u{fffd}");
        assert_eq!(plain("Grüße, 漢字, עברית, 👩🏽, ☎\u{fe0f}", 100), "Grüße, 漢字, עברית, 👩🏽, ☎\u{fe0f}");
    }

    #[test]
    fn a_text_has_few_lines() {
        let text = plain(&"forged\n".repeat(200), 4096);
        assert_eq!(text.lines().count(), 52, "{text}");
        assert!(text.ends_with('…'), "{text}");
    }

    #[test]
    fn what_turns_the_order_around_or_is_not_seen_is_replaced() {
        let unseen =
            ["\u{202e}", "\u{2066}", "\u{2069}", "\u{200b}", "\u{feff}", "\u{e0041}", "\u{9b}", "\u{3164}", "\u{85}"];
        for c in unseen {
            assert_eq!(plain(&format!("a{c}b"), 100), "a\u{fffd}b", "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_that_stays_as_it_is(text in any::<String>(), bytes_max in 0_usize..64) {
            let once = plain(&text, bytes_max);
            prop_assert!(once.len() <= bytes_max + "…".len());
            prop_assert!(!once.chars().any(|c| steers(c) && !matches!(c, '\n' | '\t')));
            prop_assert_eq!(plain(&once, bytes_max + "…".len()), once);
            prop_assert!(!one_line(&text, bytes_max).contains(['\n', '\t']));
        }
    }
}
