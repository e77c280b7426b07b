//! The message if the search cannot name the transactions.

use lifeboat_plugin::Failure;

use super::TOGETHER_MAX;
use crate::{
    damage::deleters::{Candidate, Sought},
    wal::archive::Archive,
};

pub(super) fn begins_too_late(archive: &Archive, first: usize, xid: u32) -> Failure {
    let floor = archive.reaches_back(first);
    let name = archive.segments.get(floor).map_or_else(String::new, |segment| segment.name(archive.segment_size));
    let message = format!(
        "transaction {xid} may have begun before {name}, the first segment of the archive that can be read without a \
         gap: the exact set would lack what it removed before that; put the segments before {name} into the archive"
    );
    Failure::permanent("pg-wal-begins-too-late", message)
}

fn list(did: Sought, candidates: &[Candidate]) -> String {
    let line = |it: &Candidate| {
        let early = if it.early { ", before `since`" } else { "" };
        format!("xid {} {} {} rows at {}{early}", it.xid, did.word(), it.rows, it.commit_time)
    };
    candidates.iter().map(line).collect::<Vec<_>>().join("; ")
}

pub(super) fn ambiguous(did: Sought, table: &str, candidates: &[Candidate], early: &[Candidate], seen: u64) -> Failure {
    let word = did.word();
    let xids: Vec<_> = candidates.iter().map(|it| it.xid.to_string()).collect();
    let more = seen.saturating_sub(candidates.len() as u64);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let [one, list] = [xids.first().cloned().unwrap_or_default(), list(did, candidates)];
    let early = if early.is_empty() { String::new() } else { format!("; {}", self::list(did, early)) };
    let message = format!(
        "{seen} transactions {word} rows of `{table}`, and no single one stands out: {list}{more}{early}. Say which \
         to put back: `xid` for one (DR-003: `--input xid={one}`), `xids` for several together (`--input \
         'xids=[{}]'`), or `all` for every one between `since` and `until` (`--input all=true`)",
        xids.join(",")
    );
    Failure::permanent("pg-damage-ambiguous", message)
}

pub(super) fn too_many(did: Sought, table: &str, seen: u64) -> Failure {
    let word = did.word();
    let message = format!(
        "{seen} transactions {word} rows of `{table}` in that time, and at most {TOGETHER_MAX} can be put back \
         together: narrow `since` and `until`, or name the transactions with `xids`"
    );
    Failure::permanent("pg-damage-ambiguous", message)
}

pub(super) fn not_there(did: Sought, table: &str, xids: &[u32], candidates: &[Candidate]) -> Failure {
    let others = if candidates.is_empty() { "nobody did".to_owned() } else { list(did, candidates) };
    let xids: Vec<_> = xids.iter().map(u32::to_string).collect();
    let message = format!(
        "no committed transaction {} in the archive {} rows of `{table}` since then; {others}",
        xids.join(", "),
        did.word()
    );
    Failure::permanent("pg-xid-not-found", message)
}
