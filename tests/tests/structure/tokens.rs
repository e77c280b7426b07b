//! The tokens of a file, without comments and without what is compiled for its unit tests alone.

use std::iter;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A token; groups are flat, between what opens and what closes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    /// One character; `::` are two of them.
    Sign(char),
    /// Its text, with the quotes of a string.
    Literal(String),
}

/// The tokens of a file's text.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let text = text.strip_prefix("#!/").map_or(text, |rest| rest.split_once('\n').map_or("", |(_, rest)| rest));
    let stream: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
    Ok(flat(stream))
}

fn flat(stream: TokenStream) -> Vec<Token> {
    stream.into_iter().flat_map(each).collect()
}

fn each(tree: TokenTree) -> Vec<Token> {
    match tree {
        TokenTree::Ident(word) => vec![Token::Word(word.to_string())],
        TokenTree::Punct(sign) => vec![Token::Sign(sign.as_char())],
        TokenTree::Literal(literal) => vec![Token::Literal(literal.to_string())],
        TokenTree::Group(group) => {
            let inside = flat(group.stream());
            let (opens, closes) = match group.delimiter() {
                Delimiter::Parenthesis => ('(', ')'),
                Delimiter::Brace => ('{', '}'),
                Delimiter::Bracket => ('[', ']'),
                Delimiter::None => return inside,
            };
            iter::once(Token::Sign(opens)).chain(inside).chain(iter::once(Token::Sign(closes))).collect()
        }
    }
}

/// Whether the token is this word or this sign.
pub(crate) fn is(token: Option<&Token>, text: &str) -> bool {
    match token {
        Some(Token::Word(word)) => word == text,
        Some(Token::Sign(sign)) => text.chars().eq([*sign]),
        _ => false,
    }
}

/// Whether the tokens begin with these words and signs.
pub(crate) fn begins(tokens: &[Token], with: &[&str]) -> bool {
    with.iter().enumerate().all(|(position, text)| is(tokens.get(position), text))
}

/// The tokens without the items that stand behind `#[cfg(test)]`.
pub(crate) fn shipped(tokens: &[Token]) -> Vec<Token> {
    const TESTS_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut position = 0;
    while position < tokens.len() {
        if begins(&tokens[position..], &TESTS_ONLY) {
            position += TESTS_ONLY.len();
            position += item(&tokens[position..]);
        } else {
            kept.push(tokens[position].clone());
            position += 1;
        }
    }
    kept
}

/// How many tokens the item has that begins here: up to a semicolon, or to the end of its braces.
fn item(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (position, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('(' | '[' | '{') => depth += 1,
            Token::Sign(closes @ (')' | ']' | '}')) => {
                depth = depth.saturating_sub(1);
                if depth == 0 && *closes == '}' && !is(tokens.get(position + 1), ";") {
                    return position + 1;
                }
            }
            Token::Sign(';') if depth == 0 => return position + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn what_only_tests_see_is_left_out() {
    let check = |text: &str, expect: &str| {
        let kept = shipped(&tokens(text).expect("tokens"));
        assert_eq!(kept, tokens(expect).expect("tokens"), "{text}");
    };
    check("mod a; #[cfg(test)] mod tests { use b::c; } mod d;", "mod a; mod d;");
    check("#[cfg(test)] mod tests; fn f() { g() }", "fn f() { g() }");
    check("#[cfg(test)] use a::{b, c}; struct D;", "struct D;");
    check("#[cfg(test)] #[derive(Debug)] struct E { f: u8 } struct G(u8);", "struct G(u8);");
    check("// use a;\nconst B: &str = \"use c;\";", "const B: &str = \"use c;\";");
}
