//! Every file is compiled, and has something in it.

use std::collections::BTreeSet;

use lifeboat_tests::source::{read, tracked};

use super::{
    modules::crates,
    tokens::{Token, begins, tokens},
};

#[test]
fn every_file_is_named_by_a_module() {
    let named: BTreeSet<_> = crates().iter().flat_map(super::modules::Crate::files).collect();
    let orphans: Vec<_> = tracked(".rs").into_iter().filter(|file| !named.contains(file)).collect();
    assert!(orphans.is_empty(), "nothing compiles these files: {orphans:#?}");
}

#[test]
fn no_file_is_empty() {
    let empty: Vec<_> = tracked(".rs")
        .into_iter()
        .filter(|file| !has_items(&tokens(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))))
        .collect();
    assert!(empty.is_empty(), "there is nothing in these files: {empty:#?}");
}

/// Whether there is anything but attributes of the file itself.
fn has_items(tokens: &[Token]) -> bool {
    let mut rest = tokens;
    while begins(rest, &["#", "!", "["]) {
        let mut depth = 0_usize;
        let end = rest.iter().position(|token| {
            match token {
                Token::Sign('[') => depth += 1,
                Token::Sign(']') => depth -= 1,
                _ => {}
            }
            depth == 0 && *token == Token::Sign(']')
        });
        rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
    }
    !rest.is_empty()
}

#[test]
fn attributes_alone_are_nothing() {
    let check = |text: &str, expect: bool| assert_eq!(has_items(&tokens(text).expect("tokens")), expect, "{text}");
    check("", false);
    check("//! A page.\n#![no_std]\n", false);
    check("//! A page.\npub use a::B;", true);
}
