//! The words of an SQL text outside of literals and comments: as much of PostgreSQL's lexical rules as a guard needs.

use std::{iter::Peekable, str::CharIndices};

/// A piece of SQL that a guard looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A key word or name, in lower case.
    Word(String),
    /// A name in double quotes, as it is.
    Quoted(String),
    /// Any other character that is neither space nor part of a literal.
    Symbol(char),
}

/// Something that is not closed, or a form that hides names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// A quote, comment or dollar quote continues to the end.
    #[error("a literal, quoted name or comment is not closed")]
    Open,
    /// `U&"…"` can spell any name.
    #[error("names of the form U&\"…\" are not supported")]
    UnicodeName,
}

struct Lexer<'a> {
    sql: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

/// The words and symbols of the text.
pub(super) fn tokens(sql: &str) -> Result<Vec<Token>, Unreadable> {
    let mut lexer = Lexer { sql, chars: sql.char_indices().peekable() };
    let mut tokens = Vec::new();
    while let Some((at, c)) = lexer.chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '-' if lexer.eat('-') => while lexer.chars.next().is_some_and(|(_, c)| c != '\n') {},
            '/' if lexer.eat('*') => lexer.comment()?,
            '\'' => lexer.literal(false)?,
            '"' => tokens.push(Token::Quoted(lexer.quoted()?)),
            '$' => lexer.dollar(at)?,
            c if is_word_start(c) => lexer.word(at, &mut tokens)?,
            c => tokens.push(Token::Symbol(c)),
        }
    }
    Ok(tokens)
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_word_part(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

impl Lexer<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, c)| *c == wanted).is_some()
    }

    /// Block comments nest.
    fn comment(&mut self) -> Result<(), Unreadable> {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.chars.next().ok_or(Unreadable::Open)?.1 {
                '*' if self.eat('/') => depth -= 1,
                '/' if self.eat('*') => depth += 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn literal(&mut self, backslashes: bool) -> Result<(), Unreadable> {
        loop {
            match self.chars.next().ok_or(Unreadable::Open)?.1 {
                '\\' if backslashes => drop(self.chars.next().ok_or(Unreadable::Open)?),
                '\'' if !self.eat('\'') => return Ok(()),
                _ => {}
            }
        }
    }

    fn quoted(&mut self) -> Result<String, Unreadable> {
        let mut name = String::new();
        loop {
            match self.chars.next().ok_or(Unreadable::Open)?.1 {
                '"' if !self.eat('"') => return Ok(name),
                c => name.push(c),
            }
        }
    }

    /// `$1` is a parameter, `$$…$$` and `$tag$…$tag$` are literals.
    fn dollar(&mut self, at: usize) -> Result<(), Unreadable> {
        let rest = &self.sql[at + 1..];
        let tag_length = rest.find(|c: char| !is_word_part(c) || c == '$').unwrap_or(rest.len());
        if !rest[tag_length..].starts_with('$') || rest.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(());
        }
        let tag = &self.sql[at..at + tag_length + 2];
        let body = at + tag.len();
        let end = body + self.sql[body..].find(tag).ok_or(Unreadable::Open)? + tag.len();
        while self.chars.next_if(|(at, _)| *at < end).is_some() {}
        Ok(())
    }

    fn word(&mut self, at: usize, tokens: &mut Vec<Token>) -> Result<(), Unreadable> {
        let mut end = self.sql.len();
        while let Some((next, c)) = self.chars.peek().copied() {
            if !is_word_part(c) {
                end = next;
                break;
            }
            self.chars.next();
        }
        let word = self.sql[at..end].to_lowercase();
        match (word.as_str(), self.chars.peek().map(|(_, c)| *c)) {
            ("e", Some('\'')) => {
                self.chars.next();
                self.literal(true)
            }
            ("u", Some('&')) if self.sql[end + 1..].starts_with('"') => Err(Unreadable::UnicodeName),
            _ => {
                tokens.push(Token::Word(word));
                Ok(())
            }
        }
    }
}
