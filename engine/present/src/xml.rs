//! Text within XML and HTML.

/// The text with what reads as markup written out, in an element or in an attribute between quotes. What XML 1.0 cannot hold at all
/// (<https://www.w3.org/TR/xml/#charsets>) is left out.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars().filter(|character| can_be_held(*character)) {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // A parser would make a line feed of it.
            '\r' => safe.push_str("&#13;"),
            other => safe.push(other),
        }
    }
    safe
}

/// The production `Char` of XML 1.0, without the controls that it only discourages: no text of ours has them on purpose.
fn can_be_held(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => !other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_text_stays_text() {
        let check = |text: &str, expected: &str| assert_eq!(escape(text), expected, "{text:?}");
        check("a<b> & \"c\" 'd'", "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
        check("\u{1b}[2J\0\u{b}\u{fffe}\u{ffff}\u{85}", "[2J");
        check("]]>\r\n\tü😀", "]]&gt;&#13;\n\tü😀");
    }
}
