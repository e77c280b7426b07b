//! Reading a journal back: every record in order, or the line at which it cannot be trusted.

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId};
use serde::Deserialize;

use super::{
    FORMAT, Recorded,
    record::{hash, hash_of_name},
};
use crate::damage::{Damage, Problem};

/// What a journal says.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// Every whole line.
    pub records: Vec<Recorded>,
    /// Where the next one goes.
    pub end: End,
    /// Bytes behind it: a line that was being written when the engine ended.
    pub torn_bytes: u64,
}

impl Contents {
    /// The run that the first record names.
    pub fn run(&self) -> Option<&RunId> {
        match &self.records.first()?.event {
            Event::RunStarted(started) => Some(&started.run),
            _ => None,
        }
    }
}

/// The end of a journal's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Sequence number of the last record; 0 without one.
    pub seq: u64,
    /// What the next record must name as `previous`.
    pub hash: String,
    /// Length in bytes up to here.
    pub length: u64,
    /// When the last record was decided.
    pub at: Option<Timestamp>,
}

/// Reads a journal. An empty journal has no records and is not damaged.
pub fn read(bytes: &[u8]) -> Result<Contents, Damage> {
    let mut records: Vec<Recorded> = Vec::new();
    let mut end = End { seq: 0, hash: String::new(), length: 0, at: None };
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else { break };
        let record = next(text, &end).map_err(|problem| Damage { line: end.seq + 1, problem })?;
        let length = end.length + line.len() as u64;
        end = End { seq: record.seq, hash: hash(text), length, at: Some(record.at) };
        records.push(record);
    }
    let torn_bytes = bytes.len() as u64 - end.length;
    Ok(Contents { records, end, torn_bytes })
}

fn next(line: &[u8], before: &End) -> Result<Recorded, Problem> {
    let expected = before.seq + 1;
    let record = parse(line, expected, before)?;
    if record.seq != expected {
        return Err(Problem::Sequence { expected, found: record.seq });
    }
    let previous = if expected == 1 { &first_hash(&record)? } else { &before.hash };
    if record.previous != *previous {
        return Err(Problem::Chain);
    }
    Ok(record)
}

fn parse(line: &[u8], number: u64, before: &End) -> Result<Recorded, Problem> {
    if number == 1 {
        check_format(line)?;
    }
    serde_json::from_slice(line).map_err(|error| {
        let newer = newer_event(line, number, before).map(Problem::NewerEvent);
        newer.unwrap_or_else(|| Problem::NotARecord(error.to_string()))
    })
}

/// The kind of a record that is right in its place and whose event has a name that this engine does not know.
fn newer_event(line: &[u8], number: u64, before: &End) -> Option<String> {
    #[derive(Deserialize)]
    struct Frame {
        seq: u64,
        previous: String,
        event: String,
    }
    let frame: Frame = serde_json::from_slice(line).ok()?;
    let in_place = frame.seq == number && frame.previous == before.hash;
    let alone = serde_json::json!({ "event": &frame.event });
    let unknown = |error: serde_json::Error| error.to_string().starts_with("unknown variant");
    (in_place && serde_json::from_value::<Event>(alone).is_err_and(unknown)).then_some(frame.event)
}

/// The format stands in the first record, and is looked at before the rest of it: a later format may look different.
fn check_format(line: &[u8]) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Head {
        format: u64,
    }
    match serde_json::from_slice::<Head>(line) {
        Ok(Head { format }) if format == u64::from(FORMAT) => Ok(()),
        Ok(Head { format }) => Err(Problem::Format { found: format, known: FORMAT }),
        Err(error) => Err(Problem::NotARecord(error.to_string())),
    }
}

fn first_hash(record: &Recorded) -> Result<String, Problem> {
    match &record.event {
        Event::RunStarted(started) => Ok(hash_of_name(&started.run)),
        _ => Err(Problem::Illegal("the first record is not the start of a run".to_owned())),
    }
}
