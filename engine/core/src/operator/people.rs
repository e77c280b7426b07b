//! Who may answer for a role.

use std::collections::{BTreeMap, BTreeSet};

use super::Refusal;
use crate::event::Person;

/// What stands before the name of a group of the operating system, in a list of people.
const GROUP: &str = "group:";

/// Whether this person has one of the roles. Where the bindings name no people at all, everybody who can reach the run may answer:
/// the permissions of its folder are the rule then. If they name some, nobody has a role that they do not name. A drill's policy
/// answers for everybody. `groups` are those of the operating system that the person is in, and `what` begins the refusal: what is
/// answered.
///
/// # Errors
/// `operator-role` if somebody else has the role, `operator-role-unknown` if nobody has it.
pub fn may_answer(
    people: &BTreeMap<String, Vec<String>>,
    by: &[String],
    (who, groups): (&Person, &BTreeSet<String>),
    what: &str,
) -> Result<(), Refusal> {
    let Person::User { name } = who else { return Ok(()) };
    if by.is_empty() || people.is_empty() {
        return Ok(());
    }
    let named: Vec<&String> = by.iter().filter_map(|role| people.get(role)).flatten().collect();
    let is_meant = |entry: &&&String| match entry.strip_prefix(GROUP) {
        Some(group) => groups.contains(group),
        None => **entry == name,
    };
    if named.iter().any(|entry| is_meant(&entry)) {
        return Ok(());
    }
    let roles = by.join(" or ");
    if named.is_empty() {
        let message = format!("{what} by {roles}, but `people` in the bindings names nobody for that role");
        return Err(Refusal::new("operator-role-unknown", message));
    }
    let may: Vec<String> = named.iter().map(|entry| in_words(entry)).collect();
    let message = format!("{what} by {roles}: {}; you are {name}", may.join(" or "));
    Err(Refusal::new("operator-role", message))
}

fn in_words(entry: &str) -> String {
    match entry.strip_prefix(GROUP) {
        Some(group) => format!("members of the group {group}"),
        None => entry.to_owned(),
    }
}
