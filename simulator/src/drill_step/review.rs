//! `drill/review`: reads the reports of the drills that a run has held, and writes what they show together into the folder of the run.

use std::{collections::BTreeMap, fs};

use jiff::Timestamp;
use lifeboat_core::{
    digest::sha256,
    event::Mode,
    failure::{Failure, HELD_BACK, Reason},
    input::Done,
    name::RunId,
    plan::{Plan, Section},
};
use lifeboat_present::{
    drill::{self, DrillReport},
    history::Holding,
    review::{self, Evidence, Material, Review, Reviewed},
};
use lifeboat_runtime::{home::Home, invoke::Request};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{for_step::step_of, outcome::of_error};
use crate::{
    drill::{DrillError, HOLD},
    rehearsed,
};

/// A piece of evidence as the runbook gives it.
#[derive(Deserialize)]
struct Given {
    point: String,
    evidence: String,
}

pub(super) fn review(request: &Request, home: &Home) -> Result<Done, Failure> {
    if request.mode == Mode::DryRun {
        return Err(Failure::Denied(Reason::new(HELD_BACK, "would review the drills of this run")));
    }
    let material = material(request, home).map_err(|error| of_error(&error))?;
    let review = review::review(&material);
    let outputs = write(&review, home, &request.run).map_err(|error| of_error(&error))?;
    let summary = review.sentence();
    if request.call.parameters["complete"].as_bool().unwrap_or(true) && !review.against.is_empty() {
        let message = format!("{summary} Against it: {}", review.against.join("; "));
        return Err(Failure::Permanent(Reason::new("drill-review", message)));
    }
    Ok(Done { outputs, summary })
}

fn material(request: &Request, home: &Home) -> Result<Material, DrillError> {
    let run = home.load(&request.run)?;
    let began = run.run.started.as_ref().map_or(Timestamp::MIN, |(at, _)| *at);
    let steps = drill_steps(&run.plan);
    let given: Vec<Given> = serde_json::from_value(request.call.parameters["evidence"].clone()).unwrap_or_default();
    Ok(Material {
        run: request.run.to_string(),
        name: run.plan.runbook.name.clone(),
        drills: held(home, &request.run, began, &steps)?,
        steps,
        evidence: given.into_iter().map(|it| Evidence { point: it.point, evidence: it.evidence }).collect(),
        now: Timestamp::now(),
    })
}

/// The steps of the plan that hold drills.
fn drill_steps(plan: &Plan) -> Vec<String> {
    let holds = |step: &&lifeboat_core::plan::Step| {
        step.section == Section::Steps && step.action().is_some_and(|action| action.action.to_string() == HOLD)
    };
    plan.steps.iter().filter(holds).map(|step| step.id.to_string()).collect()
}

/// The last drill that each step of the run has held, and each item of its list, in the order of the steps.
fn held(home: &Home, run: &RunId, began: Timestamp, steps: &[String]) -> Result<Vec<Reviewed>, DrillError> {
    let holdings = rehearsed::holdings(home)?;
    let mut by_step: BTreeMap<(usize, String), Vec<(Holding, DrillReport)>> = BTreeMap::new();
    for holding in holdings.iter().filter(|holding| holding.at >= began) {
        let Some(report) = report_of(home, holding) else { continue };
        let held_for = report.held.as_ref().and_then(|held| held.for_step.clone()).unwrap_or_default();
        let Some(step) = step_of(&held_for, run) else { continue };
        let (name, _item) = step.split_once('[').unwrap_or((step, ""));
        let Some(place) = steps.iter().position(|known| known == name) else { continue };
        by_step.entry((place, step.to_owned())).or_default().push((holding.clone(), report));
    }
    let reviewed = |((place, _), mut tried): ((usize, String), Vec<(Holding, DrillReport)>)| {
        let (last, report) = tried.pop()?;
        let same = |it: &&Holding| it.drill == last.drill && it.backend == last.backend && it.at <= last.at;
        let holdings = holdings.iter().filter(same).cloned().collect();
        Some(Reviewed { step: steps[place].clone(), report, holdings, tried_before: tried.len() })
    };
    Ok(by_step.into_iter().filter_map(reviewed).collect())
}

/// A report that is gone, or that cannot be read, shows nothing.
fn report_of(home: &Home, holding: &Holding) -> Option<DrillReport> {
    let run = RunId::new(holding.run.as_str()).ok()?;
    let text = rehearsed::report(home, &run).ok().flatten()?;
    drill::read(&text).ok()
}

/// Writes the review into the folder of the run and returns the outputs.
fn write(review: &Review, home: &Home, run: &RunId) -> Result<Value, DrillError> {
    let folder = home.run_folder(run);
    let document = format!("{:#}\n", json!(review));
    for (name, text) in [("review.json", &document), ("review.md", &review.markdown()), ("review.html", &review.page())]
    {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|source| DrillError::File { path, what: "written", source })?;
    }
    let lessons: Vec<String> = review.lessons.iter().map(|it| format!("{}: {}", it.drill, it.lesson)).collect();
    Ok(json!({
        "drills": review.drills.len(),
        "points": review.points.len(),
        "shown": review.shown(),
        "against": review.against,
        "lessons": lessons,
        "text": review.text(),
        "page": folder.join("review.html").display().to_string(),
        "digest": sha256(document.as_bytes()),
    }))
}
