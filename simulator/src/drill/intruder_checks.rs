//! The checks of a recovery from an intruder: the server that serves at the end has nothing of it.

use super::{
    evidence::Remains,
    rule::{Looked, Outline, Rule, Scope, Seen, seen, with_fault},
};
use crate::report::CheckKind;

const fn result(name: &'static str, look: fn(&Looked<'_>) -> Seen) -> Rule {
    let needs = "a recovery from an intruder";
    Rule { name, kind: CheckKind::Result, scope: Scope::Drill, possible, applies: with_intruder, needs, look }
}

fn possible(outline: &Outline) -> bool {
    outline.recovers
}

fn with_intruder(looked: &Looked<'_>) -> bool {
    with_fault(looked) && looked.evidence.intruder.is_some()
}

/// The checks.
pub(super) static INTRUDERS: [Rule; 2] =
    [result("nothing-planted-is-left", nothing_planted), result("stolen-passwords-refused", stolen_passwords)];

fn of_remains(looked: &Looked<'_>, look: impl Fn(&Remains) -> Seen) -> Seen {
    match &looked.evidence.intruder {
        Some(Ok(remains)) => look(remains),
        Some(Err(why)) => Seen::Unknown(why.clone()),
        None => Seen::Unknown("there was no intruder".to_owned()),
    }
}

/// What the intruder has planted is looked for by name in the server that serves.
fn nothing_planted(looked: &Looked<'_>) -> Seen {
    of_remains(looked, |Remains { server, looked_for, planted, .. }| {
        let detail = match planted.is_empty() {
            true => format!("{server} has none of the {looked_for} things that the intruder has planted"),
            false => format!("{server} has: {}", planted.join(", ")),
        };
        seen(planted.is_empty() && *looked_for > 0, detail)
    })
}

/// A login that fails for another reason, such as a server that is down, says nothing about the password.
fn stolen_passwords(looked: &Looked<'_>) -> Seen {
    of_remains(looked, |Remains { server, tried, let_in, unclear, .. }| {
        if !let_in.is_empty() {
            return seen(false, format!("{server} lets in with a stolen password: {}", let_in.join(", ")));
        }
        match unclear.is_empty() {
            true => seen(*tried > 0, format!("{server} refuses each of {tried} stolen passwords")),
            false => Seen::Unknown(unclear.join("; ")),
        }
    })
}
