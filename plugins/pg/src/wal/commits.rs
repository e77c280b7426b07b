//! The position of a moment in the WAL, by the times of commits. A file's time only says when the file was written last, which a
//! copy of the archive changes: it says where to look first, and commits before and behind prove it.

use std::{cell::RefCell, collections::BTreeMap};

use lifeboat_plugin::{Failure, Machine, Process};

use crate::{
    server::Moment,
    wal::{
        dump::{Pass, Reader},
        segment::{Lsn, Segment},
        span::Span,
        waldump::{self, Kind, Record},
    },
};

/// Where nothing commits, at most so many segments are looked through at once; half as many the time before.
const SEGMENTS_AT_ONCE_MAX: usize = 64;

/// A commit record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Where it begins.
    pub lsn: Lsn,
    /// `2026-11-21 03:55:29.073844`, UTC.
    pub time: String,
}

impl Commit {
    /// Whether it committed at that moment or before.
    pub fn is_by(&self, moment: &Moment) -> bool {
        self.time <= moment.text
    }
}

/// The last commit before a position, as far back as the archive goes.
pub fn last_before<C: Machine>(reader: &Reader<'_, C>, end: Lsn) -> Result<Option<Commit>, Failure> {
    let segments = &reader.archive.segments;
    let position = reader.archive.position(end);
    for segment in segments[..(position + 1).min(segments.len())].iter().rev() {
        let mut last = None;
        reader.read(&Pass::of(&["Transaction"]), Span::of(std::slice::from_ref(segment)), |record| {
            if let Kind::Commit { time, .. } = record.kind
                && record.lsn < end
            {
                last = commit(record.lsn, &time).or(last.take());
            }
        })?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Looks up moments in an archive. What was read is remembered, so that several moments cost little more than one.
pub struct Times<'a, C> {
    reader: &'a Reader<'a, C>,
    system_identifier: u64,
    known: RefCell<Vec<Known>>,
    /// Whether a segment begins like one of this cluster.
    own: RefCell<BTreeMap<Segment, bool>>,
}

/// The first commit from the segment at `from` on lies in the one at `to`; none where there is none up to the end.
#[derive(Debug, Clone)]
struct Known {
    from: usize,
    to: usize,
    commit: Option<Commit>,
}

/// What a look into some segments gives.
enum Look {
    /// Their first commit, and its time where that is in UTC.
    Commit(Lsn, Option<Commit>),
    /// They are whole, and nothing committed in them.
    Nothing,
    /// They could not be read to their end.
    Broken,
}

impl<'a, C: Machine> Times<'a, C> {
    /// Of an archive, as far as this cluster wrote it: what another one has left there says nothing.
    pub fn new(reader: &'a Reader<'a, C>, system_identifier: u64) -> Self {
        Self { reader, system_identifier, known: RefCell::default(), own: RefCell::default() }
    }

    /// The position of the last segment before which everything had committed by the moment: the first commit later than it lies
    /// in that segment or behind. 0 where the archive begins later.
    pub fn position_of(&self, moment: &Moment) -> Result<usize, Failure> {
        let is_by = |position: usize| Ok::<_, Failure>(self.first_from(position)?.is_some_and(|it| it.is_by(moment)));
        // The first commit from each segment before `low` on is by the moment, from none at `high` or behind it is.
        let (mut low, mut high) = (0, self.reader.archive.segments.len());
        let guess = self.guess(moment);
        if guess.is_none() && !is_by(0)? {
            return Ok(0);
        }
        if let Some(guess) = guess {
            // Commits on both sides prove a guess; a wrong one is left behind in growing strides.
            let mut stride = 1;
            if is_by(guess - 1)? {
                low = guess;
                while low < high {
                    let probe = (low + stride - 1).min(high - 1);
                    if !is_by(probe)? {
                        high = probe;
                        break;
                    }
                    (low, stride) = (probe + 1, stride * 2);
                }
            } else {
                high = guess - 1;
                while low < high {
                    let probe = high.saturating_sub(stride);
                    if is_by(probe)? {
                        low = probe + 1;
                        break;
                    }
                    (high, stride) = (probe, stride * 2);
                }
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_by(middle)? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    /// How many segments begin by the moment, as the times of the files have it; none where they say nothing. Behind the last one
    /// that was written before the moment, one more had been begun.
    fn guess(&self, moment: &Moment) -> Option<usize> {
        let archive = self.reader.archive;
        let archived = archive.modified_ms.iter().rposition(|modified| *modified < moment.ms)?;
        Some((archived + 2).min(archive.segments.len()))
    }

    /// Whether the first commit of the archive is later than the moment, or there is none.
    pub fn begin_after(&self, moment: &Moment) -> Result<bool, Failure> {
        Ok(!self.first_from(0)?.is_some_and(|commit| commit.is_by(moment)))
    }

    /// The number of the segment with the first commit later than the moment; `None` if there is none, so that there is no proof that
    /// the archive reaches the moment. A segment that cannot be read, and a transaction that was rolled back behind the last commit,
    /// are for the server to judge: it stops there too, by a time that is not known here.
    pub fn end_of(&self, moment: &Moment) -> Result<Option<u64>, Failure> {
        let segments = &self.reader.archive.segments;
        let mut rolled_back = false;
        for position in self.position_of(moment)?..segments.len() {
            let mut later = false;
            let read =
                self.reader.read(&Pass::of(&["Transaction"]), Span::of(&segments[position..=position]), |record| {
                    match record.kind {
                        Kind::Commit { time, .. } => {
                            later |= commit(record.lsn, &time).is_some_and(|commit| !commit.is_by(moment));
                            rolled_back = false;
                        }
                        Kind::Abort { .. } => rolled_back = true,
                        _ => {}
                    }
                });
            // Replay says what is wrong with a segment that cannot be read.
            if later || read.is_err() {
                return Ok(Some(segments[position].number));
            }
        }
        Ok(segments.last().filter(|_| rolled_back).map(|segment| segment.number))
    }

    /// The first commit in the segment at this position or behind. Segments that cannot be read are passed over: whether they are
    /// needed is known only when it is known where the moment lies.
    fn first_from(&self, position: usize) -> Result<Option<Commit>, Failure> {
        let count_all = self.reader.archive.segments.len();
        let (mut at, mut count) = (position, 1);
        let found = loop {
            if let Some(known) = self.remembered(at) {
                break known;
            }
            if at >= count_all {
                break Known { from: position, to: count_all, commit: None };
            }
            let own = self.own(at, count);
            let look = if own == 0 { Look::Broken } else { self.look(at, at + own)? };
            match look {
                Look::Commit(lsn, commit) => {
                    break Known { from: position, to: self.reader.archive.position(lsn).max(at), commit };
                }
                Look::Nothing => (at, count) = (at + own, (count * 2).min(SEGMENTS_AT_ONCE_MAX)),
                // The part behind the damage is examined separately.
                Look::Broken if own > 1 => count = 1,
                Look::Broken => at += 1,
            }
        };
        let known = Known { from: position, ..found };
        self.known.borrow_mut().push(known.clone());
        Ok(known.commit)
    }

    fn remembered(&self, at: usize) -> Option<Known> {
        self.known.borrow().iter().find(|known| (known.from..=known.to).contains(&at)).cloned()
    }

    /// How many segments from a position on can be read in one go: of one timeline, without a gap, of this cluster.
    fn own(&self, at: usize, count: usize) -> usize {
        let all = self.reader.archive.segments.get(at..).unwrap_or_default();
        let follows =
            |left: &Segment, right: &Segment| left.timeline == right.timeline && left.number + 1 == right.number;
        let stretch = all.chunk_by(follows).next().unwrap_or_default();
        (at..at + count.min(stretch.len())).take_while(|position| self.is_own(*position)).count()
    }

    /// Looks at the segment's neighbours with it: one program for all of them.
    fn is_own(&self, position: usize) -> bool {
        let Reader { caps, machine, archive } = self.reader;
        let segment = archive.segments[position];
        let known = self.own.borrow().get(&segment).copied();
        known.unwrap_or_else(|| {
            let first = position - position % SEGMENTS_AT_ONCE_MAX;
            let around = &archive.segments[first..(first + SEGMENTS_AT_ONCE_MAX).min(archive.segments.len())];
            let look = |segments: &[Segment]| archive.are_own(*caps, machine, segments, self.system_identifier);
            let mut own = self.own.borrow_mut();
            match look(around) {
                Some(answers) => own.extend(around.iter().copied().zip(answers)),
                // One of them cannot be read, which may be another one.
                None => drop(own.insert(segment, look(&[segment]).is_some_and(|answer| answer == [true]))),
            }
            own.get(&segment).copied().unwrap_or(false)
        })
    }

    /// The first commit in the segments between two positions.
    fn look(&self, begin: usize, end: usize) -> Result<Look, Failure> {
        let Reader { caps, machine, archive } = self.reader;
        let segments = &archive.segments[begin..end];
        let ends = [segments.first(), segments.last()].into_iter().flatten().map(|it| it.name(archive.segment_size));
        let arguments: Vec<String> =
            ["-p", &archive.path, "-r", "Transaction"].map(str::to_owned).into_iter().chain(ends).collect();
        let process = caps.spawn(machine, "pg_waldump", &arguments, &[vec!["desc: COMMIT".to_owned()]])?;
        // Dropped with its first line, the program does not read on.
        for line in process.read_lines(1)? {
            if let Some(Record { lsn, kind: Kind::Commit { time, .. }, .. }) = waldump::parse(&line) {
                return Ok(Look::Commit(lsn, commit(lsn, &time)));
            }
        }
        Ok(if process.wait()?.succeeded() { Look::Nothing } else { Look::Broken })
    }
}

/// Programs of a machine run in UTC.
fn commit(lsn: Lsn, time: &str) -> Option<Commit> {
    let time = time.strip_suffix(" UTC").or_else(|| time.strip_suffix(" GMT"))?;
    Some(Commit { lsn, time: time.to_owned() })
}

#[cfg(test)]
mod tests {
    use lifeboat_plugin::{
        Effect,
        fake::{Machine as Fake, ended},
    };

    use super::*;
    use crate::wal::{archive::Archive, segment::SegmentSize, timeline::Chain};

    /// A commit at each of these seconds, in the segments of these numbers.
    const COMMITS: [(u64, u32); 5] = [(2, 10), (2, 20), (4, 30), (4, 40), (6, 50)];

    fn line((number, second): (u64, u32)) -> String {
        let lsn = Lsn(number * (1 << 20) + u64::from(second) * 0x100);
        format!(
            "rmgr: Transaction len (rec/tot):     34/    34, tx:        {second}, lsn: {}/{:08X}, prev 0/00000000, desc: COMMIT \
             2026-11-21 03:55:{second}.000000 UTC",
            lsn.0 >> 32,
            lsn.0 & 0xFFFF_FFFF
        )
    }

    /// Segments 2 to 7 of 1 MiB, the last one of another timeline, and a pg_waldump over them; one segment may be damaged.
    fn archive() -> Archive {
        let segments = (2..=7).map(|number| Segment { number, timeline: if number < 7 { 1 } else { 2 } }).collect();
        Archive {
            path: "/archive".to_owned(),
            chain: Chain::of(2),
            segments,
            modified_ms: vec![0; 6],
            segment_size: SegmentSize::new(1 << 20).expect("a size"),
            odd: Vec::new(),
            packed: Vec::new(),
        }
    }

    const CLUSTER: u64 = 7;

    fn machine(damaged: Option<u64>) -> Fake {
        let fake = Fake::default();
        fake.add_folder("archive", "/archive").expect("a folder");
        for segment in archive().segments {
            let mut head = vec![0; 40];
            head[..4].copy_from_slice(&[0x10, 0xD1, 0x02, 0x00]);
            head[4..8].copy_from_slice(&segment.timeline.to_le_bytes());
            head[8..16].copy_from_slice(&(segment.number << 20).to_le_bytes());
            head[24..32].copy_from_slice(&CLUSTER.to_le_bytes());
            head[32..36].copy_from_slice(&(1_u32 << 20).to_le_bytes());
            head[36..40].copy_from_slice(&8_192_u32.to_le_bytes());
            let path = format!("/archive/{}", segment.name(archive().segment_size));
            fake.files().write(&path, &head).expect("a segment");
        }
        fake.add_program("pg_waldump", Effect::Read, move |_, call| {
            let [.., first, last] = call.arguments.as_slice() else { panic!("no segments: {call:?}") };
            let number = |name: &str| u64::from_str_radix(&name[16..], 16).expect("a segment");
            let mut range = number(first)..=number(last);
            let broken = damaged.filter(|damaged| range.contains(damaged));
            if let Some(broken) = broken {
                range = *range.start()..=broken - 1;
            }
            let lines: Vec<_> = COMMITS.into_iter().filter(|(at, _)| range.contains(at)).map(line).collect();
            let says =
                broken.map_or("", |_| "pg_waldump: error: error in WAL record at 0/0: invalid magic number 0000");
            ended(i32::from(broken.is_some()), &lines.join("\n"), says)
        });
        fake
    }

    fn moment(second: u32) -> Moment {
        Moment { ms: u64::from(second) * 1_000, text: format!("2026-11-21 03:55:{second:02}.000000") }
    }

    #[test]
    fn a_moment_lies_where_commits_say() {
        let check = |damaged: Option<u64>, second: u32, expect: (u64, Option<u64>)| {
            // Whatever the times of the files say: nothing, the truth, always too late, the reverse.
            let all = [[0; 6], [15, 25, 35, 45, 55, 60], [90; 6], [60, 55, 45, 35, 25, 15], [1, 90, 1, 90, 1, 90]];
            for modified in all {
                let (caps, mut archive) = (machine(damaged), archive());
                archive.modified_ms = modified.map(|second| second * 1_000).to_vec();
                let reader = Reader { caps: &caps, machine: "m", archive: &archive };
                let times = Times::new(&reader, CLUSTER);
                let position = times.position_of(&moment(second)).expect("a position");
                let end = times.end_of(&moment(second)).expect("a segment");
                let found = (archive.segments[position].number, end);
                assert_eq!(found, expect, "{second} with {damaged:?} damaged, {modified:?}");
            }
        };
        check(None, 11, (2, Some(2)));
        check(None, 25, (2, Some(4)));
        check(None, 30, (4, Some(4)));
        check(None, 40, (4, Some(6)));
        check(None, 55, (6, None));
        // Before everything, so nothing can be left out.
        check(None, 10, (2, Some(2)));
        // Damage behind the moment is no matter.
        check(Some(6), 30, (4, Some(4)));
        check(Some(7), 30, (4, Some(4)));
        check(Some(5), 45, (4, Some(5)));
    }

    #[test]
    fn what_another_cluster_wrote_says_nothing() {
        let (caps, archive) = (machine(None), archive());
        let reader = Reader { caps: &caps, machine: "m", archive: &archive };
        let check = |cluster: u64, second: u32, expect: bool| {
            let times = Times::new(&reader, cluster);
            assert_eq!(times.begin_after(&moment(second)).expect("a search"), expect, "{cluster} at {second}");
        };
        check(CLUSTER, 10, false);
        check(CLUSTER, 9, true);
        check(8, 55, true);
    }

    #[test]
    fn a_good_guess_costs_two_looks_and_more_moments_nearby_cost_none() {
        let (caps, mut archive) = (machine(None), archive());
        archive.modified_ms = [15, 25, 35, 45, 55, 60].map(|second| second * 1_000).to_vec();
        let reader = Reader { caps: &caps, machine: "m", archive: &archive };
        let times = Times::new(&reader, CLUSTER);
        let position = |second: u32| times.position_of(&moment(second)).expect("a position");
        assert_eq!((position(34), caps.invocations().len()), (2, 3));
        assert_eq!((position(33), position(32), caps.invocations().len()), (2, 2, 3));
    }

    #[test]
    fn the_last_commit_before_a_position_may_be_far_back() {
        let (caps, archive) = (machine(None), archive());
        let reader = Reader { caps: &caps, machine: "m", archive: &archive };
        let check = |megabytes: u64, expect: Option<u32>| {
            let found = last_before(&reader, Lsn(megabytes << 20)).expect("a search");
            assert_eq!(found.map(|commit| commit.time), expect.map(|second| moment(second).text), "{megabytes} MiB");
        };
        check(2, None);
        check(3, Some(20));
        check(4, Some(20));
        check(5, Some(40));
        check(9, Some(50));
    }
}
