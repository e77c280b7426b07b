//! The moments that can be looked at: the seal of the oldest backup, and the begin of each archived segment behind it.

use crate::{
    backup::{base_backup::Backup, seal::sealed::Seal},
    wal::{
        archive::Archive,
        segment::{Lsn, SegmentSize},
    },
};

/// A moment in the WAL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Where replay stops: behind the record that ends there.
    pub lsn: Lsn,
    /// The backup that ended just before it, if one did since the point before.
    pub backup: Option<String>,
    /// Whether it is the end of the archive.
    pub is_end: bool,
}

/// The points from the seal on, which is the first of them, to the end of the archive, which is the last.
pub fn points(seal: &Seal, backups: &[Backup], archive: &Archive) -> Vec<Point> {
    let size = archive.segment_size;
    let behind = archive.segments.iter().map(|segment| segment.start(size)).filter(|start| *start > seal.lsn);
    let starts: Vec<Lsn> = behind.collect();
    let mut points = vec![Point { lsn: seal.lsn, backup: Some(seal.backup.clone()), is_end: false }];
    for start in starts {
        let before = points.last().map_or(Lsn::default(), |point| point.lsn);
        let ended = |backup: &&Backup| backup.end_lsn.is_some_and(|end| end > before && end <= start);
        let backup = backups.iter().rev().find(ended).map(|backup| backup.name.clone());
        points.push(Point { lsn: start, backup, is_end: false });
    }
    points.push(Point { lsn: end(archive, size), backup: None, is_end: true });
    points
}

/// Behind the last segment of the archive.
fn end(archive: &Archive, size: SegmentSize) -> Lsn {
    archive.segments.last().map_or(Lsn::default(), |last| Lsn(last.start(size).0 + size.bytes()))
}
