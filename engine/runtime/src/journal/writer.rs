//! Appending to a journal.

use std::io;

use jiff::Timestamp;
use lifeboat_core::{event::Event, name::RunId};

use super::{
    Medium, Recorded,
    reader::End,
    record::{hash, hash_of_name},
};

/// A journal that is being written. It knows the end of the chain and nothing else.
#[derive(Debug)]
pub struct Journal<M> {
    medium: M,
    end: End,
}

impl<M: Medium> Journal<M> {
    /// A journal without records on an empty medium.
    pub fn begin(medium: M, run: &RunId) -> Self {
        Self { medium, end: End { seq: 0, hash: hash_of_name(run), length: 0, at: None } }
    }

    /// Goes on after what was read; the torn end, where there is one, is cut off.
    pub fn go_on(mut medium: M, end: End, torn_bytes: u64) -> io::Result<Self> {
        if torn_bytes > 0 {
            medium.cut(end.length)?;
        }
        Ok(Self { medium, end })
    }

    /// Appends the events of one decision with one write and one sync, and returns when they are durable.
    ///
    /// After an error what was written of them is cut off. Where even that is impossible, a reader drops the torn line and takes
    /// the whole ones before it: they are true, and no effect of theirs has begun.
    pub fn append(&mut self, at: Timestamp, events: &[Event]) -> io::Result<Vec<Recorded>> {
        let mut end = self.end.clone();
        let mut lines = Vec::new();
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let record = Recorded { seq: end.seq + 1, at, previous: end.hash, event: event.clone() };
            let line = serde_json::to_vec(&record)?;
            let length = end.length + line.len() as u64 + 1;
            end = End { seq: record.seq, hash: hash(&line), length, at: Some(at) };
            lines.extend_from_slice(&line);
            lines.push(b'\n');
            records.push(record);
        }
        if let Err(error) = self.medium.write(&lines).and_then(|()| self.medium.sync()) {
            // The first error is the one to report; a failed cut leaves whole lines, a torn one, or both.
            let _ = self.medium.cut(self.end.length);
            return Err(error);
        }
        self.end = end;
        Ok(records)
    }

    /// The end of the chain.
    pub fn end(&self) -> &End {
        &self.end
    }

    /// What it is written on.
    pub fn medium(&self) -> &M {
        &self.medium
    }
}
