//! Looks through the pages of a database for damaged ones, as they are on disk.
//!
//! A server that runs writes pages while they are read, so a page that looks damaged is read again until it is sound, or was the same
//! several times.

use lifeboat_plugin::{Connection, Failure, Runtime};

use super::{
    bad_page::BadPage,
    checksum::PAGE_BYTES,
    gaps::Gaps,
    page::{Problem, lsn, problem},
    reading::{PageRange, read},
    relations::Relation,
};
use crate::wal::segment::Lsn;

/// Pages that are asked for in one part.
const PAGES_OF_A_SPAN: u32 = 128;
/// Pages that are asked for at once.
const PAGES_AT_ONCE: u32 = 512;
/// Parts that are asked for at once: a database has many small relations.
const SPANS_AT_ONCE: usize = 256;
const LOOKS: usize = 3;
const BETWEEN_LOOKS_MS: u64 = 200;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The damaged pages, in the order of the relations.
    pub bad: Vec<BadPage>,
    /// Pages that were read.
    pub pages: u64,
}

/// Reads every page of these relations.
pub fn search<C: Connection>(
    caps: &impl Runtime,
    connection: &C,
    relations: &[Relation],
    checksums: bool,
) -> Result<Found, Failure> {
    let spans: Vec<PageRange> = relations
        .iter()
        .enumerate()
        .flat_map(|(place, relation)| PageRange::cut(place, &relation.file, relation.pages(), PAGES_OF_A_SPAN))
        .collect();
    let total: u64 = spans.iter().map(|span| u64::from(span.count)).sum();
    let mut found = Found::default();
    let mut gaps = Gaps::of(relations);
    let mut suspects = Vec::new();
    for batch in batches(&spans) {
        let name = batch.first().map_or("", |span| relations[span.relation].name.as_str());
        caps.progress(found.pages, Some(total), "pages", name);
        for (span, bytes) in batch.iter().zip(read(connection, batch)?) {
            for (block, page) in (span.block..).zip(bytes.chunks_exact(PAGE_BYTES)) {
                found.pages += 1;
                let looks_damaged = problem(page, block, checksums).is_some();
                gaps.see(span.relation, block, page, looks_damaged);
                if looks_damaged {
                    suspects.push(PageRange { block, count: 1, ..span.clone() });
                }
            }
        }
    }
    found.bad = certain(caps, connection, suspects, checksums)?;
    let gaps = gaps.found(connection, checksums)?;
    // Of a file that is gone, an index tells which pages it had.
    let is_told = |place: usize| gaps.iter().any(|gap| gap.relation == place);
    let lost = relations.iter().enumerate().filter(|(place, relation)| relation.is_lost && !is_told(*place));
    found.bad.extend(lost.map(|(relation, _)| BadPage { relation, block: 0, problem: Problem::Lost, lsn: Lsn(0) }));
    found.bad.extend(gaps);
    found.bad.sort_by_key(|bad| (bad.relation, bad.block));
    Ok(found)
}

/// As many spans as are asked for at once.
fn batches(spans: &[PageRange]) -> Vec<&[PageRange]> {
    let (mut batches, mut rest) = (Vec::new(), spans);
    while !rest.is_empty() {
        let (mut count, mut pages) = (0, 0);
        for span in rest.iter().take(SPANS_AT_ONCE) {
            pages += span.count;
            if count > 0 && pages > PAGES_AT_ONCE {
                break;
            }
            count += 1;
        }
        let (batch, others) = rest.split_at(count);
        batches.push(batch);
        rest = others;
    }
    batches
}

/// Reads pages that look damaged again, all of them together: one that was being written is sound by then.
fn certain(
    caps: &impl Runtime,
    connection: &impl Connection,
    suspects: Vec<PageRange>,
    checksums: bool,
) -> Result<Vec<BadPage>, Failure> {
    let mut bad = Vec::new();
    let mut open: Vec<(PageRange, Vec<u8>)> = suspects.into_iter().map(|span| (span, Vec::new())).collect();
    for _ in 0..LOOKS {
        if open.is_empty() {
            break;
        }
        caps.sleep_ms(BETWEEN_LOOKS_MS);
        let mut still = Vec::new();
        for part in open.chunks(SPANS_AT_ONCE) {
            let spans: Vec<PageRange> = part.iter().map(|(span, _)| span.clone()).collect();
            for ((span, before), page) in part.iter().zip(read(connection, &spans)?) {
                // A table that was cut off meanwhile has no such page.
                let is_there = page.len() == PAGE_BYTES;
                match problem(&page, span.block, checksums).filter(|_| is_there) {
                    Some(problem) if page == *before => {
                        bad.push(BadPage { relation: span.relation, block: span.block, problem, lsn: lsn(&page) });
                    }
                    Some(_) => still.push((span.clone(), page)),
                    None => {}
                }
            }
        }
        open = still;
    }
    let Some((span, _)) = open.first() else { return Ok(bad) };
    let message =
        format!("{} is written so often that nobody can say whether its page {} is damaged", span.file, span.block);
    Err(Failure::transient("pg-pages-changing", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_asked_for_at_once_and_not_too_much() {
        let spans = |counts: &[u32]| -> Vec<PageRange> {
            let span = |count: &u32| PageRange { relation: 0, file: "f".to_owned(), block: 0, count: *count };
            counts.iter().map(span).collect()
        };
        let sizes = |counts: &[u32]| batches(&spans(counts)).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert!(sizes(&[]).is_empty());
        assert_eq!(sizes(&[128; 9]), [4, 4, 1]);
        assert_eq!(sizes(&[1; 300]), [256, 44]);
        assert_eq!(sizes(&[900, 1]), [1, 1], "one that is too large goes alone");
    }
}
