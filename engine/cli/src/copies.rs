//! Restored copies, as the journals of the runs tell it: a `pg/restore` made one, and nothing has removed it since. A run that
//! needs them no more can also have left files in `work` and no copy; those are told and removed alike.
//!
//! A journal knows what was done by runs, not what a person did to a machine by hand.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lifeboat_core::{
    event::{Event, Outcome},
    name::{RunId, StepId},
    plan::Plan,
    run::Run,
};
use lifeboat_launch::removal::removes;
use lifeboat_runtime::{
    home::{Home, Listed, Loaded, Standing},
    journal::Recorded,
};
use serde::Serialize;
use serde_json::Value;

const RESTORE: &str = "pg/restore";
const DESTROY: &str = "pg/destroy-instance";
/// Writes the first of the files by which a run continues.
const FIND: &str = "pg/find-damage";

/// A restored copy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Copy {
    /// Its name on the machine; not known of one that was never whole.
    pub(crate) copy: Option<String>,
    /// The run that made it.
    pub(crate) run: RunId,
    /// The step that made it.
    pub(crate) step: StepId,
    /// The role of the machine on which it lies.
    pub(crate) machine: String,
    /// Where it listens.
    pub(crate) port: Option<u64>,
    /// When the step began that made it.
    pub(crate) since: Timestamp,
    /// Not a copy, but the files that a run without a copy left.
    pub(crate) only_files: bool,
}

impl Copy {
    /// What a person types for it: its name, or the run and the step.
    pub(crate) fn name(&self) -> String {
        self.copy.clone().unwrap_or_else(|| format!("{}/{}", self.run, self.step))
    }
}

/// A copy with how the run that made it stands.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) copy: Copy,
    pub(crate) by: Owner,
}

/// How the run that made a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Owner {
    /// An engine works on it.
    Live,
    /// It is not over, and no engine works on it.
    NotOver,
    /// It failed and can continue, and may want the copy then.
    Failed,
    /// It is over for good.
    Over,
}

/// Every copy that runs have left, the oldest first. Those of drills go with the systems of the drill.
pub(crate) fn all(home: &Home) -> anyhow::Result<Vec<Held>> {
    let mut held = Vec::new();
    let mut removed = Vec::new();
    for listed in home.runs()?.iter().filter(|listed| !listed.is_drill && !is_damaged(listed)) {
        let loaded = home.load(&listed.run)?;
        removed.extend(removal(&loaded));
        let by = owner(listed, &loaded.run);
        // A run that is not over needs its files.
        let is_left = |copy: &Copy| !copy.only_files || matches!(by, Owner::Failed | Owner::Over);
        held.extend(of_run(&loaded).into_iter().filter(is_left).map(|copy| Held { copy, by }));
    }
    let is_removed = |copy: &Copy| {
        let is_gone = |it: &Removal| if copy.only_files { it.files } else { it.step == copy.step };
        removed.iter().any(|removal| removal.run == copy.run && is_gone(removal))
    };
    held.retain(|held| !is_removed(&held.copy));
    held.sort_by_key(|held| held.copy.since);
    Ok(held)
}

/// The copies that one run has left, in words, with what frees each.
pub(crate) fn left_by(home: &Home, loaded: &Loaded) -> anyhow::Result<Vec<String>> {
    // The other runs are read only where one of them may have removed something.
    if loaded.is_drill() || of_run(loaded).iter().all(|copy| copy.only_files) {
        return Ok(Vec::new());
    }
    let run = loaded.run.started.as_ref().map(|(_, facts)| &facts.run);
    let of_run = |held: &&Held| Some(&held.copy.run) == run && !held.copy.only_files;
    Ok(all(home)?.iter().filter(of_run).map(in_words).collect())
}

fn in_words(held: &Held) -> String {
    let copy = &held.copy;
    let port = copy.port.map(|port| format!(", port {port}")).unwrap_or_default();
    format!("{} on `{}`{port} ({}): `{}` removes it", copy.name(), copy.machine, copy.step, held.free())
}

impl Held {
    /// The command that frees it.
    pub(crate) fn free(&self) -> String {
        match self.by {
            Owner::Live | Owner::NotOver => format!("lifeboat abort {} --undo", self.copy.run),
            Owner::Failed | Owner::Over => format!("lifeboat copies remove {}", self.copy.name()),
        }
    }
}

fn is_damaged(listed: &Listed) -> bool {
    matches!(listed.standing, Standing::Damaged(_))
}

fn owner(listed: &Listed, run: &Run) -> Owner {
    match &listed.standing {
        Standing::Finished(Outcome::Failed) if run.can_be_reopened() => Owner::Failed,
        Standing::Finished(_) | Standing::Fenced(_) => Owner::Over,
        _ if listed.engine.is_some() => Owner::Live,
        _ => Owner::NotOver,
    }
}

/// What a run has removed which was made for that.
struct Removal {
    run: RunId,
    step: StepId,
    /// The files of the run went too.
    files: bool,
}

fn removal(loaded: &Loaded) -> Option<Removal> {
    let (run, step) = removes(&loaded.run).filter(|_| matches!(loaded.run.outcome(), Some(Outcome::Succeeded)))?;
    let with_files = |record: &Recorded| matches!(&record.event, Event::StepStarted { parameters, .. } if parameters["files"] == true);
    Some(Removal { run, step, files: loaded.events.iter().any(with_files) })
}

fn of_run(loaded: &Loaded) -> Vec<Copy> {
    let Some((_, facts)) = &loaded.run.started else { return Vec::new() };
    told(&facts.run, &loaded.plan, &loaded.events)
}

/// What the events of a run leave standing.
fn told(run: &RunId, plan: &Plan, events: &[Recorded]) -> Vec<Copy> {
    let mut copies: BTreeMap<StepId, Copy> = BTreeMap::new();
    let mut removals: BTreeMap<&StepId, &Value> = BTreeMap::new();
    let (mut searches, mut files) = (BTreeMap::new(), None);
    for record in events {
        match (&record.event, record.event.step().and_then(|step| action(plan, step)).as_deref()) {
            (Event::StepStarted { step, parameters, .. }, Some(RESTORE)) => {
                let machine = parameters["machine"].as_str().unwrap_or_default().to_owned();
                // Another attempt continues with what the first one made.
                copies.entry(step.clone()).or_insert_with(|| made(run, step, machine, record.at));
            }
            (Event::StepStarted { step, parameters, .. }, Some(FIND)) => {
                let machine = parameters["machine"].as_str().unwrap_or_default().to_owned();
                searches.insert(step, Copy { only_files: true, ..made(run, step, machine, record.at) });
            }
            // A search that finds nothing writes nothing, and one that writes elsewhere nothing that goes with a copy.
            (Event::StepSucceeded { step, outputs, .. }, Some(FIND)) if is_of_run(outputs, run) => {
                files = searches.remove(step).or(files);
            }
            (Event::StepSucceeded { step, outputs, .. }, Some(RESTORE)) => {
                if let Some(copy) = copies.get_mut(step) {
                    copy.copy = outputs["instance"].as_str().map(str::to_owned);
                    copy.port = outputs["port"].as_u64();
                }
            }
            (Event::StepStarted { step, parameters, .. }, Some(DESTROY)) => {
                removals.insert(step, parameters);
            }
            (Event::StepSucceeded { step, .. }, Some(DESTROY)) => {
                let parameters = removals.get(step).copied().unwrap_or(&Value::Null);
                let name = parameters["instance"].as_str();
                copies.retain(|_, copy| copy.copy.as_deref() != name || name.is_none());
                files = files.filter(|_| parameters["files"] != true);
            }
            (Event::ResolvedByHand { evidence, .. }, Some(DESTROY)) if is_removed(evidence) && copies.len() == 1 => {
                copies.clear();
            }
            (Event::StepUndone { step }, _) => drop(copies.remove(step)),
            _ => {}
        }
    }
    if copies.is_empty() { files.into_iter().collect() } else { copies.into_values().collect() }
}

fn made(run: &RunId, step: &StepId, machine: String, since: Timestamp) -> Copy {
    Copy { copy: None, run: run.clone(), step: step.clone(), machine, port: None, since, only_files: false }
}

/// Whether the name of an exact set begins with the run, as those do that go with its copy.
fn is_of_run(outputs: &Value, run: &RunId) -> bool {
    let name = outputs["set_file"].as_str().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    name.strip_prefix(run.as_str()).is_some_and(|rest| rest.starts_with('.'))
}

/// A person says that the one copy of the run is gone.
fn is_removed(evidence: &Value) -> bool {
    evidence["removed"].as_bool() == Some(true)
}

/// The action of a step, or of the step of which it is an item.
fn action(plan: &Plan, step: &StepId) -> Option<String> {
    let name = step.as_str();
    let whole = name.rsplit_once('[').map_or(name, |(whole, _)| whole);
    let planned = plan.steps.iter().find(|planned| planned.id.as_str() == whole)?;
    Some(planned.action()?.action.to_string())
}
