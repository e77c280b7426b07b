//! What a run writes into `work` beside its copies: exact sets, what a merge did and what it left, what was settled. The names of these
//! files begin with the run, so that their owner is known, and they are removed together when nothing needs them any more: a failed run
//! needs them to continue, and only its record shows whether an interrupted merge took effect.

use lifeboat_plugin::{Call, Failure, Machine, machine::EntryKind};

use crate::{call::digest::short_hash, copy::marker::WORK};

/// How the names of a run's files begin.
fn prefix(run: &str) -> String {
    let plain = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    format!("{}.", if plain { run.to_owned() } else { short_hash(run) })
}

/// The path of a file of the call: the same for every attempt. `kind` is what it is (`merge`), `end` how its name ends (`.json`).
pub fn path(call: &Call, caps: &impl Machine, machine: &str, kind: &str, end: &str) -> Result<String, Failure> {
    let (folder, prefix) = (caps.folder(machine, WORK)?, prefix(&call.run));
    Ok(format!("{folder}/{prefix}{kind}-{}{end}", short_hash(&call.key)))
}

/// Removes what a run wrote; how many files there were.
pub fn remove(caps: &impl Machine, machine: &str, run: &str) -> Result<usize, Failure> {
    let (folder, prefix) = (caps.folder(machine, WORK)?, prefix(run));
    let mut files = caps.list_folder(machine, &folder)?;
    files.retain(|entry| entry.kind == EntryKind::File && entry.name.starts_with(&prefix));
    for file in &files {
        caps.remove(machine, &format!("{folder}/{}", file.name))?;
    }
    Ok(files.len())
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::fake::Machine as Fake;

    use super::*;

    #[test]
    fn no_name_of_a_run_leads_elsewhere() {
        let check = |run: &str, expect: &str| assert_eq!(prefix(run), expect, "{run}");
        check("dr-003-20261121-7f3a", "dr-003-20261121-7f3a.");
        check("../archive", &format!("{}.", short_hash("../archive")));
        check("", &format!("{}.", short_hash("")));
    }

    #[test]
    fn only_the_files_of_the_run_go() {
        let caps = Fake::default();
        caps.add_folder("work", "/work").expect("a folder");
        let paths: Vec<_> = ["one", "one-more"].map(call).iter().map(|call| written(call, &caps)).collect();
        caps.files().create_folder("/work/one.folder").expect("a folder");
        assert_eq!((remove(&caps, "m", "one"), remove(&caps, "m", "one")), (Ok(1), Ok(0)));
        assert_eq!(paths.iter().map(|path| caps.files().exists(path)).collect::<Vec<_>>(), [false, true]);
        assert!(caps.files().exists("/work/one.folder"));
    }

    fn call(run: &str) -> Call {
        Call { run: run.to_owned(), ..Call::example("merge-missing", &serde_json::json!({})) }
    }

    fn written(call: &Call, caps: &Fake) -> String {
        let path = path(call, caps, "m", "merge", ".json").expect("a path");
        caps.files().write(&path, b"{}").expect("a file");
        path
    }
}
