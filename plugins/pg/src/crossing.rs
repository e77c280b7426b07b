//! The record that crosses from the last segment of one timeline into the first one of the next. pg_waldump reads one timeline at a
//! time and never prints it, so its header is read from the file: who wrote it is enough to know that another one did not.

use lifeboat_plugin::{Failure, Machine};

use crate::{
    dump::{self, Reader},
    mark,
    wal_header::{Header, SHORT_BYTES},
    wal_name::{Lsn, Segment},
};

/// Length and xid, with which a record begins; they always lie on one page.
const BEGIN_BYTES: u32 = 8;

/// Who wrote the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// None crosses.
    Nobody,
    /// This transaction; 0 is none.
    By(u32),
    /// It cannot be told.
    Unknown,
}

impl Crossing {
    /// Whether a transaction with this xid, or a later one, may have written it.
    pub fn may_be_of(self, oldest: u32) -> bool {
        match self {
            Self::Nobody | Self::By(0) => false,
            Self::By(xid) => !mark::precedes(xid, oldest),
            Self::Unknown => true,
        }
    }
}

/// The record that crosses between these segments, which follow each other.
pub fn between<C: Machine>(reader: &Reader<'_, C>, left: Segment, right: Segment) -> Result<Crossing, Failure> {
    let Reader { caps, machine, archive } = *reader;
    let size = archive.segment_size;
    let name = |segment: Segment| segment.name(size);
    let head = archive.heads(caps, machine, &[right])?.pop().flatten();
    let Some(head) = head else { return Ok(Crossing::Unknown) };
    if head.remaining == 0 {
        return Ok(Crossing::Nobody);
    }
    let arguments = ["--stats", "-p", &archive.path, &name(left), &name(left)].map(str::to_owned);
    let output = caps.run(machine, "pg_waldump", &arguments, None)?;
    let Some(end) = dump::read_to(&output.stdout).filter(|_| output.succeeded()) else { return Ok(Crossing::Unknown) };
    let Some((at, length)) = begin(end, &head) else { return Ok(Crossing::Unknown) };
    let from = at.0 - left.start(size).0;
    let parts = caps.read_parts(machine, &archive.path, &[name(left)], from, BEGIN_BYTES)?;
    let word = |at: usize| Some(u32::from_le_bytes(parts.first()?.get(at..at + 4)?.try_into().ok()?));
    Ok(match (word(0), word(4)) {
        (Some(total), Some(xid)) if u64::from(total) == length => Crossing::By(xid),
        _ => Crossing::Unknown,
    })
}

/// Where the record begins whose rest follows `head`, when the one before it ends at `end`; and how long it must be.
fn begin(end: Lsn, head: &Header) -> Option<(Lsn, u64)> {
    let page = u64::from(head.page_bytes);
    let at = if end.0.is_multiple_of(page) { end.0 + SHORT_BYTES } else { end.0.next_multiple_of(8) };
    let border = head.address.0;
    if at >= border {
        return None;
    }
    // What of it lies before the border: the rest of its page, and whole pages without their headers.
    let first = at.next_multiple_of(page) - at;
    let pages = (border - at.next_multiple_of(page)) / page;
    Some((Lsn(at), first + pages * (page - SHORT_BYTES) + u64::from(head.remaining)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_record_tells_whether_it_is_the_one() {
        let check = |end: u64, expect: Option<(u64, u64)>| {
            let head = Header {
                timeline: 2,
                address: Lsn(0x10_0000),
                remaining: 40,
                system_identifier: 7,
                segment_bytes: 1 << 20,
                page_bytes: 8_192,
            };
            assert_eq!(begin(Lsn(end), &head).map(|(at, length)| (at.0, length)), expect, "{end:X}");
        };
        check(0x0F_FFF0, Some((0x0F_FFF0, 16 + 40)));
        check(0x0F_FFF5, Some((0x0F_FFF8, 8 + 40)));
        check(0x0F_DFF0, Some((0x0F_DFF0, 16 + 8_168 + 40)));
        check(0x0F_E000, Some((0x0F_E018, 8_168 + 40)));
        check(0x10_0000, None);
    }

    #[test]
    fn an_older_transaction_is_another_one() {
        assert!(!Crossing::Nobody.may_be_of(7));
        assert!(!Crossing::By(0).may_be_of(7));
        assert!(!Crossing::By(6).may_be_of(7));
        assert!(Crossing::By(7).may_be_of(7));
        assert!(Crossing::By(8).may_be_of(7));
        assert!(!Crossing::By(u32::MAX).may_be_of(3), "numbers wrap");
        assert!(Crossing::Unknown.may_be_of(7));
    }
}
