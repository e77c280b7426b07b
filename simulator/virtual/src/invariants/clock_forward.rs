//! The clock of the run never goes back, whatever the clock on the wall does: the RTO is counted with it.

use super::Evidence;

pub(super) fn holds(evidence: &Evidence<'_>) -> Result<(), String> {
    let back = evidence.records.windows(2).find(|pair| pair[1].at < pair[0].at);
    match back {
        Some(pair) => {
            Err(format!("record {} has the time {}, but the previous one has {}", pair[1].seq, pair[1].at, pair[0].at))
        }
        None => Ok(()),
    }
}
