//! `lifeboat drill`: replays a disaster and measures what the recovery costs.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::{Args, ValueEnum};
use lifeboat_core::{diagnostic, name::RunId, run::Run};
use lifeboat_launch::Wrong;
use lifeboat_present::drill::{Proof, lines, proof};
use lifeboat_runtime::{home::Home, report::Report};
use lifeboat_simulator::{
    drill::{self, DrillError, DrillObserver, DrillRequest, Phase},
    report::{self, DrillReport},
    testbed::{self, Backend},
};

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    logging,
    output::{HINT, data, hint, json, note, painted, styled},
    signals,
    view::{self, View},
};

/// Replay a disaster on real servers and measure what the recovery costs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat drill dr-003\n  lifeboat drill dr-003 --testbed container --json\n  \
    lifeboat drill dr-003 --controls")]
pub(crate) struct Arguments {
    /// The name of a built-in drill, or a drill file
    #[arg(value_name = "NAME|FILE", required_unless_present = "remove")]
    drill: Option<String>,
    /// Where the servers run
    #[arg(long, value_enum, default_value_t = Testbed::Process)]
    testbed: Testbed,
    /// Seed of the workload and the fault: the same seed gives the same writes
    #[arg(long)]
    seed: Option<u64>,
    /// Keep the servers running afterwards
    #[arg(long)]
    keep: bool,
    /// Hold no drill; remove the servers that an earlier drill kept
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["drill", "seed", "keep", "controls", "json"])]
    remove: Option<PathBuf>,
    /// Also hold the negative controls, each of which must turn the drill red, and the control run without a fault
    #[arg(long)]
    controls: bool,
    /// How often to hold the drill
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// Print `report.json` on standard output and nothing else
    #[arg(long)]
    json: bool,
}

/// Where the servers run.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Testbed {
    /// PostgreSQL's own programs on this machine
    Process,
    /// Containers
    Container,
}

impl From<Testbed> for Backend {
    fn from(testbed: Testbed) -> Self {
        match testbed {
            Testbed::Process => Self::Process,
            Testbed::Container => Self::Container,
        }
    }
}

/// Shows the drill's phases and the engine's events in one view.
struct Observer {
    view: Arc<dyn View>,
    home: Home,
}

impl DrillObserver for Observer {
    fn phase(&self, holding: &str, phase: &Phase) {
        let holding = if holding.is_empty() { String::new() } else { format!("{holding}: ") };
        self.view.say(&format!("{} {holding}{phase}", styled(HINT, "drill")));
    }

    fn engine(&self, report: &Report, run: &Run) {
        if let Some((_, facts)) = &run.started {
            logging::into_file(self.home.engine_log(&facts.run));
        }
        self.view.report(report, run);
    }
}

pub(crate) async fn execute(arguments: Arguments, global: &Global) -> anyhow::Result<Exit> {
    if let Some(folder) = &arguments.remove {
        let name = testbed::remove(folder).map_err(DrillError::from)?;
        note(format_args!("removed the testbed {name}"));
        return Ok(Exit::Done);
    }
    let home = engine::home(global)?;
    let mut request = named(&arguments, global, &home)?;
    request.backend = arguments.testbed.into();
    request.seed = arguments.seed.unwrap_or(request.seed);
    request.keep = arguments.keep;
    let view = view::open(None, false);
    request.stop = signals::stop(view.clone());
    let mut reports = Vec::new();
    for number in 1..=arguments.runs {
        // The controls prove the drill, not the recovery: once is enough.
        request.controls = arguments.controls && number == arguments.runs;
        reports.push(hold(request.clone(), &view, &home).await?);
    }
    let last = reports.last().map(|report| report.run.clone()).unwrap_or_default();
    let report = report::merged(reports).context("no drill was held")?;
    let run = home.run_folder(&RunId::new(report.run.as_str())?);
    let folder = match run.parent() {
        Some(runs) if arguments.runs > 1 => drill::save_series(runs, &last, &report)?,
        _ => run.clone(),
    };
    let name = report.run.clone();
    if arguments.json {
        json(&report)?;
    } else {
        lines(&report).iter().map(painted).for_each(data);
        if arguments.keep {
            data(format_args!(
                "  systems   kept running; their bindings are in {}",
                run.join("bindings.yaml").display()
            ));
        }
        data(format_args!("  report    {}", folder.join("report.html").display()));
        if !report.episodes.is_empty() {
            hint(format_args!("`lifeboat report {name}` shows what the engine did"));
        }
    }
    Ok(exit(proof(&report)))
}

/// The drill that was asked for; if its file is wrong, everything that is wrong with it and its runbooks is shown.
fn named(arguments: &Arguments, global: &Global, home: &Home) -> anyhow::Result<DrillRequest> {
    match DrillRequest::new(arguments.drill.as_deref().unwrap_or_default(), home.path()) {
        Ok(request) => Ok(request),
        Err(error @ DrillError::Diagnostics { .. }) => {
            let catalogue = engine::host_to_look_at(global)?.catalogue();
            Err(shown(error.with_runbooks(&catalogue)).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What the report means for the shell.
fn exit(proof: Proof) -> Exit {
    match proof {
        Proof::Passed => Exit::Done,
        Proof::Failed => Exit::Failed,
        Proof::None => Exit::Inconclusive,
    }
}

/// One drill, watched.
async fn hold(request: DrillRequest, view: &Arc<dyn View>, home: &Home) -> anyhow::Result<DrillReport> {
    if view.moves() {
        logging::hold_back();
    }
    let held = drill::run(request, &Observer { view: view.clone(), home: home.clone() }).await;
    view.close();
    logging::to_standard_error();
    Ok(held.map_err(shown)?)
}

/// Shows what is wrong with a file and its runbooks with its places; every other error is told as it is.
pub(super) fn shown(error: DrillError) -> DrillError {
    if let DrillError::Diagnostics { file, diagnostics, runbooks } = &error {
        note(diagnostic::render(file, diagnostics, true).trim_end());
        for Wrong { file, diagnostics } in runbooks {
            note(diagnostic::render(file, diagnostics, true).trim_end());
        }
    }
    error
}
