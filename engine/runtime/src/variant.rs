//! The name of a variant, for those who debug. What it holds can be a secret, and is never looked at.

use std::fmt::{self, Write as _};

/// The name under which a value's type lists it: `StepStarted`.
pub(crate) fn name(value: &impl fmt::Debug) -> String {
    let mut name = Name(String::new());
    // It ends in an error, where the name ends.
    let _ended = write!(name, "{value:?}");
    name.0
}

/// Takes what is written up to the end of the first word.
struct Name(String);

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let word = text.find(|c: char| !c.is_ascii_alphanumeric()).map_or(text, |end| &text[..end]);
        self.0.push_str(word);
        if word.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "only its names are looked at")]
    enum Event {
        Plain,
        Holding { secret: &'static str },
        Around(&'static str),
    }

    #[test]
    fn nothing_of_what_it_holds_is_in_the_name() {
        let check = |event: Event, expect: &str| assert_eq!(name(&event), expect);
        check(Event::Plain, "Plain");
        check(Event::Holding { secret: "planted" }, "Holding");
        check(Event::Around("planted"), "Around");
    }
}
