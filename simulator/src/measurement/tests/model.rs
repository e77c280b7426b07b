//! A generator of histories with a database that is rewound, and of which rows are taken: the truth is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use proptest::prelude::*;

use crate::{
    clock::At,
    ledger::{Baseline, Change, History, Id, Key, Name, Operation, State, Write, WriteId, WriteOutcome},
    measurement::{FinalRecord, FinalState, Probe, ProbeKind},
};

/// A made-up drill.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// What the ledger says.
    pub(super) history: History,
    /// What the database holds at the end.
    pub(super) state: FinalState,
    /// Acknowledged writes whose effect was truly taken.
    pub(super) taken: BTreeSet<WriteId>,
    /// Rows that the acknowledged writes leave deleted, or that do not exist at the end.
    pub(super) gone: BTreeSet<Key>,
    /// Rows that the application deleted, as they were before.
    pub(super) deleted: BTreeMap<Key, FinalRecord>,
    /// When each write that took effect did so.
    pub(super) commits: HashMap<WriteId, At>,
}

/// One random draw for a write.
#[derive(Debug, Clone, Copy)]
struct Draw {
    kind: u8,
    pick: u16,
    fate: u8,
    gap: i64,
    before_commit: i64,
    after_commit: i64,
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let draw = (0_u8..10, any::<u16>(), 0_u8..20, 0_i64..200_000, 0_i64..20_000, 0_i64..20_000);
    let draw = draw.prop_map(|(kind, pick, fate, gap, before_commit, after_commit)| Draw {
        kind,
        pick,
        fate,
        gap,
        before_commit,
        after_commit,
    });
    prop::collection::vec(draw, 0..120)
}

/// Random cases; with `harm` the database is rewound and single rows are taken, without it nothing is.
pub(super) fn cases(harm: bool) -> impl Strategy<Value = Case> {
    let rewind = prop::option::of(0_i64..12_000_000);
    let remove = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (draws(), rewind, remove).prop_map(move |(draws, rewind, remove)| {
        let mut world = World::new();
        for draw in draws {
            world.step(draw);
        }
        if harm { world.end(rewind.map(At), &remove) } else { world.end(None, &[]) }
    })
}

/// A small case without harm, always the same.
pub(super) fn fixed() -> Case {
    let mut world = World::new();
    for number in 0..60 {
        let kind = (number % 8) as u8;
        world.step(Draw { kind, pick: number * 7, fate: 0, gap: 100_000, before_commit: 1_000, after_commit: 1_000 });
    }
    world.end(None, &[])
}

struct Row {
    version: u64,
    alive: bool,
    free: At,
    tainted: bool,
}

struct World {
    now: At,
    rows: BTreeMap<Key, Row>,
    next_id: i64,
    history: History,
    /// What the database did, in order of commit.
    log: Vec<(At, WriteId, Key, Option<State>)>,
}

fn key(id: i64) -> Key {
    Key { collection: Name::fixed("records"), id: Id::Number(id) }
}

impl World {
    fn new() -> Self {
        let rows = (1..=10).map(|id| (key(id), Row { version: 1, alive: true, free: At(0), tainted: false })).collect();
        let baseline = Baseline { acknowledged: At(0), records: (1..=10).map(|id| (key(id), None)).collect() };
        let log = (1..=10).map(|id| (At(0), 0, key(id), Some(State { version: 1, parent: None }))).collect();
        Self { now: At(1), rows, next_id: 11, history: History { baseline, writes: Vec::new() }, log }
    }

    fn step(&mut self, draw: Draw) {
        self.now.0 += draw.gap;
        let usable: Vec<Key> =
            self.rows.iter().filter(|(_, row)| row.alive && !row.tainted).map(|(key, _)| key.clone()).collect();
        let insert = draw.kind < 3 || usable.is_empty();
        let target = if insert { key(self.next_id) } else { usable[draw.pick as usize % usable.len()].clone() };
        let version = self.rows.get(&target).map_or(1, |row| row.version + 1);
        let delete = !insert && draw.kind > 7;
        let after = (!delete).then_some(State { version, parent: None });
        let invoked = self.rows.get(&target).map_or(self.now, |row| row.free.max(self.now));
        let commit = At(invoked.0 + draw.before_commit);
        let ended = At(commit.0 + draw.after_commit + 1);
        let (outcome, effect) = match draw.fate {
            0..=14 => (WriteOutcome::Ok, true),
            15 | 16 => (WriteOutcome::Failed, false),
            17 => (WriteOutcome::Unknown, true),
            18 => (WriteOutcome::Unknown, false),
            _ => (WriteOutcome::Pending, draw.pick.is_multiple_of(2)),
        };
        let id = self.history.writes.len() as WriteId + 1;
        if insert {
            self.next_id += 1;
        }
        if effect {
            self.log.push((commit, id, target.clone(), after.clone()));
        }
        self.remember(target.clone(), version, after.is_some(), ended, outcome, effect);
        let known = (!insert || outcome == WriteOutcome::Ok).then_some(target.id);
        let operation = if insert {
            Operation::Insert
        } else if delete {
            Operation::Delete
        } else {
            Operation::Update
        };
        let changes = vec![Change { collection: target.collection, id: known, after }];
        let ended = (outcome != WriteOutcome::Pending).then_some(ended);
        self.history.writes.push(Write {
            id,
            writer: 0,
            scheduled: invoked,
            invoked,
            ended,
            outcome,
            operation,
            changes,
        });
    }

    fn remember(&mut self, target: Key, version: u64, alive: bool, free: At, outcome: WriteOutcome, effect: bool) {
        let row = self.rows.entry(target).or_insert(Row { version: 0, alive: false, free, tainted: false });
        row.free = free;
        row.tainted |= matches!(outcome, WriteOutcome::Unknown | WriteOutcome::Pending);
        if effect {
            (row.version, row.alive) = (version, alive);
        }
    }

    fn end(mut self, rewind: Option<At>, remove: &[prop::sample::Index]) -> Case {
        self.log.sort_by_key(|(at, id, ..)| (*at, *id));
        let mut state = FinalState::new();
        let mut deleted = BTreeMap::new();
        for (_, write, key, after) in self.log.iter().filter(|(at, ..)| rewind.is_none_or(|cut| *at <= cut)) {
            match after {
                Some(after) => {
                    let record = FinalRecord { write: *write, state: after.clone(), intact: true };
                    state.insert(key.clone(), record);
                }
                None => drop(state.remove(key).map(|row| deleted.insert(key.clone(), row))),
            }
        }
        let removed: BTreeSet<Key> = remove
            .iter()
            .filter(|_| !state.is_empty())
            .map(|pick| pick.get(&state.keys().cloned().collect::<Vec<_>>()).clone())
            .collect();
        state.retain(|key, _| !removed.contains(key));
        let by_id: HashMap<WriteId, At> = self.log.iter().map(|(at, id, ..)| (*id, *at)).collect();
        let taken = |write: &&Write| {
            rewind.is_some_and(|cut| by_id.get(&write.id).is_some_and(|at| *at > cut))
                || write.changes.iter().filter_map(Change::key).any(|key| removed.contains(&key))
        };
        let acknowledged = self.history.writes.iter().filter(|write| write.outcome == WriteOutcome::Ok);
        let taken = acknowledged.filter(taken).map(|write| write.id).collect();
        let gone = self.rows.iter().filter(|(_, row)| !row.alive || row.tainted).map(|(key, _)| key.clone());
        let gone = gone.filter(|key| !state.contains_key(key)).collect();
        deleted.retain(|key, _| self.rows.get(key).is_some_and(|row| !row.alive && !row.tainted));
        Case { history: self.history, state, taken, gone, deleted, commits: by_id }
    }
}

/// Probes of every kind each 100 ms up to `until` microseconds; each looks at some instant between its start and its end.
pub(super) fn probes(until: i64, jitter: &[i64], good: impl Fn(i64) -> bool) -> Vec<Probe> {
    let mut made = Vec::new();
    for (number, start) in (0..until).step_by(100_000).enumerate() {
        for (lane, kind) in ProbeKind::ALL.into_iter().enumerate() {
            let delay = jitter[(number + lane) % jitter.len()];
            let look = jitter[(number * 3 + lane) % jitter.len()].min(delay);
            let ok = good(start + look);
            made.push(Probe { kind, started: At(start), ended: At(start + delay + 1), ok, detail: None });
        }
    }
    made
}
