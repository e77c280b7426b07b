//! `pg/check-backups`: whether the newest backup is young enough, and of about the size of the one before.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    backup::{
        age,
        base_backup::{self, BACKUPS},
    },
    call::duration,
    server::Capabilities,
};

const AGE_AT_MOST: &str = "25h";
const SIZE_CHANGE_AT_MOST: u64 = 50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    backups: Option<String>,
    age_at_most: Option<String>,
    size_change_at_most: Option<u64>,
}

pub(super) fn action() -> Action {
    Action::new(
        "check-backups",
        Effect::Read,
        "Fails if the newest whole base backup is too old, by the time recorded in it, or if its size differs too \
         much from that of the previous one, which may mean that it is a backup of something else.",
    )
    .parameter("machine", "target<machine:read>", "Where they are.")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .optional("age_at_most", "duration", "Maximum age of the newest one (25h).")
    .optional(
        "size_change_at_most",
        "int",
        "By how many percent its size may differ from that of the previous one (50).",
    )
    .output("newest", "string", "The newest backup.")
    .output("taken", "timestamp", "When it was begun.")
    .output("size_bytes", "int", "Its size; 0 if the manifest is too large to read.")
    .maybe_output("previous", "string", "The previous one, with which its size was compared.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let age_at_most = parameters.age_at_most.as_deref().unwrap_or(AGE_AT_MOST);
    let limit_ms = duration::milliseconds(age_at_most).ok_or_else(|| {
        Failure::invalid_input("pg-duration", format!("`{age_at_most}` is not a duration such as `25h`"))
    })?;
    let mut backups = base_backup::list(caps, machine, &folder)?;
    let Some(newest) = backups.pop() else {
        return Err(Failure::permanent("pg-no-backup", format!("there is no whole base backup in {folder}")));
    };
    let path = format!("{folder}/{}", newest.name);
    let taken = age::taken(caps, machine, &path, &newest.start_time)?;
    let age_ms = caps.now_ms().saturating_sub(u64::try_from(taken.as_millisecond()).unwrap_or(0));
    if age_ms > limit_ms {
        let message = format!("{path} was begun at {taken}, {} ago; the maximum age is {age_at_most}", hours(age_ms));
        return Err(Failure::permanent("pg-backup-too-old", message));
    }
    let previous = backups.pop().filter(|previous| previous.size_bytes > 0 && newest.size_bytes > 0);
    let most = parameters.size_change_at_most.unwrap_or(SIZE_CHANGE_AT_MOST);
    if let Some(previous) = &previous
        && let Some(percent) = change(previous.size_bytes, newest.size_bytes).filter(|percent| *percent > most)
    {
        let message = format!(
            "{path} has {} bytes, and the previous one, {}, has {}: they differ by {percent} %, and at most {most} % \
             is allowed",
            newest.size_bytes, previous.name, previous.size_bytes
        );
        return Err(Failure::permanent("pg-backup-size", message));
    }
    let mut summary = format!("{} was begun {} ago", newest.name, hours(age_ms));
    let mut outputs = json!({ "newest": newest.name, "taken": taken, "size_bytes": newest.size_bytes });
    match previous {
        Some(previous) => {
            summary = format!("{summary}; its size is like that of {}", previous.name);
            outputs["previous"] = previous.name.into();
        }
        None => summary.push_str("; there is no other backup to compare its size with"),
    }
    Outcome::new(outputs, summary)
}

/// By how many percent of `before` the size differs, rounded up.
fn change(before: u64, now: u64) -> Option<u64> {
    (u128::from(before.abs_diff(now)) * 100).div_ceil(u128::from(before.max(1))).try_into().ok()
}

fn hours(ms: u64) -> String {
    let minutes = ms / 60_000;
    if minutes < 60 { format!("{minutes} minutes") } else { format!("{} h {} min", minutes / 60, minutes % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_counted_in_percent_of_the_one_before() {
        let table = [
            (100, 100, 0),
            (100, 150, 50),
            (100, 151, 51),
            (100, 50, 50),
            (100, 49, 51),
            (1000, 1501, 51),
            (10, 1000, 9900),
        ];
        for (before, now, expected) in table {
            assert_eq!(change(before, now), Some(expected), "{before} {now}");
        }
    }

    #[test]
    fn an_age_reads_well() {
        assert_eq!(
            (hours(59 * 60_000), hours(25 * 3_600_000 + 90_000)),
            ("59 minutes".to_owned(), "25 h 1 min".to_owned())
        );
    }
}
