//! The identity of a person, according to the operating system.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Output, Stdio},
};

use lifeboat_core::event::Person;

const ROOT: u32 = 0;

/// The person behind this process.
pub fn this_person() -> Person {
    person(rustix::process::geteuid().as_raw(), std::env::var("SUDO_USER").ok().as_deref())
}

/// The person behind a process of that user. Root may say for whom it acts, as `sudo` does: it could write the journal as well.
pub(crate) fn person(uid: u32, sudo_user: Option<&str>) -> Person {
    let behind_sudo = sudo_user.filter(|name| uid == ROOT && is_name(name)).map(str::to_owned);
    let name = behind_sudo.or_else(|| name_of(&uid.to_string())).unwrap_or_else(|| format!("uid {uid}"));
    Person::User { name }
}

/// The groups of a person, where a role of the run names groups.
pub fn groups(people: &BTreeMap<String, Vec<String>>, who: &Person) -> BTreeSet<String> {
    let Person::User { name } = who else { return BTreeSet::new() };
    if !people.values().flatten().any(|entry| entry.starts_with("group:")) {
        return BTreeSet::new();
    }
    // With `-z`, because a name may hold blanks, and whatever its status: that only says that some group has no name.
    let said = id("-Gnz", name).map(|output| output.stdout).unwrap_or_default();
    if !said.is_empty() {
        return names(&said);
    }
    // An `id` without `-z`: names with blanks cannot be told apart there, and count as several.
    let said = id("-Gn", name).map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).split_whitespace().map(str::to_owned).collect()
}

/// A name as the operating system gives names: it goes into the journal and onto terminals.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && !name.starts_with('-')
        && name.chars().all(|c| c.is_alphanumeric() || "._-@\\+$".contains(c))
}

/// Names between zero bytes.
fn names(said: &[u8]) -> BTreeSet<String> {
    let name = |name: &[u8]| String::from_utf8(name.to_vec()).ok().filter(|name| !name.is_empty());
    said.split(|byte| *byte == 0).filter_map(name).collect()
}

fn name_of(user: &str) -> Option<String> {
    let output = id("-un", user)?;
    let said = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !said.is_empty()).then_some(said)
}

/// What `id` says: it knows every source of users that the machine is set up for.
fn id(what: &str, of: &str) -> Option<Output> {
    Command::new("id").args([what, "--", of]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Person {
        Person::User { name: name.to_owned() }
    }

    #[test]
    fn only_root_acts_for_somebody_else() {
        assert_eq!(person(ROOT, Some("ada")), user("ada"));
        assert_eq!(person(ROOT, None), user("root"));
        assert_eq!(person(ROOT, Some("a\u{1b}[2J")), user("root"));
        assert_eq!(person(4_000_000_001, Some("ada")), user("uid 4000000001"), "nobody has that number");
    }

    #[test]
    fn the_name_of_a_group_may_hold_blanks() {
        let wanted = ["dba readonly", "domain admins"].map(str::to_owned).into();
        assert_eq!(names(b"domain admins\0dba readonly\0"), wanted);
        assert!(names(b"").is_empty());
    }

    #[test]
    fn groups_are_looked_up_where_a_role_names_one() {
        let people = |entry: &str| BTreeMap::from([("dba".to_owned(), vec![entry.to_owned()])]);
        assert!(groups(&people("group:dba"), &user("root")).contains("root"));
        assert!(groups(&people("ada"), &user("root")).is_empty());
    }
}
