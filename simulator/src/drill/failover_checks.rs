//! The checks of a drill in which a server is lost and another one takes over: what may be missing, and that there is one primary.

use std::collections::BTreeMap;

use super::rule::{Looked, Outline, Rule, Scope, Seen, seen};
use crate::{
    clock::At,
    ledger::{Key, Operation, Write, WriteId, WriteOutcome},
    report::CheckKind,
};

const fn result(name: &'static str, look: fn(&Looked<'_>) -> Seen) -> Rule {
    Rule {
        name,
        kind: CheckKind::Result,
        scope: Scope::Drill,
        possible,
        applies: may_lose_writes,
        needs: "a fault that may lose acknowledged writes, such as that of a region",
        look,
    }
}

fn possible(outline: &Outline) -> bool {
    outline.recovers && outline.may_lose_writes
}

fn may_lose_writes(looked: &Looked<'_>) -> bool {
    looked.holding.fault && looked.evidence.may_lose_writes()
}

/// The checks of a failover.
pub(super) static FAILOVER: [Rule; 6] = [
    result("lost-writes-are-the-newest", lost_are_the_newest),
    Rule {
        applies: waits_for_a_standby,
        needs: "a fault that may lose acknowledged writes, and a store whose commits wait for a standby",
        ..result("synchronous-writes-survive", synchronous_survive)
    },
    result("keys-given-once", keys_given_once),
    Rule {
        applies: with_clients_inside,
        needs: "a fault that leaves the old primary within reach of clients of its own",
        ..result("nothing-acknowledged-elsewhere", nothing_elsewhere)
    },
    result("one-primary", one_primary),
    result("new-timeline-backed-up", new_timeline_backed_up),
];

fn waits_for_a_standby(looked: &Looked<'_>) -> bool {
    may_lose_writes(looked) && looked.spec.systems.values().any(|system| system.text("mode") == Some("sync"))
}

/// A commit that waited for the standby is on it, and an answer that never came promised nothing.
fn synchronous_survive(looked: &Looked<'_>) -> Seen {
    let Some(losses) = looked.losses else { return Seen::Unknown("the rows were not compared".to_owned()) };
    let acknowledged = looked.evidence.history.count(WriteOutcome::Ok);
    let detail = format!("{} of {acknowledged} acknowledged writes are lost", losses.lost.len());
    seen(losses.lost.is_empty(), detail)
}

/// What a standby lacks is the end: a write that is there although it was sent after the acknowledgement of one that is lost shows that
/// something else was lost than that end.
fn lost_are_the_newest(looked: &Looked<'_>) -> Seen {
    let (state, losses) = match (&looked.evidence.state, looked.losses) {
        (Ok(state), Some(losses)) => (state, losses),
        (Err(why), _) => return Seen::Unknown(why.clone()),
        (Ok(_), None) => return Seen::Unknown("the rows were not compared".to_owned()),
    };
    let Some(over) = takes_over(looked) else { return Seen::Unknown("no recovered state took over".to_owned()) };
    let writes = &looked.evidence.history.writes;
    let lost = || losses.lost.iter().filter_map(|index| writes[*index].ended);
    let late = lost().filter(|ended| *ended > over).count();
    let Some(first) = lost().min() else { return seen(true, "no acknowledged write is lost") };
    let is_shown = |write: &&Write| {
        let mut keys = write.changes.iter().filter(|change| change.after.is_some()).filter_map(|change| change.key());
        write.operation != Operation::Delete && keys.any(|key| state.get(&key).is_some_and(|row| row.write == write.id))
    };
    let before = |write: &&Write| write.invoked > first && write.ended.is_some_and(|ended| ended <= over);
    let kept = writes.iter().filter(|write| write.outcome == WriteOutcome::Ok).filter(before).filter(is_shown).count();
    let detail = format!(
        "{} lost; {kept} that were sent after the first of them was acknowledged are there, {late} were acknowledged \
         after the recovered state had taken over",
        losses.lost.len()
    );
    seen(kept == 0 && late == 0, detail)
}

/// When the last recovered state took over.
fn takes_over(looked: &Looked<'_>) -> Option<At> {
    let recover = looked.recover?;
    looked.episode.step_succeeded(&looked.evidence.clock, &recover.restored_by)
}

/// A key that a lost record had was told to somebody: it must not become that of another record.
fn keys_given_once(looked: &Looked<'_>) -> Seen {
    let mut given: BTreeMap<Key, Vec<WriteId>> = BTreeMap::new();
    for (_, write) in looked.evidence.history.acknowledged().filter(|(_, write)| write.operation == Operation::Insert) {
        for key in write.changes.iter().filter_map(|change| change.key()) {
            given.entry(key).or_default().push(write.id);
        }
    }
    let twice: Vec<String> =
        given.iter().filter(|(_, writes)| writes.len() > 1).map(|(key, _)| key.to_string()).collect();
    let some = twice.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    let detail = match twice.len() {
        0 => format!("{} keys were given to records, each once", given.len()),
        count => format!("{count} of {} keys were given to two records ({some})", given.len()),
    };
    seen(twice.is_empty(), detail)
}

fn with_clients_inside(looked: &Looked<'_>) -> bool {
    may_lose_writes(looked) && !looked.evidence.inside.is_empty()
}

/// The writes of clients that still reach the old primary: what it acknowledges before the promotion is lost like any other write, and what
/// it acknowledges afterwards is a second history.
fn nothing_elsewhere(looked: &Looked<'_>) -> Seen {
    let Some(over) = takes_over(looked) else { return Seen::Unknown("no recovered state took over".to_owned()) };
    let (before, after): (Vec<&At>, Vec<&At>) = looked.evidence.inside.iter().partition(|at| **at <= over);
    let detail = format!(
        "the old primary acknowledged {} writes to clients inside before the recovered state took over, all lost, and {} \
         afterwards",
        before.len(),
        after.len()
    );
    seen(after.is_empty(), detail)
}

/// Asked when everything that can come back by itself is back.
fn one_primary(looked: &Looked<'_>) -> Seen {
    let others = &looked.evidence.others_take_writes;
    let taking: Vec<&str> = others.iter().filter(|(_, takes)| *takes).map(|(name, _)| name.as_str()).collect();
    let detail = match (others.is_empty(), taking.is_empty()) {
        (true, _) => "there is no other server".to_owned(),
        (_, true) => {
            let names: Vec<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
            format!("a write is refused by {}", names.join(", "))
        }
        (_, false) => format!("a write was taken by {} too", taking.join(", ")),
    };
    seen(taking.is_empty(), detail)
}

/// Without a base backup of the new timeline, the recovered state depends on a replay across the promotion.
fn new_timeline_backed_up(looked: &Looked<'_>) -> Seen {
    match &looked.evidence.new_backups {
        Ok(names) if names.is_empty() => seen(false, "no base backup was taken after the fault"),
        Ok(names) => seen(true, format!("a base backup was taken: {}", names.join(", "))),
        Err(why) => Seen::Unknown(why.clone()),
    }
}
