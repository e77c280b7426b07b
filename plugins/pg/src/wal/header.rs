//! The header with which every WAL segment begins: which cluster wrote it, on which timeline, and where it belongs.

use std::fmt;

use crate::wal::{
    segment::{Lsn, Segment, SegmentSize},
    timeline::Chain,
};

/// How many bytes of a segment hold its header.
pub const HEADER_BYTES: u32 = LONG_BYTES as u32;
const LONG_BYTES: u64 = 40;
/// Every page but a segment's first one begins with so many bytes that are no record.
pub const SHORT_BYTES: u64 = 24;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Which timeline wrote the page.
    pub timeline: u32,
    /// Where the page lies in the WAL.
    pub address: Lsn,
    /// So many bytes of a record from the segment before follow.
    pub remaining: u32,
    /// The cluster.
    pub system_identifier: u64,
    /// Of its segments.
    pub segment_bytes: u32,
    /// Of its pages.
    pub page_bytes: u32,
}

/// Why a file is not the segment that its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin like a segment.
    NoHeader,
    /// Another cluster wrote it.
    Cluster(u64),
    /// Its cluster has segments of another size.
    Size(u32),
    /// It holds another part of the WAL.
    Address(Lsn),
    /// Another timeline wrote it.
    Timeline(u32),
}

impl Fault {
    /// The code of the failure that it is.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoHeader | Self::Address(_) => "pg-wal-damaged",
            Self::Cluster(_) | Self::Size(_) | Self::Timeline(_) => "pg-wal-foreign",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHeader => write!(f, "does not begin like a WAL segment"),
            Self::Cluster(found) => write!(f, "was written by the cluster {found}"),
            Self::Size(bytes) => write!(f, "was written by a cluster with segments of {bytes} bytes"),
            Self::Address(lsn) => write!(f, "holds the WAL from {lsn} on, which has another file name"),
            Self::Timeline(timeline) => write!(f, "was written on timeline {timeline}"),
        }
    }
}

/// Reads a header (`XLogLongPageHeaderData` of a little-endian host): magic u16, flags u16 (bit 1: long header), timeline u32,
/// address u64, rest u32, padding u32, system identifier u64, segment size u32, page size u32. None where it is none.
pub fn parse(bytes: &[u8]) -> Option<Header> {
    const LONG_HEADER: u16 = 0x0002;
    let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if short(0)? & 0xFF00 != 0xD100 || short(2)? & LONG_HEADER == 0 {
        return None;
    }
    Some(Header {
        timeline: word(4)?,
        address: Lsn(long(8)?),
        remaining: word(16)?,
        system_identifier: long(24)?,
        segment_bytes: word(32)?,
        page_bytes: word(36).filter(|bytes| bytes.is_power_of_two() && *bytes >= 1 << 10)?,
    })
}

/// Holds a file's head against what its name says.
pub fn check(
    bytes: &[u8],
    segment: Segment,
    size: SegmentSize,
    chain: &Chain,
    system_identifier: u64,
) -> Result<Header, Fault> {
    let header = parse(bytes).ok_or(Fault::NoHeader)?;
    let start = segment.start(size);
    if header.system_identifier != system_identifier {
        return Err(Fault::Cluster(header.system_identifier));
    }
    if u64::from(header.segment_bytes) != size.bytes() {
        return Err(Fault::Size(header.segment_bytes));
    }
    if header.address != start {
        return Err(Fault::Address(header.address));
    }
    // A promotion copies the segment in which it happens: its first page is the ancestor's.
    if header.timeline != segment.timeline && header.timeline != chain.writer(start) {
        return Err(Fault::Timeline(header.timeline));
    }
    Ok(header)
}

impl Header {
    /// Where the page ends that holds the end of the record that crosses into this segment; the segment's begin where none does.
    pub fn crossing_end(&self) -> Lsn {
        let (segment, page) = (u64::from(self.segment_bytes), u64::from(self.page_bytes));
        let (mut rest, mut at) = (u64::from(self.remaining), self.address.0);
        while rest > 0 {
            let header = if at % segment == 0 { LONG_BYTES } else { SHORT_BYTES };
            rest = rest.saturating_sub(page - header);
            at += page;
        }
        Lsn(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: u64 = 7_423_390_164_517_263_455;

    fn head(timeline: u32, address: u64, cluster: u64) -> Vec<u8> {
        let mut bytes = vec![0x10, 0xD1, 0x07, 0x00];
        bytes.extend(timeline.to_le_bytes());
        bytes.extend(address.to_le_bytes());
        bytes.extend(40_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(cluster.to_le_bytes());
        bytes.extend((16_u32 << 20).to_le_bytes());
        bytes.extend(8_192_u32.to_le_bytes());
        bytes
    }

    #[test]
    fn a_header_is_held_against_the_name() {
        let chain = Chain::parse(2, "1\t0/3000060\tno recovery target specified\n").expect("a history");
        let check = |bytes: &[u8], number: u64, timeline: u32, expect: Option<Fault>| {
            let segment = Segment { number, timeline };
            assert_eq!(check(bytes, segment, SegmentSize::DEFAULT, &chain, CLUSTER).err(), expect, "{segment:?}");
        };
        check(&head(1, 0x200_0000, CLUSTER), 2, 1, None);
        // Timeline 2 begins in segment 3, whose first page is a copy.
        check(&head(1, 0x300_0000, CLUSTER), 3, 2, None);
        check(&head(2, 0x400_0000, CLUSTER), 4, 2, None);
        check(&head(1, 0x400_0000, CLUSTER), 4, 2, Some(Fault::Timeline(1)));
        check(&head(3, 0x200_0000, CLUSTER), 2, 1, Some(Fault::Timeline(3)));
        check(&head(1, 0x100_0000, CLUSTER), 2, 1, Some(Fault::Address(Lsn(0x100_0000))));
        check(&head(1, 0x200_0000, 7), 2, 1, Some(Fault::Cluster(7)));
        check(&head(1, 0x200_0000, CLUSTER)[..39], 2, 1, Some(Fault::NoHeader));
        check(&[0; 40], 2, 1, Some(Fault::NoHeader));
        let mut large = head(1, 0x200_0000, CLUSTER);
        large[32..36].copy_from_slice(&(64_u32 << 20).to_le_bytes());
        check(&large, 2, 1, Some(Fault::Size(64 << 20)));
    }

    #[test]
    fn a_record_that_crosses_ends_on_a_page() {
        let check = |segment_bytes: u32, remaining: u32, expect: u64| {
            let header = Header {
                timeline: 1,
                address: Lsn(0x10_0000),
                remaining,
                system_identifier: 7,
                segment_bytes,
                page_bytes: 8_192,
            };
            assert_eq!(header.crossing_end(), Lsn(expect), "{remaining} bytes");
        };
        check(1 << 20, 0, 0x10_0000);
        check(1 << 20, 40, 0x10_2000);
        check(1 << 20, 8_152, 0x10_2000);
        check(1 << 20, 8_153, 0x10_4000);
        // A whole segment and one byte of the next.
        check(1 << 20, 8_152 + 127 * 8_168 + 1, 0x20_2000);
    }
}
