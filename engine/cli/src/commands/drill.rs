//! `lifeboat drill`: replays a disaster and measures what the recovery costs.

use std::{path::PathBuf, sync::Arc};

use clap::{Args, ValueEnum};
use lifeboat_core::{diagnostic, name::RunId, run::Run};
use lifeboat_runtime::report::Report;
use lifeboat_simulator::{
    drill::{self, DrillError, DrillObserver, DrillRequest},
    testbed::{self, Backend},
};
use serde_json::Value;

use crate::{
    arguments::Global,
    commands::drill_summary,
    engine,
    exit::Exit,
    output::{HINT, data, hint, json, note, styled},
    signals,
    view::{self, View},
};

/// Replay a disaster on real servers and measure what the recovery costs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat drill dr-003\n  lifeboat drill dr-003 --testbed container --json\n  \
    lifeboat drill dr-003 --controls")]
pub(crate) struct Arguments {
    /// A drill that is built in, or a drill file
    #[arg(value_name = "NAME|FILE", required_unless_present = "remove")]
    drill: Option<String>,
    /// Where the servers run
    #[arg(long, value_enum, default_value_t = Testbed::Process)]
    testbed: Testbed,
    /// Of the workload and the fault: the same seed, the same writes
    #[arg(long)]
    seed: Option<u64>,
    /// Leave the servers standing afterwards
    #[arg(long)]
    keep: bool,
    /// Hold no drill: remove the servers that an earlier one left standing
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["drill", "seed", "keep", "controls", "json"])]
    remove: Option<PathBuf>,
    /// Also hold the negative controls, each of which must turn the drill red, and the control run without a fault
    #[arg(long)]
    controls: bool,
    /// Repeat it
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
}

impl DrillObserver for Observer {
    fn phase(&self, phase: &str) {
        self.view.say(&format!("{} {phase}", styled(HINT, "drill")));
    }

    fn engine(&self, report: &Report, run: &Run) {
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
    let mut request = DrillRequest::new(arguments.drill.as_deref().unwrap_or_default(), home.path()).map_err(shown)?;
    request.backend = arguments.testbed.into();
    request.seed = arguments.seed.unwrap_or(request.seed);
    request.keep = arguments.keep;
    let view = view::open(None, false);
    request.stop = signals::stop(view.clone());
    let mut reports = Vec::new();
    for number in 1..=arguments.runs {
        // The controls prove the drill, not the recovery: once is enough.
        request.controls = arguments.controls && number == arguments.runs;
        reports.push(hold(request.clone(), &view).await?);
    }
    let report = merged(reports);
    let folder = home.run_folder(&RunId::new(text(&report, "run"))?);
    if arguments.json {
        json(&report)?;
    } else {
        drill_summary::lines(&report).into_iter().for_each(data);
        if arguments.keep {
            data(format_args!("  systems   left standing; {} binds them", folder.join("bindings.yaml").display()));
        }
        data(format_args!("  report    {}", folder.join("report.html").display()));
        hint(format_args!("`lifeboat report {}` tells what the engine did", text(&report, "run")));
    }
    Ok(drill_summary::exit(&report))
}

/// One drill, watched.
async fn hold(request: DrillRequest, view: &Arc<dyn View>) -> anyhow::Result<Value> {
    let held = drill::run(request, &Observer { view: view.clone() }).await;
    view.close();
    Ok(serde_json::to_value(held.map_err(shown)?)?)
}

/// Shows what is wrong with a file with its places; every other error is told as it is.
fn shown(error: DrillError) -> DrillError {
    if let DrillError::Diagnostics { file, diagnostics } = &error {
        note(diagnostic::render(file, diagnostics, true).trim_end());
    }
    error
}

/// Of several reports the worst, with the samples of all. Controls and the run without a fault are kept wherever they were held.
fn merged(reports: Vec<Value>) -> Value {
    let samples: Vec<Value> =
        reports.iter().filter_map(|report| report["samples"].as_array()).flatten().cloned().collect();
    let held = |name: &str| reports.iter().map(|report| report[name].clone()).rfind(|held| !is_empty(held));
    let (controls, control_run) = (held("controls"), held("control_run"));
    let worst = reports.into_iter().max_by_key(|report| badness(text(report, "verdict")));
    let mut report = worst.unwrap_or_default();
    report["samples"] = samples.into();
    if let Some(controls) = controls {
        report["controls"] = controls;
    }
    if let Some(control_run) = control_run {
        report["control_run"] = control_run;
    }
    report
}

fn is_empty(held: &Value) -> bool {
    held.is_null() || held.as_array().is_some_and(Vec::is_empty)
}

fn badness(verdict: &str) -> u8 {
    match verdict {
        "met" => 0,
        "missed" => 2,
        _ => 1,
    }
}

fn text<'a>(report: &'a Value, name: &str) -> &'a str {
    report[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_runs_are_as_good_as_the_worst_and_keep_every_sample() {
        let report = |run: &str, verdict: &str, controls: Value| json!({"run": run, "verdict": verdict, "samples": [{"run": run}], "controls": controls, "control_run": null});
        let control = json!([{"name": "no-op-restore", "turned_red": true}]);
        let reports = vec![
            report("a", "met", json!([])),
            report("b", "missed", json!([])),
            report("c", "unmeasured", control.clone()),
        ];
        let merged = merged(reports);
        assert_eq!(merged["run"], "b");
        assert_eq!(merged["samples"], json!([{"run": "a"}, {"run": "b"}, {"run": "c"}]));
        assert_eq!(merged["controls"], control);
    }
}
