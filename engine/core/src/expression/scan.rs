//! Finds `${{ }}` in text.

use super::ExpressionError;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Stands for itself.
    Text(&'a str),
    /// What stands between `${{` and `}}`, and where that begins in the text.
    Expression {
        /// The CEL text.
        text: &'a str,
        /// Byte of its start.
        at: usize,
    },
}

/// The pieces of a text in order. `}}` inside a quoted string or a CEL map does not end an expression.
pub(crate) fn parts(text: &str) -> Result<Vec<Part<'_>>, ExpressionError> {
    let mut parts = Vec::new();
    let mut done = 0;
    while let Some(found) = text[done..].find("${{") {
        let open = done + found;
        let start = open + 3;
        let end = close(&text[start..]).ok_or_else(|| ExpressionError {
            message: "`${{` is not closed with `}}`".to_owned(),
            at: Some((open, start)),
        })?;
        if open > done {
            parts.push(Part::Text(&text[done..open]));
        }
        parts.push(Part::Expression { text: &text[start..start + end], at: start });
        done = start + end + 2;
    }
    if done < text.len() || parts.is_empty() {
        parts.push(Part::Text(&text[done..]));
    }
    Ok(parts)
}

fn close(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => {
                bytes.next();
            }
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if text[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shape(text: &str) -> String {
        match parts(text) {
            Ok(parts) => parts
                .iter()
                .map(|part| match part {
                    Part::Text(text) => format!("[{text}]"),
                    Part::Expression { text, at } => format!("({text}@{at})"),
                })
                .collect(),
            Err(error) => format!("error: {error} {:?}", error.at),
        }
    }

    #[test]
    fn expressions_are_found() {
        for (text, wanted) in [
            ("", "[]"),
            ("plain $x {{ }}", "[plain $x {{ }}]"),
            ("${{ a }}", "( a @3)"),
            ("x ${{a}} y ${{b}}", "[x ](a@5)[ y ](b@14)"),
            (r#"${{ "}}" }}"#, r#"( "}}" @3)"#),
            (r#"${{ "\"}}" }}"#, r#"( "\"}}" @3)"#),
            ("${{ {'a': {'b': 1}} }}", "( {'a': {'b': 1}} @3)"),
            ("é ${{ a", "error: `${{` is not closed with `}}` Some((3, 6))"),
        ] {
            assert_eq!(shape(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_pieces_make_up_the_text(text in "([a-z é'\"{}$]|\\$\\{\\{|\\}\\}){0,20}") {
            if let Ok(parts) = parts(&text) {
                let again: String = parts.iter().map(|part| match part {
                    Part::Text(text) => (*text).to_owned(),
                    Part::Expression { text, .. } => format!("${{{{{text}}}}}"),
                }).collect();
                prop_assert_eq!(again, text);
            }
        }
    }
}
