//! `pg/check-backups`: whether the newest backup is young enough and of about the size of the one before, and whether one is missing.

use jiff::Timestamp;
use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    backup::{
        age,
        base_backup::{self, BACKUPS, Backup},
    },
    call::duration,
    server::Capabilities,
};

const AGE_AT_MOST: &str = "25h";
const SIZE_CHANGE_AT_MOST: u64 = 50;
const WINDOW: &str = "30d";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    backups: Option<String>,
    age_at_most: Option<String>,
    size_change_at_most: Option<u64>,
    apart_at_most: Option<String>,
    window: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "check-backups",
        Effect::Read,
        "Fails if the newest whole base backup is too old, by the time recorded in it, or if its size differs too \
         much from that of the previous one, which may mean that it is a backup of something else. With \
         `apart_at_most` it also fails if two of them are further apart, because one that was promised is missing.",
    )
    .parameter("machine", "target<machine:read>", "Where they are.")
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .optional("age_at_most", "duration", "Maximum age of the newest one (25h).")
    .optional(
        "size_change_at_most",
        "int",
        "By how many percent its size may differ from that of the previous one (50).",
    )
    .optional("apart_at_most", "duration", "How far two backups that follow each other may be apart (any time).")
    .optional("window", "duration", "So far back that is promised; older ones may have been thinned out (30d).")
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
    let limit_ms = milliseconds(age_at_most)?;
    let mut backups = base_backup::list(caps, machine, &folder)?;
    let all = backups.clone();
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
    if let Some(apart) = &parameters.apart_at_most {
        let window = milliseconds(parameters.window.as_deref().unwrap_or(WINDOW))?;
        check_gaps(caps, machine, &folder, &all, (apart, window))?;
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

fn milliseconds(text: &str) -> Result<u64, Failure> {
    let none = || Failure::invalid_input("pg-duration", format!("`{text}` is not a duration such as `25h`"));
    duration::milliseconds(text).ok_or_else(none)
}

/// Fails where two backups are further apart, of which the later one was begun within the window.
fn check_gaps(
    caps: &impl Capabilities,
    machine: &str,
    folder: &str,
    backups: &[Backup],
    (apart, window_ms): (&str, u64),
) -> Result<(), Failure> {
    let (limit, now) = (milliseconds(apart)?, caps.now_ms());
    let begun = |backup: &Backup| {
        Ok((backup.name.clone(), age::taken(caps, machine, &format!("{folder}/{}", backup.name), &backup.start_time)?))
    };
    let begun = backups.iter().map(begun).collect::<Result<Vec<(String, Timestamp)>, Failure>>()?;
    let since = |time: Timestamp| now.saturating_sub(u64::try_from(time.as_millisecond()).unwrap_or(0));
    let gap = |pair: &&[(String, Timestamp)]| {
        let (before, after) = (since(pair[0].1), since(pair[1].1));
        after <= window_ms && before.saturating_sub(after) > limit
    };
    let Some([(before, from), (after, to)]) = begun.windows(2).find(gap) else { return Ok(()) };
    let message = format!(
        "{folder}/{before} was begun at {from} and the next one, {after}, at {to}, {} later: one that should lie between \
         them is missing, because they may be {apart} apart",
        hours(since(*from) - since(*to))
    );
    Err(Failure::permanent("pg-backup-missing", message))
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
