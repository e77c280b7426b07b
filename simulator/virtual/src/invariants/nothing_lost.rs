//! What the disk said is durable is there in the end, unchanged; the journal can be read at every moment. What somebody told the run
//! stands in it where they were told so, and a refusal leaves nothing there.

use lifeboat_runtime::journal::{Recorded, read};

use super::Evidence;
use crate::{
    lives::LifeEnd,
    truth::{Answered, RequestTold},
};

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    if let Some(LifeEnd::Damaged(why)) = evidence.lives.iter().find(|end| matches!(end, LifeEnd::Damaged(_))) {
        return Err(format!("the journal cannot be used: {why}"));
    }
    evidence.truth.told.iter().try_for_each(|told| is_answered_truly(evidence, told))?;
    if evidence.lives.len() == 1 {
        return written_at_once(evidence);
    }
    let contents = read(evidence.journal).map_err(|damage| format!("the journal cannot be used: {damage}"))?;
    same_number(evidence, contents.records.len())?;
    chained(evidence, &contents.records, Some(&contents.end.hash))
}

/// Of a journal that one engine wrote from its begin to its end only the lines are counted: reading it says no more, and would
/// be a good part of the time that a case takes.
fn written_at_once(evidence: &Evidence<'_>) -> Result<(), String> {
    same_number(evidence, evidence.journal.split_inclusive(|byte| *byte == b'\n').count())?;
    chained(evidence, evidence.records, None)
}

fn same_number(evidence: &Evidence<'_>, found: usize) -> Result<(), String> {
    let written = evidence.records.len();
    if found == written { Ok(()) } else { Err(format!("{written} records were written, but {found} are found")) }
}

/// Every record that was durable is the one that the next one points back to; `end` is the hash of the last one, where it is known.
fn chained(evidence: &Evidence<'_>, records: &[Recorded], end: Option<&String>) -> Result<(), String> {
    for (seq, hash) in &evidence.truth.durable {
        // The hash of a record stands in the next one.
        let next = usize::try_from(*seq).ok().and_then(|place| records.get(place));
        let found = next.map(|record| &record.previous).or(end);
        if *seq > records.len() as u64 || found.is_some_and(|found| found != hash) {
            return Err(format!("record {seq} was durable, but is gone"));
        }
    }
    Ok(())
}

/// The engine says what the journal says, to whoever tells it something.
fn is_answered_truly(evidence: &Evidence<'_>, told: &RequestTold) -> Result<(), String> {
    let Some((answered, after)) = told.answer else { return Ok(()) };
    if told.can_be_done != (answered == Answered::Recorded) {
        let (journal, engine) = if told.can_be_done { ("can", "refuses it") } else { ("cannot", "does it") };
        return Err(format!(
            "according to the journal, the request of {} {journal} be carried out, but the engine {engine}",
            told.who
        ));
    }
    let next = usize::try_from(told.before).ok().and_then(|place| evidence.records.get(place));
    match answered {
        Answered::Refused if after != told.before => {
            Err(format!("the request of {} was refused, but record {after} was written", told.who))
        }
        Answered::Recorded if next.is_none_or(|record| record.event.who() != Some(&told.who)) => {
            Err(format!("the request of {} was reported as recorded, but is not in the journal", told.who))
        }
        _ => Ok(()),
    }
}
