//! The WAL archive on a machine: its segments, and the clusters and timelines that wrote them.

use lifeboat_plugin::{
    Failure, Machine, Runtime,
    machine::{self, Entry, EntryKind},
};

use crate::wal::{
    archive_format,
    cluster::Facts,
    header::{self, Fault, HEADER_BYTES, Header},
    segment::{self, Lsn, Segment, SegmentSize},
    span::Span,
    timeline::{self, Chain},
};

/// The folder of a binding that contains the archive, unless an action specifies otherwise.
pub const ARCHIVE: &str = "archive";
/// So many history files of other timelines are read for what they say; all are named.
const HISTORIES_READ_MAX: usize = 8;
/// So many folders of an archive without segments are looked into.
const FOLDERS_LISTED_MAX: usize = 20;

/// Segments that can be read one after the other up to a timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Absolute path on the machine.
    pub path: String,
    /// The timeline, and those that lead to it.
    pub chain: Chain,
    /// By number, one of each; holes are possible.
    pub segments: Vec<Segment>,
    /// When each file was last written (milliseconds since 1970), in the order of `segments`. A copy of the archive has other
    /// times: no more than a hint.
    pub modified_ms: Vec<u64>,
    /// Of each segment.
    pub segment_size: SegmentSize,
    /// Files that have a segment's name and another size: cut short, or still being copied.
    pub odd: Vec<(Segment, u64)>,
    /// Files that hold a segment in compressed form.
    pub packed: Vec<String>,
}

/// Lists the archive for the timeline of `facts`: only what that one or an ancestor wrote, as its history file says, counts.
/// Files of the wrong size do not count either.
pub fn list<C: Machine + Runtime>(caps: &C, machine: &str, folder: &str, facts: &Facts) -> Result<Archive, Failure> {
    let path = caps.folder(machine, folder)?;
    let size = facts.segment_size;
    let entries = caps.list_folder(machine, &path)?;
    check_format(caps, machine, &path, &entries, size)?;
    let chain = chain(caps, machine, &path, &entries, facts.timeline)?;
    warn_of_strays(caps, machine, &path, &entries, &chain);
    let archive = sort(path, chain, &entries, size);
    if archive.segments.is_empty() {
        return Err(archive.empty(&entries));
    }
    Ok(archive)
}

/// Fails with `pg-archive-format` where segments lie there as they are not read.
pub fn check_format(
    caps: &impl Machine,
    machine: &str,
    path: &str,
    entries: &[Entry],
    size: SegmentSize,
) -> Result<(), Failure> {
    let mut below = Vec::new();
    if !entries.iter().any(|entry| Segment::parse(&entry.name, size).is_some()) {
        let folders = entries.iter().filter(|entry| entry.kind == EntryKind::Folder);
        for folder in folders.take(FOLDERS_LISTED_MAX) {
            // One that must not be read, such as `lost+found`, says nothing.
            below.extend(caps.list_folder(machine, &format!("{path}/{}", folder.name)).unwrap_or_default());
        }
    }
    archive_format::check(path, entries, &below, size)
}

/// The cluster that wrote the newest file of an archive that is named like a segment.
pub fn owner(caps: &impl Machine, machine: &str, folder: &str) -> Result<Option<u64>, Failure> {
    let path = caps.folder(machine, folder)?;
    let is_segment = |entry: &Entry| {
        entry.kind == EntryKind::File
            && entry.name.len() == 24
            && entry.name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'))
            && entry.size >= u64::from(HEADER_BYTES)
    };
    let entries = caps.list_folder(machine, &path)?;
    let Some(newest) = entries.iter().filter(|entry| is_segment(entry)).max_by_key(|entry| &entry.name) else {
        return Ok(None);
    };
    let heads = caps.read_parts(machine, &path, std::slice::from_ref(&newest.name), 0, HEADER_BYTES)?;
    Ok(heads.first().and_then(|head| header::parse(head)).map(|header| header.system_identifier))
}

/// The chain of a timeline, by its history file. Without one, nothing is known of its ancestors.
fn chain<C: Machine + Runtime>(
    caps: &C,
    machine: &str,
    path: &str,
    entries: &[Entry],
    timeline: u32,
) -> Result<Chain, Failure> {
    let name = timeline::history_file(timeline);
    if timeline == 1 {
        return Ok(Chain::of(timeline));
    }
    if !entries.iter().any(|entry| entry.name == name) {
        caps.warn(&format!("{path} has no {name}: only segments of timeline {timeline} itself are used"));
        return Ok(Chain::of(timeline));
    }
    let content = caps.read_file(machine, &format!("{path}/{name}"))?;
    Chain::parse(timeline, &String::from_utf8_lossy(&content)).ok_or_else(|| {
        let message = format!("{path}/{name} does not say which timelines lead to {timeline}");
        Failure::permanent("pg-wal-damaged", message)
    })
}

/// Names the timelines that are left out: a copy that archives here was promoted, or the server was promoted since.
fn warn_of_strays<C: Machine + Runtime>(caps: &C, machine: &str, path: &str, entries: &[Entry], chain: &Chain) {
    let strays = entries.iter().filter_map(|entry| timeline::of_history_file(&entry.name));
    for (index, stray) in strays.filter(|stray| !chain.includes(*stray)).enumerate() {
        let name = timeline::history_file(stray);
        let read = |name: &str| caps.read_file(machine, &format!("{path}/{name}")).ok();
        let text = (index < HISTORIES_READ_MAX).then(|| read(&name)).flatten();
        let history = text.and_then(|text| Chain::parse(stray, &String::from_utf8_lossy(&text)));
        let from = history.map_or(String::new(), |history| format!(", which begins at {},", history.begin()));
        caps.warn(&format!(
            "{path}/{name} is left out: timeline {stray}{from} does not lead to timeline {}, which is read",
            chain.timeline()
        ));
    }
}

fn sort(path: String, chain: Chain, entries: &[Entry], size: SegmentSize) -> Archive {
    let files = || entries.iter().filter(|entry| entry.kind == EntryKind::File);
    let mut found: Vec<(Segment, &Entry)> = files()
        .filter_map(|entry| Some((Segment::parse(&entry.name, size)?, entry)))
        .filter(|(segment, _)| chain.segment(segment.number, size) == *segment)
        .collect();
    found.sort_by_key(|(segment, _)| segment.number);
    let (whole, odd): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, entry)| entry.size == size.bytes());
    let packed = files().filter(|entry| archive_format::packed(&entry.name, size).is_some());
    Archive {
        packed: packed.map(|entry| entry.name.clone()).collect(),
        path,
        chain,
        segments: whole.iter().map(|(segment, _)| *segment).collect(),
        modified_ms: whole.iter().map(|(_, entry)| entry.modified_ms).collect(),
        segment_size: size,
        odd: odd.into_iter().map(|(segment, entry)| (segment, entry.size)).collect(),
    }
}

impl Archive {
    /// The position of the first of the segments that follow each other without a gap up to the one at `position`.
    pub fn reaches_back(&self, position: usize) -> usize {
        let gap = |pair: &[Segment]| pair[1].number != pair[0].number + 1;
        let last_gap = self.segments.get(..=position).and_then(|all| all.windows(2).rposition(gap));
        last_gap.map_or(0, |before| before + 1)
    }

    /// The position of the segment that holds the byte at `lsn`, or of the next one that is there.
    pub fn position(&self, lsn: Lsn) -> usize {
        let number = Segment::holding(lsn, 0, self.segment_size).number;
        self.segments.partition_point(|segment| segment.number < number)
    }

    /// The records from one position to just before another one. Fails with `pg-wal-gap` where a segment is missing.
    pub fn span(&self, from: Lsn, to: Lsn) -> Result<Span<'_>, Failure> {
        let end = (self.position(to) + 1).min(self.segments.len());
        let segments = &self.segments[self.position(from).min(end)..end];
        self.whole(segments)?;
        Ok(Span { segments, from: Some(from), to: Some(to) })
    }

    /// Fails with `pg-wal-gap`, naming the first missing segment, where these do not follow each other.
    pub fn whole(&self, segments: &[Segment]) -> Result<(), Failure> {
        let Some(number) = segment::first_gap(segments) else { return Ok(()) };
        let timeline = segments.iter().rfind(|segment| segment.number < number).map_or(1, |segment| segment.timeline);
        Err(self.gap(Segment { number, timeline }))
    }

    /// The failure for a missing segment: it is not there, not whole, or compressed.
    pub fn gap(&self, missing: Segment) -> Failure {
        let name = missing.name(self.segment_size);
        let from = missing.start(self.segment_size);
        if let Some((segment, bytes)) = self.odd.iter().find(|(segment, _)| *segment == missing) {
            return Failure::permanent("pg-wal-damaged", self.not_whole(*segment, *bytes));
        }
        if let Some(packed) = self.packed.iter().find(|packed| packed.starts_with(&name)) {
            return archive_format::refused(&format!("{} holds {packed}, which is needed", self.path));
        }
        let last = self.segments.last();
        let message = match last.map(|last| (last.number, last.name(self.segment_size))) {
            Some((number, last)) if number < missing.number => {
                format!("the archive {} ends with segment {last}; {name} (from {from}) is needed", self.path)
            }
            last => format!(
                "the archive {} lacks segment {name} (from {from}) but continues to {}: nothing after the gap can be \
                 replayed",
                self.path,
                last.map_or_else(String::new, |(_, last)| last)
            ),
        };
        Failure::permanent("pg-wal-gap", message)
    }

    fn not_whole(&self, segment: Segment, bytes: u64) -> String {
        let (name, from) = (segment.name(self.segment_size), segment.start(self.segment_size));
        let whole = self.segment_size.bytes();
        format!("{}/{name} (from {from}) has {bytes} bytes, but a segment has {whole}", self.path)
    }

    fn empty(&self, entries: &[Entry]) -> Failure {
        let mut message =
            format!("there is no whole WAL segment of timeline {} or before in {}", self.chain.timeline(), self.path);
        let folders: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::Folder).collect();
        if let Some(folder) = folders.first() {
            message = format!("{message}; folders in it, such as `{}`, are not looked into", folder.name);
        }
        if let Some((segment, bytes)) = self.odd.first() {
            message = format!("{message}; {}", self.not_whole(*segment, *bytes));
        }
        Failure::permanent("pg-archive-empty", message)
    }

    /// Fails where a file that is no whole segment follows the last one: it may still be copied, so trying again may help.
    pub fn check_end(&self) -> Result<(), Failure> {
        let last = self.segments.last().map_or(0, |last| last.number);
        let Some((segment, bytes)) = self.odd.iter().find(|(segment, _)| segment.number > last) else { return Ok(()) };
        let message = format!("{}: it is still being copied, or was truncated", self.not_whole(*segment, *bytes));
        Err(Failure::transient("pg-wal-damaged", message))
    }

    /// Holds the header of every one of these segments against its name: `pg-wal-foreign` where another cluster or timeline wrote
    /// one, `pg-wal-damaged` where one does not begin like a segment, `pg-wal-unreadable` where one cannot be read.
    pub fn check_heads(
        &self,
        caps: &impl Machine,
        machine: &str,
        segments: &[Segment],
        system_identifier: u64,
    ) -> Result<Vec<Header>, Failure> {
        let heads = self.read_heads(caps, machine, segments)?;
        let check = |(segment, head): (&Segment, &Vec<u8>)| {
            self.check_head(head, *segment, system_identifier).map_err(|fault| {
                let (name, from) = (segment.name(self.segment_size), segment.start(self.segment_size));
                let whose = format!("cluster {system_identifier}, timeline {}", segment.timeline);
                let message = format!("{}/{name} (from {from} of {whose}) {fault}", self.path);
                Failure::permanent(fault.code(), message)
            })
        };
        segments.iter().zip(&heads).map(check).collect()
    }

    /// Whether each of these segments begins like one of that cluster; none where one of them cannot be read.
    pub fn are_own(
        &self,
        caps: &impl Machine,
        machine: &str,
        segments: &[Segment],
        system_identifier: u64,
    ) -> Option<Vec<bool>> {
        let heads = self.read_heads(caps, machine, segments).ok()?;
        let is_own = |(segment, head): (&Segment, &Vec<u8>)| self.check_head(head, *segment, system_identifier).is_ok();
        Some(segments.iter().zip(&heads).map(is_own).collect())
    }

    fn check_head(&self, head: &[u8], segment: Segment, system_identifier: u64) -> Result<Header, Fault> {
        header::check(head, segment, self.segment_size, &self.chain, system_identifier)
    }

    /// The header of each of these segments; none of one that has none.
    pub fn heads(
        &self,
        caps: &impl Machine,
        machine: &str,
        segments: &[Segment],
    ) -> Result<Vec<Option<Header>>, Failure> {
        Ok(self.read_heads(caps, machine, segments)?.iter().map(|head| header::parse(head)).collect())
    }

    fn read_heads(&self, caps: &impl Machine, machine: &str, segments: &[Segment]) -> Result<Vec<Vec<u8>>, Failure> {
        let names: Vec<String> = segments.iter().map(|segment| segment.name(self.segment_size)).collect();
        let heads = caps.read_parts(machine, &self.path, &names, 0, HEADER_BYTES);
        heads.map_err(|error| self.unreadable(segments, error))
    }

    fn unreadable(&self, segments: &[Segment], error: machine::Error) -> Failure {
        let said = match error {
            machine::Error::Failed(reason) if reason.code == "machine-file" => reason.message,
            machine::Error::NotFound(path) => format!("{path} does not exist any more"),
            other => return other.into(),
        };
        let named = segments.iter().find(|segment| said.contains(&segment.name(self.segment_size)));
        let from = named.map_or(String::new(), |segment| {
            let name = segment.name(self.segment_size);
            format!("segment {name} (from {}): ", segment.start(self.segment_size))
        });
        Failure::permanent("pg-wal-unreadable", format!("{from}{said}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(numbers: &[u64]) -> Archive {
        Archive {
            path: "/archive".to_owned(),
            chain: Chain::of(1),
            odd: Vec::new(),
            packed: Vec::new(),
            segments: numbers.iter().map(|number| Segment { number: *number, timeline: 1 }).collect(),
            modified_ms: numbers.iter().map(|number| number * 100).collect(),
            segment_size: SegmentSize::DEFAULT,
        }
    }

    #[test]
    fn what_lies_before_a_gap_cannot_be_reached() {
        let check = |numbers: &[u64], position: usize, expect: usize| {
            assert_eq!(archive(numbers).reaches_back(position), expect, "{numbers:?} from {position}");
        };
        check(&[1, 2, 3, 4], 3, 0);
        check(&[1, 3, 4], 2, 1);
        check(&[1, 3, 4], 1, 1);
        check(&[1, 3, 4, 7], 2, 1);
        check(&[1, 3, 5], 2, 2);
        check(&[5], 0, 0);
    }

    #[test]
    fn a_span_has_the_segments_of_both_ends() {
        let check = |from: u64, to: u64, expect: Result<&[u64], &str>| {
            let archive = archive(&[3, 4, 5, 7]);
            let found = archive.span(Lsn(from << 20), Lsn(to << 20));
            let found = found.map(|span| span.segments.iter().map(|segment| segment.number).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(Failure::code), expect, "{from} to {to}");
        };
        // Segments of 16 MiB.
        check(50, 60, Ok(&[3]));
        check(50, 81, Ok(&[3, 4, 5]));
        check(50, 112, Err("pg-wal-gap"));
    }

    #[test]
    fn a_gap_is_named() {
        let gap = archive(&[1, 2, 5]).whole(&archive(&[1, 2, 5]).segments).expect_err("a gap");
        assert!(gap.reason().message.contains("lacks segment 000000010000000000000003"), "{gap:?}");
    }
}
