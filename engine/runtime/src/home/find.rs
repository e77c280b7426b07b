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
        let unknown = || Error::Unknown { name: text.to_owned() };
        if text == "last" {
            return self.runs()?.into_iter().next().map(|listed| listed.run).ok_or_else(unknown);
        }
        let mut candidates = self.run_names()?;
        candidates.retain(|run| run.as_str().starts_with(text) && self.journal(run).exists());
        if let Some(exact) = candidates.iter().find(|run| run.as_str() == text) {
            return Ok(exact.clone());
        }
        match candidates.len() {
            0 => Err(unknown()),
            1 => Ok(candidates.remove(0)),
            _ => Err(Error::Ambiguous { prefix: text.to_owned(), candidates }),
        }
    }
}
