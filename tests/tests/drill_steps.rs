//! A runbook that holds drills, as a user runs it: real drills on few rows, on processes.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use lifeboat_tests::{
    rehearsal::{Ended, Rehearsal, alone, interrupt, watched},
    repository,
};
use serde_json::Value;

/// The phase in which the recovery of a drill is under way.
const RECOVERING: &str = "noticed by the probe";

/// A runbook beside the small drill, with these steps, and bindings for it.
struct Runbook {
    rehearsal: Rehearsal,
    file: String,
    bindings: String,
}

impl Runbook {
    fn new(steps: &str) -> Result<Self> {
        let rehearsal = Rehearsal::small()?;
        let write = |name: &str, text: &str| -> Result<String> {
            let path = rehearsal.home.path().join(name);
            fs::write(&path, text)?;
            Ok(path.display().to_string())
        };
        let file = write("rehearse.yaml", &format!("lifeboat: 1\nid: QD-001\nname: Rehearse\nsteps:\n{steps}"))?;
        let bindings = write("bindings.yaml", "lifeboat: 1\ntargets: {}\n")?;
        Ok(Self { rehearsal, file, bindings })
    }

    fn run(&self) -> Command {
        self.rehearsal.lifeboat(&["run", &self.file, "--bindings", &self.bindings])
    }

    /// The small drill with a runbook whose objective nothing can meet.
    fn add_late_drill(&self) -> Result<()> {
        let shipped = fs::read_to_string(repository().join("workflows/dr-003-accidental-deletion.yaml"))?;
        let late = shipped.replacen("rto: 1h", "rto: 10ms", 1);
        ensure!(late != shipped, "the shipped runbook has no objective of an hour");
        fs::write(self.rehearsal.home.path().join("late-runbook.yaml"), late)?;
        let drill = fs::read_to_string(self.rehearsal.file())?;
        let names = |line: &str| line.trim_start().starts_with("runbook:");
        let line =
            |line: &str| if names(line) { "      runbook: late-runbook.yaml".to_owned() } else { line.to_owned() };
        let drill = drill.replace("drill: DR-003", "drill: LATE");
        let drill: Vec<String> = drill.lines().map(line).collect();
        Ok(fs::write(self.rehearsal.home.path().join("late.yaml"), drill.join("\n"))?)
    }

    /// The folder of the run of this runbook; those of drills lie beside it.
    fn folder(&self) -> Result<PathBuf> {
        let own = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("qd-001"));
        self.rehearsal.runs()?.into_iter().find(own).context("the run has a folder")
    }

    /// The events of its journal of that kind and step.
    fn events(&self, kind: &str, step: &str) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.folder()?.join("journal.jsonl"))?;
        let events: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(events.into_iter().filter(|event| event["event"] == kind && event["step"] == step).collect())
    }

    /// Every drill of the history: its name, its verdict and its length in seconds.
    fn history(&self) -> Result<Vec<(String, String, f64)>> {
        let output = self.rehearsal.lifeboat(&["history", "--json"]).output()?;
        let document: Value = serde_json::from_slice(&output.stdout)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let held =
            |line: &Value| (text(&line["drill"]), text(&line["verdict"]), line["length_s"].as_f64().unwrap_or(0.0));
        Ok(document["held"].as_array().context("what was held")?.iter().map(held).collect())
    }
}

#[test]
fn a_drill_that_is_met_tells_its_numbers_and_one_that_is_missed_fails_the_run() -> Result<()> {
    let _alone = alone();
    let runbook = Runbook::new(
        "  - { id: good, drill: { scenario: drill.yaml } }\n  \
           - { id: late, when: \"steps.good.outputs.rto_s.high < 600.0\", drill: { scenario: late.yaml }, \
               retry: { attempts: 3 } }\n  \
           - { id: never, drill: { scenario: drill.yaml } }\n",
    )?;
    runbook.add_late_drill()?;
    let ended = watched(runbook.run(), |_, _| Ok(()))?;
    ensure!(ended.status.code() == Some(1) && ended.said.contains("drill-missed"), "{}:\n{}", ended.status, ended.said);

    let good = runbook.events("step_succeeded", "good")?.pop().with_context(|| ended.said.clone())?;
    let outputs = &good["outputs"];
    ensure!((&outputs["drill"], &outputs["verdict"]) == (&"DR-003".into(), &"met".into()), "{outputs}");
    let report: Value = serde_json::from_slice(&fs::read(outputs["report"].as_str().context("a path")?)?)?;
    ensure!(report["run"] == outputs["run"] && report["verdict"] == "met", "{report:#}");
    let run = runbook.folder()?.file_name().map(|name| name.to_string_lossy().into_owned()).context("a run")?;
    ensure!(report["held"]["for_step"] == format!("step `good` of run `{run}`"), "{}", report["held"]);
    ensure!(outputs["rto_s"] == report["episodes"][0]["rto"]["service_s"], "{outputs} of {report:#}");
    ensure!(outputs["rto_s"]["high"].as_f64() > Some(0.0), "an outage took no time: {outputs}");

    let told = runbook.rehearsal.lifeboat(&["report", outputs["run"].as_str().context("a run")?]).output()?;
    let told = String::from_utf8(told.stdout)?;
    ensure!(told.contains("\nDR-003  met  (testbed process"), "its report can be read:\n{told}");

    let failed = runbook.events("step_failed", "late")?.pop().context("the late drill failed")?;
    ensure!(failed["failure"]["code"] == "drill-missed" && failed["failure"]["kind"] == "permanent", "{failed}");
    ensure!(runbook.events("step_started", "late")?.len() == 1, "a drill that was missed is not tried again");
    ensure!(runbook.events("step_started", "never")?.is_empty(), "the run ended there");
    let history = runbook.history()?;
    let verdicts: Vec<_> = history.iter().map(|(drill, verdict, _)| (drill.as_str(), verdict.as_str())).collect();
    ensure!(verdicts == [("DR-003", "met"), ("LATE", "missed")], "{history:?}");
    ensure!(history.iter().all(|(_, _, seconds)| *seconds > 5.0), "{history:?}");
    let plan = runbook.rehearsal.lifeboat(&["plan", &runbook.file]).output()?;
    let plan = String::from_utf8(plan.stdout)?;
    ensure!(plan.matches("(held once)").count() == 3, "the plan knows how long they took:\n{plan}");
    ensure!(runbook.rehearsal.left()?.is_empty(), "left behind: {:?}", runbook.rehearsal.left()?);
    Ok(())
}

#[test]
fn a_drill_ends_with_its_engine_and_is_held_again() -> Result<()> {
    let _alone = alone();
    let runbook = Runbook::new("  - { id: rehearse, drill: { scenario: drill.yaml } }\n")?;
    let until_recovering = |command: Command, end: fn(u32) -> Result<()>| -> Result<Ended> {
        let mut reached = false;
        let ended = watched(command, |line, pid| {
            if !reached && line.contains(RECOVERING) {
                reached = true;
                end(pid)?;
            }
            Ok(())
        })?;
        ensure!(reached, "the recovery never began:\n{}", ended.said);
        Ok(ended)
    };
    let left = || runbook.rehearsal.left();

    let stopped = until_recovering(runbook.run(), interrupt)?;
    ensure!(stopped.status.code() == Some(5), "{}:\n{}", stopped.status, stopped.said);
    ensure!(left()?.is_empty(), "Ctrl-C tears the drill down: {:?}", left()?);

    let run = runbook.folder()?.file_name().context("a name")?.to_string_lossy().into_owned();
    let resume = || runbook.rehearsal.lifeboat(&["resume", &run]);
    let killed = until_recovering(resume(), |pid| {
        ensure!(Command::new("kill").args(["-KILL", &pid.to_string()]).status()?.success(), "{pid} cannot be killed");
        Ok(())
    })?;
    ensure!(killed.status.code().is_none(), "{}:\n{}", killed.status, killed.said);
    ensure!(!left()?.is_empty() && runbook.history()?.is_empty(), "a killed drill leaves its systems, and no line");

    let ended = watched(resume(), |_, _| Ok(()))?;
    ensure!(ended.status.success(), "{}:\n{}", ended.status, ended.said);
    ensure!(left()?.is_empty(), "the next drill sweeps what the dead one left: {:?}", left()?);
    let history = runbook.history()?;
    ensure!(history.len() == 1 && history[0].1 == "met", "{history:?}");
    ensure!(runbook.events("attempt_interrupted", "rehearse")?.len() == 2, "both cut it off");
    ensure!(runbook.events("step_succeeded", "rehearse")?.len() == 1);
    Ok(())
}

/// A drill without its controls is held, and the review says of it that nothing shows what it would see.
#[test]
fn a_review_reads_what_the_run_has_held_and_nothing_else() -> Result<()> {
    let _alone = alone();
    let runbook = Runbook::new(
        "  - { id: good, drill: { scenario: drill.yaml } }\n  \
           - { id: metrics, uses: drill/write-metrics, with: { textfile: \"${{ inputs.textfile }}\" } }\n  \
           - { id: look, uses: drill/review, with: { complete: false, evidence: [\
               { point: Metrics sent to monitoring, evidence: \"${{ steps.metrics.outputs.samples }} samples\" }] } }\n  \
           - { id: sign, uses: drill/review }\n\
         inputs: { textfile: { type: string } }\n",
    )?;
    // A drill that somebody else held is no evidence.
    let earlier = watched(runbook.rehearsal.command(&[]), |_, _| Ok(()))?;
    ensure!(earlier.status.success(), "{}", earlier.said);
    let textfile = runbook.rehearsal.home.path().join("lifeboat.prom");
    let mut run = runbook.run();
    run.arg("--input").arg(format!("textfile={}", textfile.display()));
    let ended = watched(run, |_, _| Ok(()))?;
    ensure!(ended.status.code() == Some(1) && ended.said.contains("drill-review"), "{}:\n{}", ended.status, ended.said);

    let look = runbook.events("step_succeeded", "look")?.pop().with_context(|| ended.said.clone())?;
    let outputs = &look["outputs"];
    ensure!(outputs["drills"] == 1, "the one of this run: {outputs}");
    let against: Vec<&str> =
        outputs["against"].as_array().context("a list")?.iter().filter_map(Value::as_str).collect();
    ensure!(against.contains(&"DR-003 was held without its controls"), "{against:?}");
    ensure!(!against.iter().any(|it| it.contains("Metrics sent")), "the run has shown it: {against:?}");
    ensure!(against.iter().any(|it| it.contains("Backup integrity")), "nothing in this run shows it: {against:?}");
    let failed = runbook.events("step_failed", "sign")?.pop().context("the second one fails")?;
    ensure!(failed["failure"]["kind"] == "permanent", "{failed}");
    ensure!(failed["failure"]["message"].as_str().is_some_and(|it| it.contains("Metrics sent")), "{failed}");

    let page = PathBuf::from(outputs["page"].as_str().context("a path")?);
    ensure!(page.parent() == Some(runbook.folder()?.as_path()), "{}", page.display());
    ensure!(fs::read_to_string(&page)?.contains("Point-in-time recovery to the target successful"));
    let held = runbook.events("step_succeeded", "good")?.pop().context("it held")?;
    let review: Value = serde_json::from_slice(&fs::read(page.with_file_name("review.json"))?)?;
    ensure!(review["drills"][0]["run"] == held["outputs"]["run"], "{review:#}");
    let text = fs::read_to_string(&textfile)?;
    ensure!(text.contains("restore_drill_holdings{drill=\"DR-003\"} 2"), "{text}");
    Ok(())
}
