//! What a repair is about to write. It lies on the server's machine before the server is stopped, so that whatever interrupts the repair,
//! the next attempt knows what was meant and finishes it.

use lifeboat_plugin::{Failure, Machine, machine};
use serde::{Deserialize, Serialize};

use crate::{
    call::digest,
    pages::{PAGE_BYTES, PageRange},
};

/// Pages that are written at once: what is read of them must fit into one answer of the machine.
const PAGES_AT_ONCE: usize = 1_024;

/// A page to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplacedPage {
    /// Its relation.
    pub relation: String,
    /// The relation's first file, below the data folder.
    pub file: String,
    /// Its number in the relation.
    pub block: u32,
    /// Digest of the damaged page; of nothing, or of a part of a page, where the file ends before.
    pub damaged: String,
    /// Digest of the page that takes its place.
    pub whole: String,
    /// Why that is its last version.
    pub proof: String,
}

impl ReplacedPage {
    /// Where it lies.
    pub fn span(&self) -> PageRange {
        PageRange { relation: 0, file: self.file.clone(), block: self.block, count: 1 }
    }

    /// For people.
    pub fn name(&self) -> String {
        format!("page {} of {}", self.block, self.relation)
    }
}

/// A repair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// In the order in which `images` has them.
    pub pages: Vec<ReplacedPage>,
    /// The damaged files, as they were.
    pub kept: Vec<String>,
    /// The server was made to stop and was started again, with all pages in their place.
    pub done: bool,
}

impl Replacement {
    /// The plan of an earlier attempt.
    pub fn find(caps: &impl Machine, machine: &str, path: &str) -> Result<Option<Self>, Failure> {
        match caps.read_file(machine, path) {
            Ok(content) => serde_json::from_slice(&content)
                .map(Some)
                .map_err(|error| Failure::permanent("pg-repair-plan", format!("{path} cannot be read: {error}"))),
            Err(machine::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes it.
    pub fn keep(&self, caps: &impl Machine, machine: &str, path: &str) -> Result<(), Failure> {
        Ok(caps.write_file(machine, path, serde_json::json!(self).to_string().as_bytes())?)
    }

    /// Pages that lie one after the other in one file, each with the place of its first.
    pub fn runs(&self) -> Vec<(usize, &[ReplacedPage])> {
        let mut place = 0;
        let follows = |one: &ReplacedPage, next: &ReplacedPage| {
            one.file == next.file && one.block + 1 == next.block && one.span().path() == next.span().path()
        };
        let runs = self.pages.chunk_by(follows).flat_map(|run| run.chunks(PAGES_AT_ONCE));
        runs.map(|run| {
            let first = place;
            place += run.len();
            (first, run)
        })
        .collect()
    }

    /// Adds a page, and its image to the others.
    pub fn add(&mut self, page: ReplacedPage, image: &[u8], images: &mut Vec<u8>) {
        debug_assert_eq!(image.len(), PAGE_BYTES);
        debug_assert_eq!(page.whole, digest::of(image));
        self.pages.push(page);
        images.extend_from_slice(image);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_run() {
        let page = |file: &str, block: u32| ReplacedPage {
            relation: String::new(),
            file: file.to_owned(),
            block,
            damaged: String::new(),
            whole: String::new(),
            proof: String::new(),
        };
        let check = |pages: &[(&str, u32)], expect: &[(usize, usize)]| {
            let pages = pages.iter().map(|(file, block)| page(file, *block)).collect();
            let plan = Replacement { pages, ..Replacement::default() };
            let runs: Vec<_> = plan.runs().into_iter().map(|(first, run)| (first, run.len())).collect();
            assert_eq!(runs, expect);
        };
        check(&[], &[]);
        check(&[("a", 1), ("a", 2), ("a", 4), ("b", 5)], &[(0, 2), (2, 1), (3, 1)]);
        // The second file of a relation begins with this page.
        check(&[("a", 131_071), ("a", 131_072)], &[(0, 1), (1, 1)]);
        let many: Vec<_> = (0..1_500).map(|block| ("a", block)).collect();
        check(&many, &[(0, 1_024), (1_024, 476)]);
    }
}
