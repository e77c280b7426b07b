//! The record that crosses from the last segment of one timeline into the first one of the next. pg_waldump reads one timeline at a
//! time and never prints it, so its header is read from the file: who wrote it is enough to know that another one did not. Where
//! all of it matters, its checksum is computed here.

use lifeboat_plugin::{Failure, Machine};

use crate::wal::{
    archive::Archive,
    dump::{self, Reader},
    header::{HEADER_BYTES, Header, SHORT_BYTES},
    mark,
    segment::{Lsn, Segment},
};

/// A longer record is not put together: hardly one is ever written.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// What a record begins with, its checksum last.
const RECORD_HEADER_BYTES: usize = 24;
const CHECKSUM_AT: usize = 20;

/// Length and xid, with which a record begins; they always lie on one page.
const BEGIN_BYTES: u32 = 8;

/// Who wrote the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossing {
    /// None crosses.
    Nobody,
    /// This transaction; 0 is none.
    By(u32),
    /// It is unknown.
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

/// What was made of all of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// None crosses.
    Nothing,
    /// Its checksum is right.
    Good,
    /// It is too long, or where it begins cannot be told.
    NotRead,
}

/// Where the record begins that ends behind `head`, and how long it must be; none where that cannot be told.
fn locate<C: Machine>(reader: &Reader<'_, C>, left: Segment, head: &Header) -> Result<Option<(Lsn, u64)>, Failure> {
    let Reader { caps, machine, archive } = *reader;
    let name = left.name(archive.segment_size);
    let arguments = ["--stats", "-p", &archive.path, &name, &name].map(str::to_owned);
    let output = caps.run(machine, "pg_waldump", &arguments, None)?;
    let end = dump::read_to(&output.stdout).filter(|_| output.succeeded());
    Ok(end.and_then(|end| begin(end, head)))
}

/// Puts the record together that crosses between these segments, and computes its checksum. Fails with `pg-wal-damaged` where it
/// is not the one that it says.
pub fn check<C: Machine>(reader: &Reader<'_, C>, left: Segment, right: (Segment, &Header)) -> Result<Whole, Failure> {
    let Reader { caps, machine, archive } = *reader;
    let (right, head) = right;
    if head.remaining == 0 {
        return Ok(Whole::Nothing);
    }
    let Some((at, length)) = locate(reader, left, head)? else { return Ok(Whole::NotRead) };
    let rest = behind(head);
    if length > WHOLE_BYTES_MAX || rest > archive.segment_size.bytes() {
        return Ok(Whole::NotRead);
    }
    let bytes = |segment: Segment, from: u64, count: u64| -> Result<Vec<u8>, Failure> {
        let (name, count) = (segment.name(archive.segment_size), u32::try_from(count).unwrap_or(u32::MAX));
        Ok(caps.read_parts(machine, &archive.path, &[name], from, count)?.pop().unwrap_or_default())
    };
    let begin = at.0 - left.start(archive.segment_size).0;
    let before = bytes(left, begin, head.address.0 - at.0)?;
    let record = join(at, &before, &bytes(right, 0, rest)?, head);
    if is_whole(&record, length) {
        return Ok(Whole::Good);
    }
    Err(Failure::permanent("pg-wal-damaged", damaged(archive, at, left, right)))
}

fn damaged(archive: &Archive, at: Lsn, left: Segment, right: Segment) -> String {
    let [left, right] = [left, right].map(|segment| segment.name(archive.segment_size));
    format!(
        "the record at {at} is damaged; it begins in segment {left} and ends in segment {right} of the next timeline"
    )
}

/// So many bytes of the segment of `head` hold the rest of the record, page headers included.
fn behind(head: &Header) -> u64 {
    let (page, rest) = (u64::from(head.page_bytes), u64::from(head.remaining));
    let first = page - u64::from(HEADER_BYTES);
    if rest <= first {
        return u64::from(HEADER_BYTES) + rest;
    }
    let pages = (rest - first).div_ceil(page - SHORT_BYTES);
    page + pages * SHORT_BYTES + rest - first
}

/// A record without the headers of the pages on which it lies.
fn join(at: Lsn, before: &[u8], behind: &[u8], head: &Header) -> Vec<u8> {
    let page = head.page_bytes as usize;
    let (first, pages) = before.split_at(before.len() % page);
    // The record may begin right behind the header of its page.
    debug_assert_eq!(first.len() as u64, at.0.next_multiple_of(page as u64) - at.0);
    let short = pages.chunks(page).flat_map(|page| page.iter().skip(SHORT_BYTES as usize));
    let headers = |index: usize| if index == 0 { HEADER_BYTES as usize } else { SHORT_BYTES as usize };
    let rest = behind.chunks(page).enumerate().flat_map(|(index, page)| page.iter().skip(headers(index)));
    first.iter().chain(short).chain(rest).copied().collect()
}

/// Whether the record has its length and its checksum (CRC-32C of what follows its header, then of the header before it).
fn is_whole(record: &[u8], length: u64) -> bool {
    let word = |at: usize| Some(u32::from_le_bytes(record.get(at..at + 4)?.try_into().ok()?));
    let (Some(total), Some(sum)) = (word(0), word(CHECKSUM_AT)) else { return false };
    let (Some(header), Some(data)) = (record.get(..CHECKSUM_AT), record.get(RECORD_HEADER_BYTES..)) else {
        return false;
    };
    u64::from(total) == length && record.len() as u64 == length && crc32c(data.iter().chain(header)) == sum
}

/// The checksum of Castagnoli, as PostgreSQL computes it.
fn crc32c<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let step = |sum: u32| if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
    !bytes.fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// Who wrote the record that crosses between these segments, which follow each other.
pub fn between<C: Machine>(reader: &Reader<'_, C>, left: Segment, right: Segment) -> Result<Crossing, Failure> {
    let Reader { caps, machine, archive } = *reader;
    let size = archive.segment_size;
    let head = archive.heads(caps, machine, &[right])?.pop().flatten();
    let Some(head) = head else { return Ok(Crossing::Unknown) };
    if head.remaining == 0 {
        return Ok(Crossing::Nobody);
    }
    let Some((at, length)) = locate(reader, left, &head)? else { return Ok(Crossing::Unknown) };
    let from = at.0 - left.start(size).0;
    let parts = caps.read_parts(machine, &archive.path, &[left.name(size)], from, BEGIN_BYTES)?;
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
    fn a_record_is_put_together_without_the_headers_of_its_pages() {
        assert_eq!(crc32c(b"123456789".iter()), 0xE306_9283);
        // 16 bytes on its first page, a whole page, and the rest behind the border: more than one page.
        let at = Lsn(0x0F_DFF0);
        let length = 16 + 8_168 + 9_000;
        let mut record: Vec<u8> = (0..length as u32).map(|byte| byte as u8).collect();
        record[..4].copy_from_slice(&(length as u32).to_le_bytes());
        let sum = crc32c(record[24..].iter().chain(&record[..20]));
        record[20..24].copy_from_slice(&sum.to_le_bytes());
        let head = Header {
            timeline: 2,
            address: Lsn(0x10_0000),
            remaining: 9_000,
            system_identifier: 7,
            segment_bytes: 1 << 20,
            page_bytes: 8_192,
        };
        assert_eq!(begin(Lsn(at.0), &head), Some((at, length)));
        let before = [&record[..16], &[9; 24], &record[16..16 + 8_168]].concat();
        let rest = &record[16 + 8_168..];
        let after = [&[9; 40], &rest[..8_152], &[9; 24], &rest[8_152..]].concat();
        assert_eq!(behind(&head), after.len() as u64);
        let joined = join(at, &before, &after, &head);
        assert_eq!(joined, record);
        assert!(is_whole(&joined, length));
        for spoiled in [0, 5, 20, 30, length as usize - 1] {
            let mut spoiled_record = record.clone();
            spoiled_record[spoiled] ^= 1;
            assert!(!is_whole(&spoiled_record, length), "{spoiled}");
        }
        assert!(!is_whole(&record[..20], length) && !is_whole(&record, length - 1));
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
