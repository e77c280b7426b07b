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
    let Some(code) = &spec.fails_with else {
        return if outcome == "succeeded" { Ok(ended) } else { Err(format!("{ended}; it should have succeeded")) };
    };
    let has_failed = ["failed", "rolled_back"].contains(&outcome) && said.contains(&format!("failed with {code}:"));
    let is_named = damaged.as_ref().is_some_and(|damaged| said.contains(damaged.as_str()));
    match (has_failed, is_named) {
        (true, true) => Ok(ended),
        (true, false) => {
            Err(format!("{ended}; it should have named {}", damaged.as_deref().unwrap_or("what is damaged")))
        }
        (false, _) => Err(format!("{ended}; it should have failed with {code}")),
    }
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
