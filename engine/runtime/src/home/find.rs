//! Finding a run by what a person types.

use lifeboat_core::name::RunId;

use super::{Home, Listed};
use crate::Error;

/// The run that a person means to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The run.
    pub run: RunId,
    /// It was not named: it is what `last` stands for.
    pub is_last: bool,
    /// The other runs that `last` could as well stand for: those that are not over.
    pub others: Vec<RunId>,
}

impl Home {
    /// The run that a person means to change. As [`Home::find`], but `last` never is a drill, and comes with the other runs that
    /// are not over.
    pub fn find_to_change(&self, text: &str) -> Result<Meant, Error> {
        if text != "last" {
            return Ok(Meant { run: self.find(text)?, is_last: false, others: Vec::new() });
        }
        let mut runs = self.runs()?.into_iter().filter(|listed| !listed.is_drill);
        let last = runs.next().ok_or_else(|| Error::Unknown { name: text.to_owned() })?;
        let others = runs.filter(Listed::is_open).map(|listed| listed.run).collect();
        Ok(Meant { run: last.run, is_last: true, others })
    }

    /// The run with that name, the only one whose name begins so, or, for `last`, the one that started last.
    pub fn find(&self, text: &str) -> Result<RunId, Error> {
        if text == "last" {
            let last = self.runs()?.into_iter().next().map(|listed| listed.run);
            return last.ok_or_else(|| Error::Unknown { name: text.to_owned() });
        }
        self.named(text, |run| self.journal(run).exists())
    }

    /// As [`Home::find`], for a person who wants to read: also a drill in which no engine ran, which has only a report.
    pub fn find_to_read(&self, text: &str) -> Result<RunId, Error> {
        let is_read = |run: &RunId| !self.journal(run).exists() && self.report(run).exists();
        if text != "last" {
            return match self.find(text) {
                Err(Error::Unknown { .. }) => self.named(text, is_read),
                found => found,
            };
        }
        let names = self.run_names()?;
        // The report over several drills lies beside the last of them, whose name it extends.
        let is_series =
            |run: &RunId| names.iter().any(|other| other != run && run.as_str().starts_with(other.as_str()));
        let held = names.iter().filter(|run| is_read(run) && !is_series(run)).cloned();
        let held = held.map(|run| (self.folder_changed_at(&run), run));
        let ran = self.runs()?.into_iter().next().map(|listed| (listed.started, listed.run));
        let last = held.chain(ran).max_by(|a, b| a.0.cmp(&b.0));
        last.map(|(_, run)| run).ok_or_else(|| Error::Unknown { name: text.to_owned() })
    }

    /// The only run whose name begins so, among those that count.
    fn named(&self, text: &str, counts: impl Fn(&RunId) -> bool) -> Result<RunId, Error> {
        let mut candidates = self.run_names()?;
        candidates.retain(|run| run.as_str().starts_with(text) && counts(run));
        if let Some(exact) = candidates.iter().find(|run| run.as_str() == text) {
            return Ok(exact.clone());
        }
        match candidates.len() {
            0 => Err(Error::Unknown { name: text.to_owned() }),
            1 => Ok(candidates.remove(0)),
            _ => Err(Error::Ambiguous { prefix: text.to_owned(), candidates }),
        }
    }
}
