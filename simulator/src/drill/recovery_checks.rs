//! The checks of a holding with a fault: that the disaster was one, and that the recovery was one.

use lifeboat_core::{
    event::Outcome,
    plan::{Plan, Section, Step, StepKind},
    run::StepState,
};
use serde_json::Value;

use super::{
    episode::Episode,
    rule::{Looked, Outline, Rule, Scope, Seen, seen, with_fault},
};
use crate::{
    fault::Struck,
    ledger::{Id, Key},
    measurement::ProbeKind,
    model::Collection,
    report::CheckKind,
    testbed::{Signature, WorkEntry},
    workload::shop::GoneOn,
};

/// What a check of a recovery needs.
const RECOVERED: &str = "a recovery from a fault";

const fn evidence(name: &'static str, scope: Scope, look: fn(&Looked<'_>) -> Seen) -> Rule {
    Rule { name, kind: CheckKind::Evidence, scope, possible, applies: with_fault, needs: RECOVERED, look }
}

const fn result(name: &'static str, scope: Scope, look: fn(&Looked<'_>) -> Seen) -> Rule {
    Rule { name, kind: CheckKind::Result, scope, possible, applies: with_fault, needs: RECOVERED, look }
}

fn possible(outline: &Outline) -> bool {
    outline.recovers
}

/// A check that exists only if copies can be restored.
const fn of_copies(rule: Rule) -> Rule {
    Rule { applies: with_copies, needs: "a recovery from a fault, and a machine on which copies are restored", ..rule }
}

/// A check that exists only if records were damaged, not the system that stores them.
const fn of_damage(rule: Rule) -> Rule {
    Rule { applies: with_damage, needs: "a recovery from a fault that damages records", ..rule }
}

/// A check that exists only if the application need not stop for the recovery.
const fn of_running(rule: Rule) -> Rule {
    let needs = "a recovery from a fault that damages records, for which the application goes on";
    Rule { applies: with_damage_beside_the_application, needs, ..rule }
}

fn with_damage_beside_the_application(looked: &Looked<'_>) -> bool {
    with_damage(looked) && looked.episode.struck.iter().all(|struck| struck.intrusion.is_none())
}

fn with_damage(looked: &Looked<'_>) -> bool {
    with_fault(looked) && (looked.episode.struck.is_empty() || has_damage(looked.episode))
}

fn has_damage(episode: &Episode) -> bool {
    episode.struck.iter().any(|struck| !(struck.removed.is_empty() && struck.changed.is_empty()))
}

fn with_copies(looked: &Looked<'_>) -> bool {
    with_fault(looked) && !looked.evidence.backups.is_empty()
}

/// The checks of a drill with a fault.
pub(super) static RECOVERY: [Rule; 11] = [
    of_copies(evidence("restore-target-empty-before", Scope::Drill, target_empty_before)),
    of_copies(evidence("marker-after-base-backup", Scope::Drill, marker_is_younger)),
    evidence("fault-took-rows", Scope::Episode, fault_took_rows),
    of_damage(evidence("application-went-on", Scope::Episode, application_went_on)),
    evidence("fault-was-seen", Scope::Episode, fault_was_seen),
    of_running(evidence("writers-ran-during-merge", Scope::Episode, writers_ran)),
    result("marker-survives", Scope::Drill, marker_survives),
    of_damage(result("newer-rows-stay", Scope::Episode, newer_rows_stay)),
    result("runbook-succeeded", Scope::Episode, runbook_succeeded),
    of_copies(result("copy-removed", Scope::Drill, copy_removed)),
    result("people-told", Scope::Episode, people_told),
];

fn target_empty_before(looked: &Looked<'_>) -> Seen {
    let before = names(&looked.evidence.work_before);
    let detail =
        if before.is_empty() { "the work folder is empty".to_owned() } else { format!("the work folder has {before}") };
    seen(before.is_empty(), detail)
}

fn names<'a>(entries: impl IntoIterator<Item = &'a WorkEntry>) -> String {
    entries.into_iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn marker_is_younger(looked: &Looked<'_>) -> Seen {
    let key = &looked.evidence.marker;
    let mut writes = looked.evidence.history.acknowledged();
    let written = writes.find(|(_, write)| write.changes.first().and_then(|change| change.key()).as_ref() == Some(key));
    let ended = looked.evidence.backup_ended;
    let labels: Vec<&str> = looked.evidence.backups.iter().map(|backup| backup.label.as_str()).collect();
    let label = labels.join(", ");
    let (passed, detail) = match written {
        None => (false, format!("the ledger has no acknowledged write of {key}")),
        Some((_, write)) if write.invoked > ended => (
            true,
            format!("{key} was written at {}, after the base backup {label} had ended at {ended}", write.invoked),
        ),
        Some((_, write)) => {
            let sent = write.invoked;
            (false, format!("{key} was sent at {sent}, when the base backup {label} had not ended yet (at {ended})"))
        }
    };
    seen(passed, detail)
}

fn fault_took_rows(looked: &Looked<'_>) -> Seen {
    let struck = &looked.episode.struck;
    let stories = struck.iter().map(|struck| struck.story.clone());
    let short = struck.iter().flat_map(|struck| &struck.bite).filter(|bite| !bite.holds());
    let said: Vec<String> =
        stories.chain(short.map(|bite| format!("{bite}, which is not the intended damage"))).collect();
    let detail = if said.is_empty() { "there was no fault".to_owned() } else { said.join("; ") };
    seen(!struck.is_empty() && struck.iter().all(Struck::has_bitten), detail)
}

/// The application made deleted keys again, and removed the parents of deleted rows, before the recovery began.
fn application_went_on(looked: &Looked<'_>) -> Seen {
    let removed = |key: &Key| looked.episode.struck.iter().any(|struck| struck.removed.contains_key(key));
    let GoneOn { made_again, closed } = &looked.episode.gone_on;
    let wanted = looked.spec.workload.habits;
    let is_removed = |id: i64| removed(&Collection::Customers.key(id));
    let made_again = made_again.iter().filter(|(id, _)| is_removed(*id)).count();
    // A closed account is that of a customer who was not deleted but whose items were.
    let emptied = looked.episode.struck.iter().flat_map(|struck| &struck.removed).filter(|(key, record)| {
        let order = record.state.parent.clone().map(|id| Key { collection: Collection::Orders.name(), id });
        key.collection == Collection::OrderItems.name() && order.is_some_and(|order| !removed(&order))
    });
    let emptied = emptied.count();
    let closed = closed.iter().filter(|id| !is_removed(**id)).count();
    let holds = i64::try_from(made_again) == Ok(wanted.made_again)
        && i64::try_from(closed) == Ok(wanted.accounts_closed)
        && (closed == 0 || emptied >= closed);
    let detail = format!(
        "{made_again} of {} deleted customers were made again; {closed} of {} accounts were closed after their orders had \
         lost {emptied} items",
        wanted.made_again, wanted.accounts_closed
    );
    seen(holds, detail)
}

fn fault_was_seen(looked: &Looked<'_>) -> Seen {
    let began = looked.episode.fault();
    let failed = looked.evidence.probes.iter().find(|probe| {
        let is_meant = !has_damage(looked.episode) || probe.kind == ProbeKind::Content;
        !probe.ok && is_meant && began.is_some_and(|began| probe.ended >= began)
    });
    let detail = failed.map(|probe| probe.detail.as_deref().unwrap_or("a content probe failed"));
    seen(failed.is_some(), detail.unwrap_or("no content probe failed"))
}

/// The recovery ran beside the application: writes were acknowledged while the rows were being put back.
fn writers_ran(looked: &Looked<'_>) -> Seen {
    let Some(recover) = looked.recover else { return seen(false, "nothing is recovered") };
    let (step, clock) = (&recover.restored_by, &looked.evidence.clock);
    let (from, until) = (looked.episode.step_started(clock, step), looked.episode.step_succeeded(clock, step));
    let Some((from, until)) = from.zip(until) else {
        return seen(false, format!("step {step} did not succeed"));
    };
    let acknowledged = looked.evidence.acknowledged_between(from, until);
    let detail = format!("{acknowledged} writes acknowledged in the {:.2} s of step {step}", until.seconds_since(from));
    seen(acknowledged > 0, detail)
}

fn marker_survives(looked: &Looked<'_>) -> Seen {
    let key = &looked.evidence.marker;
    let (state, losses) = match (&looked.evidence.state, looked.losses) {
        (Ok(state), Some(losses)) => (state, losses),
        (Err(why), _) => return Seen::Unknown(why.clone()),
        (Ok(_), None) => return Seen::Unknown("the rows were not compared".to_owned()),
    };
    let passed = state.get(key).is_some_and(|row| row.intact) && !losses.wrong.contains(key);
    let detail = if passed { "it is there with its content" } else { "it is missing or wrong" };
    seen(passed, detail)
}

/// A row that the application made again under a deleted key is newer than any in the copy; a row that the application removed itself stays
/// removed.
fn newer_rows_stay(looked: &Looked<'_>) -> Seen {
    let state = match &looked.evidence.state {
        Ok(state) => state,
        Err(why) => return Seen::Unknown(why.clone()),
    };
    let GoneOn { made_again, closed } = &looked.episode.gone_on;
    let customer = |id: i64| Collection::Customers.key(id);
    let stays = |(id, write): &(i64, u64)| {
        state.get(&customer(*id)).is_some_and(|row| row.intact && row.write == *write && row.state.parent.is_none())
    };
    let overwritten = made_again.iter().filter(|again| !stays(again)).count();
    let raised = closed.iter().filter(|id| state.contains_key(&customer(**id))).count();
    let detail = format!(
        "{overwritten} of {} rows made again are not as the application made them; {raised} of {} closed accounts are back",
        made_again.len(),
        closed.len()
    );
    seen(overwritten + raised == 0, detail)
}

/// If the application has made keys again or removed parents, some rows cannot be put back, and a run that reports plain success
/// has not looked. Parents that it removes in the course of its work may be gone in time or not.
fn runbook_succeeded(looked: &Looked<'_>) -> Seen {
    let outcome = looked.episode.outcome();
    let with_exceptions = "succeeded_with_exceptions";
    let is_left_over = outcome == with_exceptions && looked.episode.kept_copy().is_some() && has_lost_parents(looked);
    let plain = looked.episode.gone_on.writes() == 0 && !is_left_over;
    let expected = if plain { "succeeded" } else { with_exceptions };
    let why = looked.episode.engine_error().or_else(|| looked.episode.step_failure());
    let detail = match why {
        Some(why) => format!("the run ended {outcome}: {why}"),
        None if outcome == expected => format!("the run ended {outcome}"),
        None => format!("the run ended {outcome}, and should have ended {expected}"),
    };
    seen(outcome == expected, detail)
}

/// Whether the application has removed records that removed ones belong to: these cannot go back then.
fn has_lost_parents(looked: &Looked<'_>) -> bool {
    let Ok(state) = &looked.evidence.state else { return false };
    let parent = |key: &Key, id: Id| {
        let collection =
            if key.collection == Collection::OrderItems.name() { Collection::Orders } else { Collection::Customers };
        Key { collection: collection.name(), id }
    };
    let mut removed = looked.episode.struck.iter().flat_map(|struck| &struck.removed);
    removed.any(|(key, record)| {
        let parent = record.state.parent.clone().map(|id| parent(key, id));
        !state.contains_key(key) && parent.is_some_and(|parent| !state.contains_key(&parent))
    })
}

/// Nothing may be left in the work folder but the run's own records: plain files that a step names in its outputs, such as the
/// list of the rows that were put back, or that name the run, such as the note of what the merge did. A folder is never such a
/// record: it is a copy, or the rest of one. A copy is kept if the run says that it holds rows that exist nowhere else; then it
/// must be there.
fn copy_removed(looked: &Looked<'_>) -> Seen {
    let after = match &looked.evidence.work_after {
        Ok(after) => after,
        Err(why) => return Seen::Unknown(why.clone()),
    };
    let records = records(looked);
    let kept_copies: Vec<_> = looked.evidence.episodes.iter().filter_map(Episode::kept_copy).collect();
    let is_kept = |entry: &&WorkEntry| !entry.is_file && kept_copies.iter().any(|kept| entry.name == kept.name);
    let is_record = |entry: &&WorkEntry| entry.is_file && (entry.names_run || records.contains(&entry.name));
    let (copies, others): (Vec<&WorkEntry>, Vec<&WorkEntry>) = after.iter().partition(is_kept);
    let (kept, left): (Vec<&WorkEntry>, Vec<&WorkEntry>) = others.into_iter().partition(is_record);
    let records = || names(kept.iter().copied());
    let is_there = |name: &str| copies.iter().any(|copy| copy.name == name);
    let missing = kept_copies.iter().find(|kept| !is_there(kept.name));
    let passed = left.is_empty() && missing.is_none();
    let detail = match (left.is_empty(), missing, copies.is_empty(), kept.is_empty()) {
        (false, ..) => format!("left: {}", names(left.iter().copied())),
        (true, Some(missing), ..) => {
            format!("the copy {} is gone with {} rows that exist nowhere else", missing.name, missing.left)
        }
        (true, None, false, _) => format!(
            "the copy {} is kept for the rows that could not be put back; the run also keeps {}",
            names(copies.iter().copied()),
            records()
        ),
        (true, None, true, false) => format!("no copy is left; the run keeps its records {}", records()),
        (true, None, true, true) => "nothing is left in the work folder".to_owned(),
    };
    seen(passed, detail)
}

/// The names of files whose full paths are in the outputs of steps.
fn records(looked: &Looked<'_>) -> Vec<String> {
    let runs = looked.evidence.episodes.iter().filter_map(Episode::run);
    let outputs = runs.flat_map(|run| &run.steps).filter_map(|step| match &step.state {
        StepState::Succeeded { outputs, .. } => outputs.as_object(),
        _ => None,
    });
    let paths = outputs.flat_map(|outputs| outputs.values()).filter_map(Value::as_str);
    paths.filter_map(|path| path.strip_prefix('/')?.rsplit_once('/')).map(|(_, name)| name.to_owned()).collect()
}

/// Each step that notifies people must have reached them, whatever its result in the run: such a step may fail without ending the run.
fn people_told(looked: &Looked<'_>) -> Seen {
    let sent = &looked.evidence.notifications;
    let is_valid = |id: &str| {
        let ends = format!("/{id}");
        sent.iter().any(|sent| {
            let is_meant = |key: &str| key.starts_with(looked.run) && key.ends_with(&ends);
            sent.signature == Signature::Valid && sent.id.as_deref().is_some_and(is_meant)
        })
    };
    let (told, silent): (Vec<&str>, Vec<&str>) = looked.telling.iter().map(String::as_str).partition(|id| is_valid(id));
    let doubtful = sent.iter().filter(|sent| sent.signature != Signature::Valid).count();
    let mut detail = format!("arrived with a valid signature: {}", list(&told));
    if !silent.is_empty() {
        detail.push_str(&format!("; never arrived: {}", list(&silent)));
    }
    if doubtful > 0 {
        detail.push_str(&format!("; {doubtful} arrived without a valid signature"));
    }
    seen(silent.is_empty() && doubtful == 0 && !told.is_empty(), detail)
}

/// The steps of a plan that had to notify people: those for a failure only if there was one.
pub(super) fn telling(plan: &Plan, outcome: Option<Outcome>) -> Vec<String> {
    let went_well = matches!(outcome, Some(Outcome::Succeeded | Outcome::SucceededWithExceptions));
    let tells = |step: &&Step| {
        matches!(&step.kind, StepKind::Uses(uses) if uses.action.to_string() == "notify/send")
            && !(went_well && step.section == Section::OnFailure)
    };
    plan.steps.iter().filter(tells).map(|step| step.id.to_string()).collect()
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{
        action::{Action, Catalogue, Effect, Field},
        diagnostic::SourceFile,
        name::ActionName,
        runbook::compile,
    };

    use super::*;

    const RUNBOOK: &str = "lifeboat: 1\nid: T\nname: t\ntargets: { oncall: { kind: notify } }\nsteps:\n  - { id: begin, uses: notify/send, with: { channel: oncall } }\n\
        on_failure:\n  - { id: alarm, uses: notify/send, with: { channel: oncall } }\nfinally:\n  - { id: end, uses: notify/send, with: { channel: oncall } }\n";

    fn plan() -> Plan {
        let channel = Field {
            name: "channel".to_owned(),
            doc: "Who is told.".to_owned(),
            ty: "target<notify:write>".parse().unwrap(),
            required: true,
        };
        let send = Action {
            name: ActionName::new("notify/send").unwrap(),
            doc: "Tells people.".to_owned(),
            parameters: vec![channel],
            outputs: Vec::new(),
            effect: Effect::Mutate,
            idempotent: true,
            observable: false,
        };
        let file = SourceFile { name: "t.yaml".to_owned(), text: RUNBOOK.to_owned() };
        compile(&file, &Catalogue::new([send])).plan.unwrap()
    }

    #[test]
    fn an_alarm_is_waited_for_only_where_the_recovery_failed() {
        assert_eq!(telling(&plan(), Some(Outcome::Succeeded)), ["begin", "end"]);
        assert_eq!(telling(&plan(), Some(Outcome::SucceededWithExceptions)), ["begin", "end"]);
        assert_eq!(telling(&plan(), Some(Outcome::Failed)), ["begin", "alarm", "end"]);
        assert_eq!(telling(&plan(), None), ["begin", "alarm", "end"]);
    }
}
