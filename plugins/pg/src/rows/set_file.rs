//! Reading the exact set that `pg/find-damage` wrote, and making sure that a copy stands where it holds.

use lifeboat_plugin::{Connection, Failure, Machine};

use serde::Deserialize;

use crate::{call::digest, copy::proof, rows::exact_set::ExactSet, wal::segment::Lsn};

/// What can lie between the end of the last replayed record and the begin of the next one: alignment, and the header of a
/// page.
const SLACK_BYTES: u64 = 64;

/// Reads a set; fails with `pg-set-changed` where it is not the one with that digest.
pub fn read(caps: &impl Machine, machine: &str, path: &str, expected: &str) -> Result<ExactSet, Failure> {
    let content = caps.read_file(machine, path)?;
    let found = digest::of(&content);
    if found != expected {
        let message = format!("{path} has the digest {found}, not {expected}: it was changed after it was written");
        return Err(Failure::permanent("pg-set-changed", message));
    }
    ExactSet::parse(&String::from_utf8_lossy(&content))
        .map_err(|what| Failure::permanent("pg-set-damaged", format!("{path}: {what}")))
}

/// Fails with `pg-copy-elsewhere` unless the copy was replayed exactly to before the commit of the set's transaction: at any
/// other moment other rows may lie at the set's places. A copy that was promoted there has not moved them, and knows how
/// far it was replayed until it is restarted.
pub fn check_copy(copy: &impl Connection, set: &ExactSet) -> Result<(), Failure> {
    let lsn = replayed(copy)?;
    if stands_before(lsn, set.commit) {
        return Ok(());
    }
    let message = format!(
        "the copy was replayed to {lsn}, the transaction {xid} committed at {commit}: only a copy restored with `before_xid: {xid}` has the \
         removed rows at the places that the WAL names",
        xid = set.first(),
        commit = set.commit
    );
    Err(Failure::permanent("pg-copy-elsewhere", message))
}

/// What a restore notes beside its copy, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Restored {
    stopped: String,
    reached_lsn: Lsn,
}

/// Fails with `pg-copy-elsewhere` unless the copy was replayed exactly to after the commit of the set's transaction, by the note
/// of its restore, and stands there still: at any other moment other versions of the changed rows may lie at their places.
pub fn check_copy_after(copy: &impl Connection, note: &[u8], set: &ExactSet) -> Result<(), Failure> {
    let restored: Restored = serde_json::from_slice(note)
        .map_err(|error| Failure::permanent("pg-marker-damaged", format!("the note of the restore: {error}")))?;
    let lsn = replayed(copy)?;
    let xid = set.first();
    if proof::stopped_after(&restored.stopped, xid) && restored.reached_lsn == lsn && lsn > set.commit {
        return Ok(());
    }
    let message = format!(
        "the copy was replayed to {lsn} (`{}`), the transaction {xid} committed at {commit}: only a copy restored with `xid: {xid}` has the \
         values that it wrote",
        restored.stopped,
        commit = set.commit
    );
    Err(Failure::permanent("pg-copy-elsewhere", message))
}

fn replayed(copy: &impl Connection) -> Result<Lsn, Failure> {
    let rows = copy.query("SELECT coalesce(pg_last_wal_replay_lsn(), '0/0')::text AS lsn", &[])?;
    let lsn: String = rows.one()?.get("lsn")?;
    lsn.parse().map_err(|error| Failure::permanent("pg-odd-answer", format!("{error}")))
}

fn stands_before(replayed: Lsn, commit: Lsn) -> bool {
    replayed <= commit && commit.0 - replayed.0 <= SLACK_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_moment_before_the_commit_will_do() {
        let check =
            |replayed: u64, expect: bool| assert_eq!(stands_before(Lsn(replayed), Lsn(1000)), expect, "{replayed}");
        check(1000, true);
        check(960, true);
        check(900, false);
        check(1001, false);
    }
}
