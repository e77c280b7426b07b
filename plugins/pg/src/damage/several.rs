//! What several transactions removed together, from one copy before the first of them.
//!
//! Between the first commit and the last one, other transactions continued: what they inserted is in no such copy, and what they
//! changed has moved. So everything that was written to these files in that time is read, by any transaction.

use std::collections::BTreeSet;

use lifeboat_plugin::Failure;

use crate::{
    damage::{
        deleters::Candidate,
        layout::Layout,
        removals::{Removals, written_file},
        search::{Culprit, PASSES_MAX, Search, ends, passes_over},
    },
    server::Capabilities,
    wal::{
        dump::{Job, Pass},
        mark,
        span::Span,
        waldump::{Filenode, Kind},
    },
};

/// More xids than this are not looked for in the text of each line: the host hands over all lines that could matter.
const XIDS_IN_TEXT_MAX: usize = 64;

/// Others that committed between the first of the transactions and the last one.
#[derive(Debug, Default)]
struct Meanwhile {
    members: Vec<u32>,
    oldest: Option<u32>,
}

impl<C: Capabilities> Search<'_, C> {
    pub(crate) fn removals_of_several<'l>(
        &self,
        culprit: &Culprit,
        layout: &'l Layout,
    ) -> Result<Removals<'l>, Failure> {
        let transactions = culprit.transactions.as_slice();
        let [first, .., last] = transactions else { return Ok(Removals::of(transactions, layout)) };
        let older = |one, other| if mark::precedes(one, other) { one } else { other };
        let ours = transactions.iter().map(Candidate::oldest).fold(first.oldest(), older);
        let meanwhile = self.meanwhile(transactions, self.reader.archive.span(first.lsn, last.lsn)?)?;
        let own = self.written_between(culprit, ours, last)?;
        let files = self.files_written(transactions, own, layout)?;
        let span = self.written_between(culprit, meanwhile.oldest.map_or(ours, |oldest| older(ours, oldest)), last)?;

        let (count, others) = (transactions.len(), meanwhile.members.len());
        let mut removals = Removals::of(transactions, layout).beside(meanwhile.members);
        let mut passes = passes_over(&files, &["Heap", "Heap2"], &["INSERT", "DELETE", "UPDATE"]);
        let kept = ["desc: CREATE", "desc: LOCK xid"].map(|text| vec![text.to_owned()]).to_vec();
        passes.push(Pass { keep: kept, ..Pass::of(&["Storage", "Standby"]) });
        let jobs: Vec<Job<'_>> = passes.into_iter().map(|pass| Job { pass, spans: vec![span] }).collect();
        self.reader.read_merged(&jobs, |record| removals.take(&record))?;
        self.reader.caps.info(&format!(
            "{count} transactions ended between {} and {}, {others} others meanwhile; read {} segments for them",
            first.lsn,
            last.lsn,
            span.segments.len()
        ));
        Ok(removals)
    }

    fn meanwhile(&self, transactions: &[Candidate], span: Span<'_>) -> Result<Meanwhile, Failure> {
        let ours: BTreeSet<u32> = transactions.iter().flat_map(Candidate::members).collect();
        let older = |one, other| if mark::precedes(one, other) { one } else { other };
        let mut found = Meanwhile::default();
        self.reader.read(&ends(), span, |record| {
            let Kind::Commit { subtransactions, .. } = &record.kind else { return };
            if !ours.contains(&record.xid) {
                let oldest = mark::oldest(record.xid, subtransactions);
                found.oldest = Some(found.oldest.map_or(oldest, |known| older(known, oldest)));
                found.members.extend(subtransactions.iter().copied().chain([record.xid]));
            }
        })?;
        Ok(found)
    }

    /// The files from which the transactions removed rows, or in which they changed some, and those from which rows can have
    /// come there.
    fn files_written(
        &self,
        transactions: &[Candidate],
        span: Span<'_>,
        layout: &Layout,
    ) -> Result<Vec<Filenode>, Failure> {
        let members: BTreeSet<u32> = transactions.iter().flat_map(Candidate::members).collect();
        let jobs: Vec<Job<'_>> = passes_of(&members).into_iter().map(|pass| Job { pass, spans: vec![span] }).collect();
        let mut files = BTreeSet::new();
        self.reader.read_merged(&jobs, |record| {
            let file = written_file(&record.kind).filter(|_| members.contains(&record.xid));
            files.extend(file.filter(|file| layout.follows(*file)));
        })?;
        let roots: BTreeSet<u32> = files.iter().filter_map(|file| Some(layout.leaves.get(file)?.root)).collect();
        files.extend(layout.leaves.iter().filter(|(_, leaf)| roots.contains(&leaf.root)).map(|(file, _)| *file));
        Ok(files.into_iter().collect())
    }
}

/// Passes that print what these (sub)transactions removed and changed, and perhaps more.
fn passes_of(members: &BTreeSet<u32>) -> Vec<Pass> {
    let ends = ["desc: DELETE", "UPDATE"];
    let any = || ends.map(|text| vec![text.to_owned()]).to_vec();
    if members.len() <= PASSES_MAX {
        let pass = |xid: &u32| Pass { xid: Some(*xid), keep: any(), ..Pass::of(&["Heap"]) };
        return members.iter().map(pass).collect();
    }
    let keep = if members.len() <= XIDS_IN_TEXT_MAX {
        let of = |xid: &u32| ends.map(|text| vec![text.to_owned(), format!("tx: {xid:>10},")]).to_vec();
        members.iter().flat_map(of).collect()
    } else {
        any()
    };
    vec![Pass { keep, ..Pass::of(&["Heap"]) }]
}
