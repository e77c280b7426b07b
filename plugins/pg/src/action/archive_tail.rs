//! `pg/archive-tail`: what the archive has beyond the end of a standby, and whether its server will get it.

use lifeboat_plugin::{
    Action, Call, Effect, Failure, Outcome,
    machine::{Entry, EntryKind, Error},
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    server::{self, Capabilities},
    standby,
    wal::{
        archive::{self, ARCHIVE},
        cluster::{self, Facts},
        header::{self, HEADER_BYTES},
        segment::{Segment, SegmentSize},
        timeline::Chain,
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    server: String,
    machine: String,
    archive: Option<String>,
}

pub(super) fn action() -> Action {
    Action::new(
        "archive-tail",
        Effect::Read,
        "Looks in the archive for segments from the end of a standby on. Each must be whole, readable for the user of \
         the machine, who must be that of the server, and of this cluster: a promotion leaves an unreadable one out \
         without a word, and ends the server at one that was cut short.",
    )
    .parameter("server", "target<postgres:read>", "The standby.")
    .parameter("machine", "target<machine:read>", "Where its `restore_command` reads; bound with the server's user.")
    .optional("archive", "string", "Folder of the binding with that archive (`archive`).")
    .output("at_least", "string", "What a promotion must come to: the end of the standby, or a segment beyond it.")
    .output("segments", "int", "How many segments from there on the archive has.")
    .output("last", "string", "The last of them; empty if there is none.")
    .idempotent()
}

pub(super) fn run<C: Capabilities>(call: &Call, caps: &C) -> Result<Outcome, Failure> {
    let parameters: Parameters = call.parameters()?;
    let machine = parameters.machine.as_str();
    let connection = caps.open(&parameters.server)?;
    let standby = standby::look(&connection)?;
    standby.check_in_recovery()?;
    let facts = cluster::facts(&connection)?;
    let path = caps.folder(machine, parameters.archive.as_deref().unwrap_or(ARCHIVE))?;
    let entries = caps.list_folder(machine, &path)?;
    archive::check_format(caps, machine, &path, &entries, facts.segment_size)?;
    let first = Segment::holding(standby.end(), facts.timeline, facts.segment_size);
    let tail = following(&entries, first, facts.segment_size);
    if let Some((segment, size)) = tail.iter().find(|(_, size)| *size != facts.segment_size.bytes()) {
        let message = format!(
            "{path}/{} has {size} bytes instead of {}: the server would end at it when it is promoted. Take it away, or \
             let its copy be finished",
            segment.name(facts.segment_size),
            facts.segment_size.bytes()
        );
        return Err(Failure::permanent("pg-archive-short", message));
    }
    let tail: Vec<Segment> = tail.into_iter().map(|(segment, _)| segment).collect();
    check_heads(caps, (machine, &path), &tail, &facts)?;
    let last = tail.last().map(|segment| segment.name(facts.segment_size)).unwrap_or_default();
    if !tail.is_empty() && server::setting(&connection, "restore_command")?.unwrap_or_default().is_empty() {
        let message = format!(
            "{path} goes on to {last} where the standby ends, and the standby has no `restore_command`: what only the \
             archive has would be lost"
        );
        return Err(Failure::permanent("pg-archive-not-replayed", message));
    }
    let begin = tail.last().map(|segment| segment.start(facts.segment_size));
    let at_least = begin.unwrap_or_default().max(standby.end());
    let summary = match tail.len() {
        0 => format!("{path} has nothing from {at_least} on, where the standby ends"),
        count => format!("{path} has {count} segments from {} on, up to {last}, whole and readable", standby.end()),
    };
    Outcome::new(json!({ "at_least": at_least.to_string(), "segments": tail.len(), "last": last }), summary)
}

/// The segments that follow each other from this one on, with their sizes. What lies behind a gap is never replayed.
fn following(entries: &[Entry], first: Segment, size: SegmentSize) -> Vec<(Segment, u64)> {
    let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
    let mut found: Vec<(Segment, u64)> = files
        .filter_map(|entry| Some((Segment::parse(&entry.name, size)?, entry.size)))
        .filter(|(segment, _)| segment.timeline == first.timeline && segment.number >= first.number)
        .collect();
    found.sort();
    (first.number..)
        .zip(found)
        .take_while(|(number, (segment, _))| *number == segment.number)
        .map(|(_, it)| it)
        .collect()
}

/// Reads the begin of each, as the server would.
fn check_heads(
    caps: &impl Capabilities,
    (machine, path): (&str, &str),
    tail: &[Segment],
    facts: &Facts,
) -> Result<(), Failure> {
    let chain = Chain::of(facts.timeline);
    for segment in tail {
        let name = segment.name(facts.segment_size);
        let heads = match caps.read_parts(machine, path, std::slice::from_ref(&name), 0, HEADER_BYTES) {
            Ok(heads) => heads,
            Err(Error::Failed(reason)) => {
                let message = format!(
                    "{path}/{name} cannot be read, so a promotion would leave it out without a word: {}",
                    reason.message
                );
                return Err(Failure::permanent("pg-archive-unreadable", message));
            }
            Err(error) => return Err(error.into()),
        };
        let head = heads.first().map(Vec::as_slice).unwrap_or_default();
        header::check(head, *segment, facts.segment_size, &chain, facts.system_identifier)
            .map_err(|fault| Failure::permanent(fault.code(), format!("{path}/{name} {fault}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_behind_a_gap_is_no_tail() {
        let size = SegmentSize::DEFAULT;
        let entry = |number: u64, timeline: u32| Entry {
            name: Segment { number, timeline }.name(size),
            kind: EntryKind::File,
            size: size.bytes(),
            modified_ms: 0,
        };
        let check = |entries: &[Entry], expect: &[u64]| {
            let found = following(entries, Segment { number: 5, timeline: 1 }, size);
            assert_eq!(found.iter().map(|(segment, _)| segment.number).collect::<Vec<_>>(), expect);
        };
        check(&[], &[]);
        check(&[entry(3, 1), entry(4, 1)], &[]);
        check(&[entry(4, 1), entry(5, 1), entry(6, 1), entry(8, 1)], &[5, 6]);
        check(&[entry(6, 1)], &[]);
        check(&[entry(5, 2), entry(5, 1)], &[5]);
    }
}
