//! Finding a run by what a person types.

use lifeboat_core::name::RunId;

use super::Home;
use crate::Error;

impl Home {
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
