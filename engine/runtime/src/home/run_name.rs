//! Names for runs: `dr-003-20261121-7f3a`, from the runbook's id, the date in UTC and four random digits.

use std::{fs, io::ErrorKind};

use jiff::{Timestamp, tz::TimeZone};
use lifeboat_core::{name::RunId, plan::Plan};

use super::Home;
use crate::{Error, sync::sync_folder};

/// 65,536 names a runbook and day; a day with so many runs that none of these tries finds a free one is an error.
const TRIES: u32 = 64;
const ID_LENGTH_MAX: usize = 40;

impl Home {
    /// Makes a name that no other run has, and the run's folder, which keeps the name from others.
    pub fn new_run_id(&self, plan: &Plan, now: Timestamp) -> Result<RunId, Error> {
        self.new_name(&plan.runbook.id, now)
    }

    /// The same for something that has only an id.
    ///
    /// # Errors
    /// As for [`Home::new_run_id`].
    pub fn new_name(&self, id: &str, now: Timestamp) -> Result<RunId, Error> {
        let start = format!("{}-{}", slug(id), now.to_zoned(TimeZone::UTC).strftime("%Y%m%d"));
        let runs = self.runs_folder();
        for tried in 1.. {
            let run = RunId::new(format!("{start}-{:04x}", random()?)).unwrap_or_else(|error| {
                unreachable!("a name made of a word, a date and four digits is a name: {error}")
            });
            let folder = self.run_folder(&run);
            match fs::create_dir(&folder).and_then(|()| sync_folder(&runs)) {
                Ok(()) => return Ok(run),
                Err(error) if error.kind() == ErrorKind::AlreadyExists && tried < TRIES => {}
                Err(error) => return Err(Error::disk(folder)(error)),
            }
        }
        unreachable!("the loop returns")
    }
}

fn random() -> Result<u16, Error> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(u16::from_le_bytes(bytes))
}

/// The runbook's id as a word: lowercase letters and digits, joined by `-`.
fn slug(id: &str) -> String {
    let letters: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let words: Vec<&str> = letters.split('-').filter(|word| !word.is_empty()).collect();
    let mut slug = words.join("-");
    if !slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug = format!("run-{slug}");
    }
    slug.truncate(ID_LENGTH_MAX);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(id: &str, expected: &str) {
        assert_eq!(slug(id), expected);
        RunId::new(format!("{}-20261121-7f3a", slug(id))).unwrap();
    }

    #[test]
    fn any_id_gives_a_name() {
        check("DR-003", "dr-003");
        check("  Quarterly  drill! ", "quarterly-drill");
        check("003", "run-003");
        check("Ürümqi", "r-mqi");
        check("", "run");
        check(&"a-".repeat(60), "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a");
    }
}
