//! Which pages of a relation the WAL touches in a part of it, as pg_waldump tells.

use std::collections::BTreeSet;

use lifeboat_plugin::{Failure, Machine, Process};

use crate::wal::segment::Lsn;

const LINES_AT_ONCE: u32 = 4_096;

/// The numbers of the pages of the main fork that records in this part of the WAL touch. `wal` is a folder that has it, `filenode` the
/// relation as pg_waldump writes it (`1663/16384/16394`).
pub fn touched_since<C: Machine>(
    caps: &C,
    machine: &str,
    wal: &str,
    timeline: u32,
    (from, to): (Lsn, Lsn),
    filenode: &str,
) -> Result<BTreeSet<u32>, Failure> {
    if to <= from {
        return Ok(BTreeSet::new());
    }
    let arguments =
        ["-p", wal, "-t", &timeline.to_string(), "-s", &from.to_string(), "-e", &to.to_string(), "-R", filenode]
            .map(str::to_owned);
    let process = caps.spawn(machine, "pg_waldump", &arguments, &[])?;
    let mut touched = BTreeSet::new();
    loop {
        let lines = process.read_lines(LINES_AT_ONCE)?;
        if lines.is_empty() {
            break;
        }
        lines.iter().for_each(|line| touched.extend(blocks(line, filenode)));
    }
    let output = process.wait()?;
    if output.succeeded() {
        return Ok(touched);
    }
    let message = format!(
        "pg_waldump cannot read the WAL from {from} to {to} in {wal} ({}): without it, nothing shows that the copy has the last \
         version of the pages",
        output.last_lines(2)
    );
    Err(Failure::permanent("pg-page-unproved", message))
}

/// `blkref #0: rel 1663/16384/16416 blk 16 FPW`; that of another fork has the fork's name before `blk`.
fn blocks<'a>(line: &'a str, filenode: &'a str) -> impl Iterator<Item = u32> + 'a {
    line.split("rel ").skip(1).filter_map(move |reference| {
        let block = reference.strip_prefix(filenode)?.strip_prefix(" blk ")?;
        let end = block.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(block.len());
        block[..end].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_that_a_record_touches_is_seen() {
        let update = "rmgr: Heap        len (rec/tot):     73/  1893, tx:        736, lsn: 0/02125910, prev 0/021258D8, desc: UPDATE off 99 \
            xmax 736 flags 0x00 ; new off 41 xmax 0, blkref #0: rel 1663/16384/16416 blk 16 FPW, blkref #1: rel 1663/16384/16416 blk 0";
        let visible = "desc: VISIBLE cutoff xid 0 flags 0x03, blkref #0: rel 1663/16384/16416 fork vm blk 3, blkref #1: rel \
            1663/16384/16416 blk 7";
        let check = |line: &str, filenode: &str, expect: &[u32]| {
            assert_eq!(blocks(line, filenode).collect::<Vec<_>>(), expect);
        };
        check(update, "1663/16384/16416", &[16, 0]);
        check(update, "1663/16384/1641", &[]);
        check(visible, "1663/16384/16416", &[7]);
    }
}
