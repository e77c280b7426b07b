//! What a run writes into `work` beside its copies: exact sets, what a merge did and what it left, what was settled. They lie in one
//! folder a run, so that it can be seen whose they are, and go together when nothing needs them any more: a run that failed needs
//! them to go on, and a merge that was interrupted is known to have taken effect only by its record.

use lifeboat_plugin::{Call, Failure, Machine, machine};

use crate::marker::{WORK, short_hash};

/// The folder of a run.
fn folder(caps: &impl Machine, machine: &str, run: &str) -> Result<String, Failure> {
    let plain = !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let name = if plain { run.to_owned() } else { short_hash(run) };
    Ok(format!("{}/files-{name}", caps.folder(machine, WORK)?))
}

/// Where a file of the call lies: the same for every attempt. `kind` is what it is (`merge`), `end` how its name ends (`.json`).
pub fn path(call: &Call, caps: &impl Machine, machine: &str, kind: &str, end: &str) -> Result<String, Failure> {
    let folder = folder(caps, machine, &call.run)?;
    Ok(format!("{folder}/{kind}-{}{end}", short_hash(&call.key)))
}

/// Makes the folder of the call's run, where it is not there.
pub fn prepare(call: &Call, caps: &impl Machine, machine: &str) -> Result<(), Failure> {
    Ok(caps.create_folder(machine, &folder(caps, machine, &call.run)?)?)
}

/// Removes what a run wrote; how many files there were.
pub fn remove(caps: &impl Machine, machine: &str, run: &str) -> Result<usize, Failure> {
    let folder = folder(caps, machine, run)?;
    let files = match caps.list_folder(machine, &folder) {
        Ok(entries) => entries.len(),
        Err(machine::Error::NotFound(_)) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    caps.remove(machine, &folder)?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::fake::Machine as Fake;

    use super::*;

    #[test]
    fn a_run_has_a_folder_of_its_own_and_no_name_leads_out_of_it() {
        let caps = Fake::default();
        caps.add_folder("work", "/work").expect("a folder");
        let check = |run: &str, expect: &str| {
            assert_eq!(folder(&caps, "m", run).expect("a folder"), expect, "{run}");
        };
        check("dr-003-20261121-7f3a", "/work/files-dr-003-20261121-7f3a");
        check("../archive", &format!("/work/files-{}", short_hash("../archive")));
        check("", &format!("/work/files-{}", short_hash("")));
    }

    #[test]
    fn only_the_files_of_the_run_go() {
        let caps = Fake::default();
        caps.add_folder("work", "/work").expect("a folder");
        let (one, other) = (call("one"), call("other"));
        for call in [&one, &other] {
            prepare(call, &caps, "m").expect("a folder");
            let path = path(call, &caps, "m", "merge", ".json").expect("a path");
            caps.files().write(&path, b"{}").expect("a file");
        }
        assert_eq!((remove(&caps, "m", "one"), remove(&caps, "m", "one")), (Ok(1), Ok(0)));
        assert!(caps.files().read(&path(&other, &caps, "m", "merge", ".json").expect("a path")).is_ok());
    }

    fn call(run: &str) -> Call {
        Call { run: run.to_owned(), ..Call::example("merge-missing", &serde_json::json!({})) }
    }
}
