//! Who sits at this terminal, as the operating system knows it: the journal names them.

use lifeboat_core::event::Person;

/// The login name of the user; behind `sudo`, of the user who called it.
pub(crate) fn current() -> Person {
    let name = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let name = name.or_else(|| whoami::username().ok()).unwrap_or_else(|| "unknown".to_owned());
    Person::User { name }
}
