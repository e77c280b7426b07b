//! What a file names of other modules: its `use` items, and the paths in its code.

use super::tokens::{Token, is};

/// One name that a `use` brings in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// Under which name; none for a glob.
    pub(crate) name: Option<String>,
    /// Where it is.
    pub(crate) path: Vec<String>,
}

/// What a file names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) imports: Vec<Import>,
    /// Paths of two words or more.
    pub(crate) paths: Vec<Vec<String>>,
}

/// Reads what these tokens name.
pub(crate) fn named(tokens: &[Token]) -> Named {
    let mut named = Named::default();
    let mut position = 0;
    while let Some(token) = tokens.get(position) {
        let goes_on = position >= 2 && is(tokens.get(position - 1), ":") && is(tokens.get(position - 2), ":");
        let Token::Word(word) = token else {
            position += 1;
            continue;
        };
        if word == "use" && !goes_on && !is(tokens.get(position + 1), "<") {
            position = tree(tokens, position + 1, &[], &mut named.imports);
            continue;
        }
        let (path, next) = path(tokens, position);
        if path.len() > 1 && !goes_on {
            named.paths.push(path);
        }
        position = next.max(position + 1);
    }
    named
}

/// The words from here that `::` joins, and the position behind them.
fn path(tokens: &[Token], mut position: usize) -> (Vec<String>, usize) {
    let mut words = Vec::new();
    while let Some(Token::Word(word)) = tokens.get(position) {
        words.push(word.clone());
        position += 1;
        let joined = is(tokens.get(position), ":") && is(tokens.get(position + 1), ":");
        if !joined || !matches!(tokens.get(position + 2), Some(Token::Word(_))) {
            break;
        }
        position += 2;
    }
    (words, position)
}

/// Reads one tree of a `use` behind a prefix; gives the position behind it.
fn tree(tokens: &[Token], mut position: usize, prefix: &[String], imports: &mut Vec<Import>) -> usize {
    while is(tokens.get(position), ":") {
        position += 1;
    }
    let (words, next) = path(tokens, position);
    let whole = [prefix, &words].concat();
    position = next;
    while is(tokens.get(position), ":") {
        position += 1;
    }
    if is(tokens.get(position), "{") {
        position += 1;
        while position < tokens.len() && !is(tokens.get(position), "}") {
            position = tree(tokens, position, &whole, imports);
            if is(tokens.get(position), ",") {
                position += 1;
            }
        }
        return position + 1;
    }
    if is(tokens.get(position), "*") {
        imports.push(Import { name: None, path: whole });
        return position + 1;
    }
    let own = whole.last().is_some_and(|last| last == "self") && whole.len() > 1;
    let place = if own { whole[..whole.len() - 1].to_vec() } else { whole };
    let mut name = place.last().cloned();
    if is(tokens.get(position), "as") {
        if let Some(Token::Word(alias)) = tokens.get(position + 1) {
            name = Some(alias.clone());
        }
        position += 2;
    }
    if place.is_empty() {
        // Nothing that is read here: one token further, so that reading ends.
        return position + 1;
    }
    imports.push(Import { name, path: place });
    position
}

#[test]
fn everything_that_is_named_is_found() {
    let check = |text: &str, expect: &[&str]| {
        let named = named(&super::tokens::tokens(text).expect("tokens"));
        let imports =
            named.imports.iter().map(|it| format!("{} = {}", it.name.as_deref().unwrap_or("*"), it.path.join("::")));
        let found: Vec<_> = imports.chain(named.paths.iter().map(|path| path.join("::"))).collect();
        assert_eq!(found, expect, "{text}");
    };
    check("use crate::a::B;", &["B = crate::a::B"]);
    check("pub use a::{b::{self, C}, d::*, E as F};", &["b = a::b", "C = a::b::C", "* = a::d", "F = a::E"]);
    check("use {a::b, c::d};", &["b = a::b", "d = c::d"]);
    check("fn f() -> a::B { crate::c::d::<E>(g) }", &["a::B", "crate::c::d"]);
    check("use ::a::b; fn f() -> impl C + use<'_> { x }", &["b = a::b"]);
    check("json!(super::a::b(c))", &["super::a::b"]);
}
