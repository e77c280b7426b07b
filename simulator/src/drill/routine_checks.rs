//! The checks of routines: each comes to the right end, and leaves nothing behind.

use super::{
    evidence::Ran,
    rule::{Looked, Rule, Scope, Seen, seen},
};
use crate::report::CheckKind;

const fn rule(name: &'static str, look: fn(&Looked<'_>) -> Seen) -> Rule {
    Rule {
        name,
        kind: CheckKind::Result,
        scope: Scope::Drill,
        possible: |drill| drill.runs_routines,
        applies: |looked| looked.spec.routines().next().is_some(),
        needs: "a routine",
        look,
    }
}

/// The checks of a drill with routines.
pub(super) static ROUTINES: [Rule; 2] =
    [rule("routines-end-right", routines_end_right), rule("routines-leave-no-copy", routines_leave_no_copy)];

/// A routine that has to fail must fail with its code and name what is damaged: one that fails for another reason has seen nothing.
fn routines_end_right(looked: &Looked<'_>) -> Seen {
    let ran = &looked.evidence.ran;
    if ran.iter().any(|ran| ran.episode.out_of_time()) {
        return Seen::Unknown("the drill ended a routine after its time limit".to_owned());
    }
    let ends: Vec<Result<String, String>> = ran.iter().map(end).collect();
    let wrong: Vec<&str> = ends.iter().filter_map(|end| end.as_ref().err()).map(String::as_str).collect();
    match wrong.is_empty() {
        true => {
            let right: Vec<&str> = ends.iter().flatten().map(String::as_str).collect();
            seen(!right.is_empty(), right.join("; "))
        }
        false => Seen::Fails(wrong.join("; ")),
    }
}

/// How a routine ended; `Err`: it should have ended otherwise.
pub(super) fn end(ran: &Ran) -> Result<String, String> {
    let Ran { spec, episode, damaged, place, .. } = ran;
    let outcome = episode.outcome();
    let failure = episode.engine_error().or_else(|| episode.step_failure());
    let said = failure.as_deref().map_or_else(String::new, |failure| format!(": {failure}"));
    let ended = format!("routine {} ({}) ended {outcome}{said}", place + 1, spec.runbook);
    match missing(spec.fails_with.as_deref(), damaged.as_deref(), outcome, &said) {
        None => Ok(ended),
        Some(missing) => Err(format!("{ended}; it should have {missing}")),
    }
}

/// What a routine should have done that it did not.
fn missing(fails_with: Option<&str>, damaged: Option<&str>, outcome: &str, said: &str) -> Option<String> {
    let Some(code) = fails_with else {
        return (outcome != "succeeded").then(|| "succeeded".to_owned());
    };
    if !["failed", "rolled_back"].contains(&outcome) || !said.contains(&format!("failed with {code}:")) {
        return Some(format!("failed with {code}"));
    }
    let is_named = damaged.is_some_and(|damaged| names(said, damaged));
    (!is_named).then(|| format!("named {}", damaged.unwrap_or("what is damaged")))
}

/// Whether a text has a name, and not only the beginning of a longer one.
fn names(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| !text[at + name.len()..].starts_with(char::is_alphanumeric))
}

/// A routine restores copies only to look into them.
fn routines_leave_no_copy(looked: &Looked<'_>) -> Seen {
    let after = match &looked.evidence.work_after {
        Ok(after) => after,
        Err(why) => return Seen::Unknown(why.clone()),
    };
    let left: Vec<&str> = after.iter().filter(|entry| !entry.is_file).map(|entry| entry.name.as_str()).collect();
    let detail = if left.is_empty() { "no copy is left".to_owned() } else { format!("left: {}", left.join(", ")) };
    seen(left.is_empty(), detail)
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn a_routine_that_has_to_fail_does_so_with_its_code_and_names_what_is_damaged() {
        let said = ": step `intact` failed with pg-backup-damaged: base/16384/7 differs from the manifest";
        let check =
            |fails_with: Option<&str>, damaged: Option<&str>, outcome: &str, said: &str, expect: Option<&str>| {
                assert_eq!(missing(fails_with, damaged, outcome, said).as_deref(), expect, "{outcome} {said}");
            };
        let (code, file) = (Some("pg-backup-damaged"), Some("base/16384/7"));
        check(code, file, "failed", said, None);
        check(code, file, "rolled_back", said, None);
        check(code, Some("base/16384/8"), "failed", said, Some("named base/16384/8"));
        check(code, Some("base/16384"), "failed", &said.replace("16384/7", "163847"), Some("named base/16384"));
        check(code, None, "failed", said, Some("named what is damaged"));
        check(Some("pg-wal-gap"), file, "failed", said, Some("failed with pg-wal-gap"));
        check(code, file, "succeeded", "", Some("failed with pg-backup-damaged"));
        check(code, file, "stopped", said, Some("failed with pg-backup-damaged"));
        check(None, None, "succeeded", "", None);
        check(None, None, "succeeded_with_exceptions", "", Some("succeeded"));
        check(None, None, "failed", said, Some("succeeded"));
    }
}
