//! `pg/pick-backup`: one of the sealed backups, drawn by a seed, so that over the months each is restored.

use lifeboat_plugin::{Action, Call, Effect, Failure, Outcome};
use serde::Deserialize;
use serde_json::json;

use crate::{
    backup::{
        base_backup::{self, BACKUPS, Backup},
        seal::sealed,
    },
    call::digest::short_hash,
    server::{Capabilities, databases::some},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    machine: String,
    seed: Option<String>,
    backups: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "pick-backup",
        Effect::Read,
        "Draws one of the whole base backups that have a seal. Fails if the newest one has none, because what it \
         holds is then unmeasured, or if a seal lies there whose backup is gone.",
    )
    .parameter("machine", "target<machine:read>", "Where they are.")
    .optional(
        "seed",
        "string",
        "The same seed draws the same of the same backups (the run's name); empty means that one too.",
    )
    .optional("backups", "string", "Folder of the binding with the base backups (`backups`).")
    .output("backup", "string", "The one that was drawn.")
    .output("seed", "string", "By this.")
    .output("among", "int", "Of so many.")
    .output("xid", "int", "The transaction behind whose commit a copy must hold what its seal says.")
    .output("lsn", "string", "Where that commit is.")
    .output("unsealed", "list<string>", "Backups without a seal: what they hold is unmeasured.")
    .idempotent()
}

pub(super) fn run(call: &Call, caps: &impl Capabilities) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let folder = caps.folder(machine, parameters.backups.as_deref().unwrap_or(BACKUPS))?;
    let found = base_backup::survey(caps, machine, &folder)?;
    let entries = caps.list_folder(machine, &folder)?;
    let seals: Vec<&str> = entries.iter().filter_map(|entry| sealed::sealed_by(&entry.name)).collect();
    let gone = seals.iter().find(|seal| !found.whole.iter().any(|backup| backup.name == **seal));
    if let Some(gone) = gone {
        let other = found.others.iter().find(|other| other.name == *gone);
        let why = other.map_or_else(|| format!("{folder}/{gone} is not there"), |other| other.describe(&folder));
        let message = format!("{why}, and it was there when it was sealed");
        return Err(Failure::permanent("pg-backup-missing", message));
    }
    let newest = found.whole.last().ok_or_else(|| base_backup::none(&folder, &found.others))?;
    sealed::read(caps, machine, &folder, newest)?;
    let (sealed, unsealed): (Vec<&Backup>, Vec<&Backup>) =
        found.whole.iter().partition(|backup| seals.contains(&backup.name.as_str()));
    let seed = parameters.seed.filter(|seed| !seed.is_empty()).unwrap_or_else(|| call.run.clone());
    let picked = sealed.get(draw(&seed, sealed.len())).copied().unwrap_or(newest);
    let seal = sealed::read(caps, machine, &folder, picked)?;
    let unsealed: Vec<String> = unsealed
        .iter()
        .map(|backup| format!("{folder}/{} has no seal: what it holds is unmeasured", backup.name))
        .collect();
    unsealed.iter().for_each(|other| caps.warn(other));
    let mut summary = format!("{} was drawn of {} sealed backups by the seed {seed}", picked.name, sealed.len());
    if !unsealed.is_empty() {
        summary = format!("{summary}; {}", some(&unsealed));
    }
    let outputs = json!({
        "backup": picked.name,
        "seed": seed,
        "among": sealed.len(),
        "xid": seal.xid,
        "lsn": seal.lsn,
        "unsealed": unsealed,
    });
    Outcome::new(outputs, summary)
}

/// A number below `count`.
fn draw(seed: &str, count: usize) -> usize {
    let number = u64::from_str_radix(&short_hash(seed), 16).unwrap_or_default();
    usize::try_from(number % count.max(1) as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn every_backup_is_drawn_by_some_seed_and_the_same_one_by_the_same_seed() {
        let drawn: std::collections::BTreeSet<usize> =
            (0..100).map(|seed| draw(&format!("BV-001-{seed}"), 7)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(draw("BV-001", 7), draw("BV-001", 7));
        assert_eq!(draw("any", 1), 0);
    }
}
