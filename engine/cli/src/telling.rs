//! Sends a request to a run from any terminal: to the engine that works on it, or to its journal if none does.

use std::collections::BTreeMap;

use clap::Args;
use lifeboat_core::{
    event::Event,
    name::{RunId, StepId},
    operator::{Command, Refusal, Request},
    run::{Phase, Run, StepRun},
};
use lifeboat_present::{
    step::{is_active, waits_for},
    words,
};
use lifeboat_runtime::{
    home::{Home, Loaded, Meant},
    journal::Recorded,
    request::{self, Told},
    session,
};
use serde_json::{Value, json};

use crate::{
    arguments::Global,
    copies, engine,
    execution::{Execution, Shown},
    exit::Exit,
    meant,
    output::{WARN, hint, json as print_json, note, styled},
    people::Answers,
    problem::Problem,
    view,
};

/// Most steps in progress that are shown for a request about the whole run.
const UNDER_WAY_MAX: usize = 5;

/// Which run, and how the answer is shown.
#[derive(Debug, Args)]
pub(crate) struct Of {
    /// A run: its name, the beginning of it, or `last` for the newest one that is not a drill. On a terminal, `last` must be
    /// confirmed; elsewhere it is refused if more than one run is not over
    pub(crate) run: String,
    /// Print what was recorded, or the refusal, as one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// A run to which a person sends a request, in its current state.
pub(crate) struct Case {
    pub(crate) home: Home,
    pub(crate) run: RunId,
    pub(crate) loaded: Loaded,
    meant: Meant,
    json: bool,
}

impl Case {
    /// Finds the run and loads it.
    pub(crate) fn open(of: &Of, global: &Global) -> anyhow::Result<Self> {
        let home = engine::home_to_read(global)?;
        let meant = meant::find(&home, &of.run)?;
        let run = meant.run.clone();
        let loaded = home.load(&run)?;
        Ok(Self { home, run, loaded, meant, json: of.json })
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
            [] => {
                let problem = Problem::usage(format!("no step of `{}` {what}", self.run));
                Err(problem
                    .hint(format!("`lifeboat status {}` shows its state; `lifeboat runs` lists other runs", self.run)))
            }
            several => {
                let names: Vec<String> = several.iter().map(|step| format!("`{step}`")).collect();
                Err(Problem::usage(format!("name the step, one of {}", names.join(", "))))
            }
        }
    }

    /// Tells the run, shows the result, and continues a run that was over.
    pub(crate) async fn tell(self, command: Command) -> anyhow::Result<Exit> {
        let about = self.about(&command);
        meant::confirm(&self.meant, &about, &question(&command))?;
        match request::tell(&self.home, &self.run, command).await? {
            Told::Live(records) => self.recorded(&about, &records, None),
            Told::Recorded(records, after) => self.recorded(&about, &records, Some(&after)),
            Told::Refused(refusal) => self.refused(&refusal),
            Told::Reopens(request) => self.reopen(request).await,
        }
    }

    /// The run, and the steps that it is about with what they ask, in lines; the answer repeats them.
    fn about(&self, command: &Command) -> Vec<String> {
        meant::about(&self.loaded, self.steps(command))
    }

    /// The steps that a command is about: those that it names, or those that are under way.
    fn steps<'a>(&'a self, command: &'a Command) -> Vec<&'a StepId> {
        match command {
            Command::Approve { step, .. }
            | Command::Reject { step, .. }
            | Command::Skip { step, .. }
            | Command::Resolve { step, .. }
            | Command::Decide { step, .. } => vec![step],
            Command::Retry { steps, .. } => steps.iter().collect(),
            Command::Pause { .. } | Command::Unpause { .. } | Command::Onset { .. } | Command::Abort { .. } => {
                let under_way = self.loaded.run.steps.iter().filter(|step| is_active(&step.state));
                under_way.map(|step| &step.id).take(UNDER_WAY_MAX).collect()
            }
        }
    }

    fn recorded(&self, about: &[String], records: &[Recorded], after: Option<&Run>) -> anyhow::Result<Exit> {
        about.iter().for_each(note);
        for record in records {
            note(view::tell(record, after.unwrap_or(&self.loaded.run)));
        }
        let run = &self.run;
        let ends = records.iter().any(|record| matches!(record.event, Event::AbortRequested { undo: false, .. }));
        if ends {
            for copy in copies::left_by(&self.home, &self.home.load(run)?)? {
                note(format_args!("{} {copy}", styled(WARN, "left behind:")));
            }
        }
        match (after.map(|after| &after.phase), self.home.holder(run)?) {
            (Some(Phase::Finished { outcome, .. }), _) => {
                note(format_args!("{run} is over: it {}", words::outcome(*outcome)))
            }
            (Some(_), _) => hint(format_args!("no engine works on the run; run `lifeboat resume {run}` to continue")),
            (None, Some(holder)) => hint(format_args!("the run continues in {holder}")),
            (None, None) => {}
        }
        if self.json {
            print_json(
                &json!({ "format": "lifeboat.told/1", "run": run, "runbook": self.loaded.plan.runbook, "live": after.is_none(),
                    "asked": self.asked(records), "recorded": records }),
            )?;
        }
        Ok(Exit::Done)
    }

    fn refused(&self, refusal: &Refusal) -> anyhow::Result<Exit> {
        if self.json {
            print_json(&json!({ "format": "lifeboat.told/1", "run": self.run, "refused": refusal }))?;
        }
        let name = &self.loaded.plan.runbook.name;
        let problem =
            Problem::coded(&refusal.code, refusal.message.clone()).hint(format!("the run is {} ({name})", self.run));
        let alone = self.home.holder(&self.run)?.is_none() && !matches!(self.loaded.run.phase, Phase::Finished { .. });
        Err(match refusal.code.as_str() {
            "operator-in-flight" if alone => problem.hint(format!(
                "no engine works on the run; run `lifeboat resume {}` to find out what became of the step",
                self.run
            )),
            _ => problem,
        }
        .into())
    }

    /// What the steps had asked that something was recorded about, for programs.
    fn asked(&self, records: &[Recorded]) -> BTreeMap<String, String> {
        let steps = records.iter().filter_map(|record| record.event.step());
        let asked = |step: &StepId| Some((step.to_string(), waits_for(&self.loaded.run.find(step)?.state)?));
        steps.filter_map(asked).collect()
    }

    /// The run continues in this process.
    async fn reopen(self, request: Request) -> anyhow::Result<Exit> {
        let home = Home::open(self.home.path())?;
        let shown = Shown { onset: None, json: self.json };
        let Some(invoke) = engine::invoke_of(&home, &self.run, &self.loaded)? else { return Ok(Exit::File) };
        let of = (self.run.clone(), self.loaded.roles());
        let execution = Execution::open(&home, self.loaded.plan, of, shown, Answers::default(), invoke);
        let ended = session::reopen(&home, &self.run, request, execution.surroundings()).await;
        execution.close(&home, ended)
    }
}

/// What is asked where the run was not named.
fn question(command: &Command) -> String {
    match command {
        Command::Approve { .. } => "Approve this?".to_owned(),
        Command::Reject { .. } => "Reject this?".to_owned(),
        Command::Skip { step, .. } => format!("Skip `{step}`?"),
        Command::Resolve { step, .. } => format!("Report `{step}` as done?"),
        Command::Retry { from: true, .. } => "Repeat this step and all steps after it?".to_owned(),
        Command::Retry { .. } => "Retry this now?".to_owned(),
        Command::Decide { step, .. } => format!("Decide this about `{step}`?"),
        Command::Pause { .. } => "Pause this run?".to_owned(),
        Command::Unpause { .. } => "Continue this run?".to_owned(),
        Command::Onset { onset } => format!("Count its recovery time from {onset}?"),
        Command::Abort { undo: false, .. } => "End this run early?".to_owned(),
        Command::Abort { undo: true, .. } => "End this run early and undo what it did?".to_owned(),
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
