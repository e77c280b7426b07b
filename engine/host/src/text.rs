//! Texts of guests, made fit for a log and a terminal: short, and without characters that steer either.

/// At most so many bytes, cut at a character, control characters (escape sequences among them) replaced.
pub(crate) fn plain(text: &str, bytes_max: usize) -> String {
    let mut plain = String::with_capacity(text.len().min(bytes_max));
    for c in text.chars() {
        if plain.len() + c.len_utf8() > bytes_max {
            plain.push('…');
            break;
        }
        match c {
            '\n' | '\t' => plain.push(c),
            c if c.is_control() => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_short_and_steers_nothing() {
        let cut = plain(&"ä".repeat(5000), 4095);
        assert_eq!(cut.len(), 4094 + "…".len());
        assert_eq!(plain("short\tand\nplain", 100), "short\tand\nplain");
        assert_eq!(plain("\u{1b}[31mred\u{7}\r", 100), "\u{fffd}[31mred\u{fffd}\u{fffd}");
    }
}
