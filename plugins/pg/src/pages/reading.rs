//! Reads pages as they lie in the files of a server, past its memory.

use lifeboat_plugin::{Connection, Failure, postgres::Value};

use super::checksum::PAGE_BYTES;

/// A relation is cut into files of so many pages.
const PAGES_OF_A_FILE: u32 = 131_072;

/// Neighbouring pages of a relation, all in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRange {
    /// Its place in a list of the caller's.
    pub relation: usize,
    /// The relation's first file.
    pub file: String,
    /// The first page, by its number in the relation.
    pub block: u32,
    /// How many.
    pub count: u32,
}

impl PageRange {
    /// Cuts a relation of so many pages into spans of at most `most` pages.
    pub fn cut(relation: usize, file: &str, pages: u32, most: u32) -> Vec<Self> {
        let mut spans = Vec::new();
        let mut block = 0;
        while block < pages {
            let left_in_file = PAGES_OF_A_FILE - block % PAGES_OF_A_FILE;
            let count = (pages - block).min(most).min(left_in_file);
            spans.push(Self { relation, file: file.to_owned(), block, count });
            block += count;
        }
        spans
    }

    /// The file that has them.
    pub fn path(&self) -> String {
        match self.block / PAGES_OF_A_FILE {
            0 => self.file.clone(),
            segment => format!("{}.{segment}", self.file),
        }
    }

    /// Where in the file they begin.
    pub fn offset(&self) -> u64 {
        u64::from(self.block % PAGES_OF_A_FILE) * PAGE_BYTES as u64
    }
}

/// What is in these spans, in their order, in whole pages; fewer where a file ends before, none where it is gone.
pub fn read(connection: &impl Connection, spans: &[PageRange]) -> Result<Vec<Vec<u8>>, Failure> {
    let texts = |of: &dyn Fn(&PageRange) -> String| Value::from(spans.iter().map(of).collect::<Vec<_>>());
    let rows = connection.query(
        "SELECT pg_catalog.pg_read_binary_file(p.path, p.start::bigint, p.length::bigint, true) AS bytes
           FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[]))
                WITH ORDINALITY AS p(path, start, length, number)
          ORDER BY p.number",
        &[
            texts(&PageRange::path),
            texts(&|span| span.offset().to_string()),
            texts(&|span| (u64::from(span.count) * PAGE_BYTES as u64).to_string()),
        ],
    )?;
    let mut read = Vec::with_capacity(spans.len());
    for row in rows.iter() {
        let bytes: Option<Vec<u8>> = row.get("bytes")?;
        read.push(bytes.unwrap_or_default());
    }
    if read.len() == spans.len() {
        return Ok(read);
    }
    let message = format!("the server was asked for {} parts of files and returned {}", spans.len(), read.len());
    Err(Failure::permanent("pg-odd-answer", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_where_files_do() {
        let cut = |pages: u32, most: u32| -> Vec<(u32, u32)> {
            PageRange::cut(0, "base/5/6", pages, most).iter().map(|span| (span.block, span.count)).collect()
        };
        assert_eq!(cut(0, 8), []);
        assert_eq!(cut(17, 8), [(0, 8), (8, 8), (16, 1)]);
        let last = PageRange::cut(0, "base/5/6", PAGES_OF_A_FILE + 3, PAGES_OF_A_FILE).pop().expect("two files");
        assert_eq!((last.block, last.count), (PAGES_OF_A_FILE, 3));
        assert_eq!((last.path().as_str(), last.offset()), ("base/5/6.1", 0));
        let near = PageRange { relation: 0, file: "base/5/6".to_owned(), block: PAGES_OF_A_FILE - 2, count: 2 };
        assert_eq!((near.path().as_str(), near.offset()), ("base/5/6", 1_073_725_440));
    }
}
