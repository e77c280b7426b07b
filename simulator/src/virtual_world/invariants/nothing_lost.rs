//! What the disk said is durable is there in the end, unchanged; the journal can be read at every moment.

use lifeboat_runtime::journal::read;

use super::Evidence;
use crate::virtual_world::lives::LifeEnd;

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    if let Some(LifeEnd::Damaged(why)) = evidence.lives.iter().find(|end| matches!(end, LifeEnd::Damaged(_))) {
        return Err(format!("the journal can not be used: {why}"));
    }
    let contents = read(evidence.journal).map_err(|damage| format!("the journal can not be used: {damage}"))?;
    if contents.records.len() != evidence.records.len() {
        let (found, written) = (contents.records.len(), evidence.records.len());
        return Err(format!("{written} records were written, and {found} are there"));
    }
    for (seq, hash) in &evidence.truth.durable {
        // The hash of a record stands in the next one.
        let next = usize::try_from(*seq).ok().and_then(|place| contents.records.get(place));
        let found = next.map_or(&contents.end.hash, |record| &record.previous);
        if *seq > contents.end.seq || found != hash {
            return Err(format!("record {seq} was durable, and is not there any more"));
        }
    }
    Ok(())
}
