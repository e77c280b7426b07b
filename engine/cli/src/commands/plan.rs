//! `lifeboat plan`: what a runbook would do, as a picture or as data.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lifeboat_core::{graph, plan::Plan};
use lifeboat_launch::source::{self, Content};
use lifeboat_present::{
    history,
    plan::{Rehearsal, Touch, document, touches},
};
use lifeboat_simulator::drill_step::{self, NamedDrill};

use crate::{
    arguments::{Global, VariantArgument},
    engine,
    exit::Exit,
    findings,
    output::{STRONG, data, data_as_is, json, styled},
    table,
};

/// Show what a runbook would do
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat plan workflows/dr-003-accidental-deletion.yaml\n  \
    lifeboat plan --bindings production.yaml workflows/dr-003-accidental-deletion.yaml\n  \
    lifeboat plan --format dot runbook.yaml | dot -Tsvg > runbook.svg")]
pub(crate) struct Arguments {
    /// A runbook
    file: PathBuf,
    /// Show which systems each step would touch
    #[arg(long, short, value_name = "FILE")]
    bindings: Option<PathBuf>,
    /// Show one variant only
    #[arg(long, value_enum)]
    variant: Option<VariantArgument>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// How to print a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text
    Tree,
    /// Graphviz
    Dot,
    /// Mermaid, for Markdown
    Mermaid,
    /// The plan as it will be executed, as JSON
    Json,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let catalogue = engine::host_to_look_at(global)?.catalogue();
    let mut runbook = engine::runbook(&arguments.file, &catalogue)?;
    if let Some(variant) = arguments.variant {
        runbook = runbook.of_variant(Some(variant.into()))?;
    }
    findings::print(&runbook);
    let bindings = arguments.bindings.as_deref().map(source::bindings).transpose()?;
    let Some(plan) = runbook.plan() else { return Ok(Exit::File) };
    let bound = match bindings.map(|bindings| bindings.against(plan)) {
        None => None,
        Some(checked) => {
            findings::print(&checked);
            let Content::Bindings(bindings) = checked.content else { return Ok(Exit::File) };
            Some(*bindings)
        }
    };
    let touches = bound.as_ref().map(|bindings| touches(plan, bindings));
    let rehearsals = rehearsals(plan, &arguments.file, global)?;
    print(if arguments.json { Format::Json } else { arguments.format }, plan, touches, &rehearsals)?;
    Ok(Exit::Done)
}

/// The drills that it would hold, with their lengths from the history of the state folder.
fn rehearsals(plan: &Plan, runbook: &Path, global: &Global) -> anyhow::Result<Vec<Rehearsal>> {
    let drills = drill_step::drills(plan, runbook);
    if drills.is_empty() {
        return Ok(Vec::new());
    }
    let holdings = history::holdings(engine::home_to_read(global)?.history()?);
    let rehearsal = |NamedDrill { step, scenario, drill, backend }| Rehearsal {
        step: step.to_string(),
        scenario,
        drill,
        testbed: backend.as_str().to_owned(),
        usual_length: None,
        held: 0,
    };
    Ok(drills.into_iter().map(|named| rehearsal(named).with_history(&holdings)).collect())
}

fn print(format: Format, plan: &Plan, touches: Option<Vec<Touch<'_>>>, rehearsals: &[Rehearsal]) -> anyhow::Result<()> {
    match format {
        Format::Tree => {
            data_as_is(graph::tree(plan));
            print_rehearsals(rehearsals);
            touches.iter().for_each(|touches| print_touches(touches));
        }
        Format::Dot => data_as_is(graph::dot(plan)),
        Format::Mermaid => data_as_is(graph::mermaid(plan)),
        Format::Json => json(&document(plan, touches, rehearsals))?,
    }
    Ok(())
}

fn print_rehearsals(rehearsals: &[Rehearsal]) {
    if rehearsals.is_empty() {
        return;
    }
    let heading = ["STEP", "DRILL", "TESTBED", "LENGTH"].map(str::to_owned).to_vec();
    let rows = rehearsals.iter().map(|it| {
        vec![it.step.clone(), it.drill.clone().unwrap_or_else(|| it.scenario.clone()), it.testbed.clone(), it.length()]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    data(format_args!("\n{}", styled(STRONG, "What it would rehearse")));
    table::show(&rows);
}

fn print_touches(touches: &[Touch<'_>]) {
    let heading = ["STEP", "ACTION", "EFFECT", "ROLE", "SYSTEM"].map(str::to_owned).to_vec();
    let rows = touches.iter().map(|touch| {
        let system = touch.system.clone().unwrap_or_else(|| "not bound".to_owned());
        vec![
            touch.step.to_owned(),
            touch.action.clone(),
            touch.effect.access().to_owned(),
            touch.role.to_string(),
            system,
        ]
    });
    let rows: Vec<_> = std::iter::once(heading).chain(rows).collect();
    data(format_args!("\n{}", styled(STRONG, "Systems that it would touch")));
    table::show(&rows);
}
