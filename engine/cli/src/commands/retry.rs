//! `lifeboat retry`: another attempt.

use clap::Args;
use jiff::Timestamp;
use lifeboat_core::{
    name::StepId,
    operator::{Command, behind},
    run::{Awaiting, Run, StepRun, StepState},
};
use lifeboat_runtime::home::Loaded;
use serde_json::Value;

use crate::{
    arguments::{Global, step},
    exit::Exit,
    output::note,
    table,
    telling::{Case, Of},
};

/// Retry a step now; a failed run continues in this terminal
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat retry last\n  lifeboat retry last restore\n  \
    lifeboat retry last --from compare --reason \"the wrong table was compared\"\n\n\
    `--from` first shows what the steps did. Steps that may do harm if repeated need `--yes`.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    of: Of,
    /// The steps; optional if only one has failed or waits for its next attempt
    #[arg(value_parser = step)]
    steps: Vec<StepId>,
    /// Repeat this step and all steps after it, even those that succeeded
    #[arg(long, value_name = "STEP", value_parser = step, conflicts_with = "steps")]
    from: Option<StepId>,
    /// Repeat steps even if that may do harm
    #[arg(long)]
    yes: bool,
    /// The reason, shown in the journal and the report
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    let case = Case::open(&arguments.of, global)?;
    let steps = match (&arguments.from, arguments.steps) {
        (Some(from), _) => vec![from.clone()],
        (None, steps) if steps.is_empty() => {
            let run = &case.loaded.run;
            vec![case.step(None, "has failed or waits for its next attempt", |step| wants_one(run, step))?]
        }
        (None, steps) => steps,
    };
    if let Some(from) = &arguments.from {
        done_so_far(&case.loaded, from).into_iter().for_each(note);
    }
    let from = arguments.from.is_some();
    case.tell(Command::Retry { steps, from, confirmed: arguments.yes, reason: arguments.reason }).await
}

/// An item has failed with its list. An approval that has expired has failed, though nothing was there to say so.
fn wants_one(run: &Run, step: &StepRun) -> bool {
    match &step.state {
        StepState::Failed { .. } => !run.is_item(&step.id),
        StepState::BackingOff { .. } => true,
        StepState::Awaiting(Awaiting::Approval { expires: Some(expires), .. }) => *expires <= Timestamp::now(),
        _ => false,
    }
}

/// What the step and those behind it had done.
fn done_so_far(loaded: &Loaded, from: &StepId) -> Vec<String> {
    let Some(place) = loaded.plan.position(from) else { return Vec::new() };
    let rows: Vec<Vec<String>> = behind(&loaded.plan, &[place])
        .into_iter()
        .filter_map(|place| {
            let step = &loaded.run.steps[place];
            let (told, outputs) = match &step.state {
                StepState::Succeeded { summary, outputs, .. } => (summary.clone(), outputs),
                StepState::ResolvedByHand { who, evidence } => (format!("done by hand by {who}"), evidence),
                _ => return None,
            };
            Some(vec![step.id.to_string(), told, text_of(outputs)])
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let heading = "these steps were done and will be repeated:".to_owned();
    std::iter::once(heading).chain(table::lines(&rows).into_iter().map(|line| format!("  {line}"))).collect()
}

/// Outputs in a line; the journal has them whole.
fn text_of(outputs: &Value) -> String {
    const CHARS_MAX: usize = 200;
    let Some(entries) = outputs.as_object() else { return String::new() };
    let text = entries.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ");
    if text.chars().count() <= CHARS_MAX {
        text
    } else {
        format!("{}…", text.chars().take(CHARS_MAX).collect::<String>())
    }
}
