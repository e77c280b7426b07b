//! Telling a run something from any terminal: to the engine that works on it, or to its journal where none does.

use std::collections::BTreeMap;

use clap::Args;
use lifeboat_core::{
    name::{RunId, StepId},
    operator::{Command, Refusal, Request},
    run::{Phase, Run, StepRun},
};
use lifeboat_runtime::{
    home::{Home, Loaded},
    journal::Recorded,
    request::{self, Told},
    session,
};
use serde_json::{Value, json};

use crate::{
    arguments::Global,
    commands::run::Shown,
    engine,
    execution::Execution,
    exit::Exit,
    output::{hint, json as print_json, note},
    people::Answers,
    problem::Problem,
    resuming,
    view::{self, outcome_text},
};

/// Which run, and how the answer is shown.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// A run: its name, the beginning of it, or `last`
    pub(crate) run: String,
    /// Print what was recorded, or the refusal, as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A run that somebody wants to tell something, as it stands.
pub(crate) struct Case {
    pub(crate) home: Home,
    pub(crate) run: RunId,
    pub(crate) loaded: Loaded,
    json: bool,
}

impl Case {
    /// Finds the run and loads it.
    pub(crate) fn open(of: &Of, global: &Global) -> anyhow::Result<Self> {
        let home = engine::home(global)?;
        let run = home.find(&of.run)?;
        let loaded = home.load(&run)?;
        Ok(Self { home, run, loaded, json: of.json })
    }

    /// The step that was named, or the only one that fits.
    pub(crate) fn step(
        &self,
        named: Option<StepId>,
        what: &str,
        fits: impl Fn(&StepRun) -> bool,
    ) -> Result<StepId, Problem> {
        if let Some(step) = named {
            return Ok(step);
        }
        let fitting: Vec<&StepId> =
            self.loaded.run.steps.iter().filter(|step| fits(step)).map(|step| &step.id).collect();
        match fitting.as_slice() {
            [only] => Ok((*only).clone()),
            [] => Err(Problem::usage(format!("no step of `{}` {what}", self.run))),
            several => {
                let names: Vec<String> = several.iter().map(|step| format!("`{step}`")).collect();
                Err(Problem::usage(format!("say which step: {}", names.join(", "))))
            }
        }
    }

    /// Tells the run, shows what came of it, and goes on with a run that was over.
    pub(crate) async fn tell(self, command: Command) -> anyhow::Result<Exit> {
        match request::tell(&self.home, &self.run, command).await? {
            Told::Live(records) => self.recorded(&records, None),
            Told::Recorded(records, after) => self.recorded(&records, Some(&after)),
            Told::Refused(refusal) => self.refused(&refusal),
            Told::Reopens(request) => self.reopen(request).await,
        }
    }

    fn recorded(&self, records: &[Recorded], after: Option<&Run>) -> anyhow::Result<Exit> {
        for record in records {
            note(view::tell(record, after.unwrap_or(&self.loaded.run)));
        }
        let run = &self.run;
        match (after.map(|after| &after.phase), self.home.holder(run)?) {
            (Some(Phase::Finished { outcome, .. }), _) => {
                note(format_args!("{run} is over: it {}", outcome_text(*outcome)))
            }
            (Some(_), _) => hint(format_args!("no engine works on it; `lifeboat resume {run}` goes on")),
            (None, Some(holder)) => hint(format_args!("{holder} goes on with it")),
            (None, None) => {}
        }
        if self.json {
            print_json(
                &json!({ "format": "lifeboat.told/1", "run": run, "live": after.is_none(), "recorded": records }),
            )?;
        }
        Ok(Exit::Done)
    }

    fn refused(&self, refusal: &Refusal) -> anyhow::Result<Exit> {
        if self.json {
            print_json(&json!({ "format": "lifeboat.told/1", "run": self.run, "refused": refusal }))?;
        }
        let problem = Problem::coded(&refusal.code, refusal.message.clone());
        let alone = self.home.holder(&self.run)?.is_none() && !matches!(self.loaded.run.phase, Phase::Finished { .. });
        Err(match refusal.code.as_str() {
            "operator-in-flight" if alone => problem.hint(format!(
                "no engine works on the run; `lifeboat resume {}` finds out what became of it",
                self.run
            )),
            _ => problem,
        }
        .into())
    }

    /// The run goes on in this process.
    async fn reopen(self, request: Request) -> anyhow::Result<Exit> {
        let shown = Shown { onset: None, json: self.json };
        let Some(invoke) = resuming::invoke(&self.home, &self.run, &self.loaded)? else { return Ok(Exit::File) };
        let execution = Execution::open(self.loaded.plan, shown, Answers::default(), invoke);
        let ended = session::reopen(&self.home, &self.run, request, execution.surroundings()).await;
        execution.close(&self.home, ended)
    }
}

/// Evidence as the step declares it; what it does not declare is text.
pub(crate) fn evidence(loaded: &Loaded, step: &StepId, given: &[(String, String)]) -> Result<Value, Problem> {
    let place = loaded.plan.position(step);
    let wanted = place.map(|place| lifeboat_core::operator::wanted(&loaded.plan, place)).unwrap_or_default();
    let mut values = BTreeMap::new();
    for (name, text) in given {
        let value = match wanted.get(name) {
            Some((ty, _)) => crate::people::evidence(ty, text)
                .map_err(|problem| Problem::coded("operator-evidence", format!("`{name}`: {problem}")))?,
            None => Value::from(text.as_str()),
        };
        values.insert(name.clone(), value);
    }
    Ok(json!(values))
}
