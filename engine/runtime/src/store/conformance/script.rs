//! A run as an engine would decide it, so that what is loaded can be folded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lifeboat_core::{
    action::Catalogue,
    decide::advance,
    diagnostic::SourceFile,
    event::{Event, Mode, Person, RunStarted},
    input::Input,
    name::RunId,
    operator::{Command, Request},
    plan::Plan,
    run::Run,
    runbook, sketch,
};
use serde_json::json;

use super::failed;
use crate::{
    journal::{FORMAT, Journal, Recorded},
    store::{Log, NewRun, Owned, Store},
};

const RUNBOOK: &str = "\
lifeboat: 1
id: STORE
name: A run that waits for somebody
steps:
  - id: agree
    approve: { message: Go on? }
";

/// One run, as far as it was decided, with a journal in memory that says what a store should hold.
pub(super) struct Script {
    pub(super) id: RunId,
    plan: Plan,
    run: Run,
    at: Timestamp,
    reference: Journal<Vec<u8>>,
    records: Vec<Recorded>,
}

impl Script {
    /// Of several runs, one with a later hour begins later.
    pub(super) fn new(id: &str, hour: i64) -> Self {
        let file = SourceFile { name: "runbook.yaml".to_owned(), text: RUNBOOK.to_owned() };
        let compiled = runbook::compile(&file, &Catalogue::new([]));
        let plan = compiled.plan.unwrap_or_else(|| unreachable!("the runbook is right: {:?}", compiled.diagnostics));
        let id = RunId::new(id).unwrap_or_else(|error| unreachable!("`{id}` is a name: {error}"));
        let at = Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap_or_default();
        let (run, reference) = (Run::new(&plan), Journal::begin(Vec::new(), &id));
        Self { id, plan, run, at, reference, records: Vec::new() }
    }

    /// What the run is made with; it writes to these.
    pub(super) fn new_run(&self, resources: &[&str]) -> NewRun {
        NewRun {
            run: self.id.clone(),
            plan: self.plan.clone(),
            runbook_path: None,
            runbook_source: RUNBOOK.as_bytes().to_vec(),
            called_sources: Vec::new(),
            bindings_source: b"lifeboat: 1\n".to_vec(),
            inputs: json!({}),
            targets: BTreeMap::new(),
            leases: resources.iter().map(ToString::to_string).collect(),
            mode: Mode::Real,
            who: Person::Engine,
            people: BTreeMap::new(),
            onset: None,
        }
    }

    /// The next decision: the start, and from then on a pause and its end in turn.
    fn decision(&mut self) -> Vec<Event> {
        let command = |command| {
            let who = Person::User { name: "ada".to_owned() };
            Input::Command(Box::new(Request { who, groups: BTreeSet::new(), command }))
        };
        let input = match (self.records.is_empty(), self.run.pause.is_some()) {
            (true, _) => Input::Start(Box::new(self.started())),
            (false, false) => command(Command::Pause { reason: None }),
            (false, true) => command(Command::Unpause { reason: None }),
        };
        self.at = self.at.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap_or(self.at);
        advance(&self.plan, &mut self.run, &input, self.at)
    }

    fn started(&self) -> RunStarted {
        RunStarted { format: FORMAT, ..sketch::started(&self.plan, &self.id) }
    }

    /// Makes the run in the store, and starts it.
    pub(super) async fn begin<S: Store>(&mut self, store: &S, resources: &[&str]) -> Result<Owned<S>, String> {
        let mut owned = store.create(&self.new_run(resources)).await.map_err(failed)?;
        self.append(&mut owned).await?;
        Ok(owned)
    }

    /// Appends the next decision, which has to go well.
    pub(super) async fn append<S: Store>(&mut self, owned: &mut Owned<S>) -> Result<(), String> {
        let events = self.decision();
        let records = owned.log.append(self.at, &events).await.map_err(failed)?;
        let wanted = self.reference.append(self.at, &events).map_err(|error| error.to_string())?;
        if records != wanted {
            return Err(format!("the append gave {records:?}, not {wanted:?}"));
        }
        self.records.extend(wanted);
        Ok(())
    }

    /// The bytes that stand in a journal with these records.
    pub(super) fn journal(&self) -> &[u8] {
        self.reference.medium()
    }

    /// Places at which a crash can cut that journal: before each line, within it, and before its last byte.
    pub(super) fn cuts(&self) -> impl Iterator<Item = usize> {
        let mut end = 0;
        let lines = self.journal().split_inclusive(|byte| *byte == b'\n');
        lines.flat_map(move |line| {
            end += line.len();
            [end - line.len(), end - line.len() / 2, end - 1]
        })
    }

    /// A crash left only so many of the records.
    pub(super) fn fall_back_to(&mut self, records: usize) -> Result<(), String> {
        self.records.truncate(records);
        (self.run, self.reference) = (Run::new(&self.plan), Journal::begin(Vec::new(), &self.id));
        for Recorded { at, event, .. } in &self.records {
            self.run.apply(*at, event).map_err(|illegal| format!("a beginning cannot be read: {illegal}"))?;
            self.reference.append(*at, std::slice::from_ref(event)).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// What an owner would append that does not know that it has lost the run.
    pub(super) fn stale(&self) -> (Timestamp, Vec<Event>) {
        let who = Person::User { name: "grace".to_owned() };
        (self.at, vec![Event::OnsetStated { who, onset: self.at }])
    }

    /// That the store holds all that was appended, and nothing else.
    pub(super) async fn is_read<S: Store>(&self, store: &S) -> Result<(), String> {
        let loaded = store.load(&self.id).await.map_err(failed)?;
        if loaded.events != self.records {
            return Err(format!("{:?} was loaded, and {:?} was appended", loaded.events, self.records));
        }
        let (end, wanted) = (&loaded.end, self.reference.end());
        if (end.seq, &end.hash, end.at) != (wanted.seq, &wanted.hash, wanted.at) {
            return Err(format!("the journal ends with {end:?}, not with {wanted:?}"));
        }
        if loaded.run != self.run || loaded.plan != self.plan {
            return Err("the run or the plan that was loaded is another one".to_owned());
        }
        Ok(())
    }
}
