//! What a drill measured, for people: read from `report.json`, so that an old report tells the same as a fresh one.

use jiff::SignedDuration;
use serde_json::Value;

use crate::{Text, Tone, elapsed};

/// What a drill proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The objectives were met, and the drill would have seen a failure.
    Passed,
    /// An objective was missed, or the drill does not see failures.
    Failed,
    /// Nothing: it could not measure what it should.
    None,
}

/// What the report proves. Only `met`, with every control red, is a pass.
pub fn proof(report: &Value) -> Proof {
    let green_control = list(report, "/controls").iter().any(|control| control["turned_red"] != Value::Bool(true))
        || report.pointer("/control_run/passed").is_some_and(|passed| *passed != Value::Bool(true));
    match text(report, "/verdict") {
        "met" if !green_control => Proof::Passed,
        "met" | "missed" | "failed" => Proof::Failed,
        _ => Proof::None,
    }
}

/// The lines of the summary.
pub fn lines(report: &Value) -> Vec<Text> {
    let mut lines = vec![head(report)];
    let episodes = episodes(report);
    for episode in &episodes {
        if episodes.len() > 1 {
            let (runbook, outcome) = (text(episode, "/runbook/id"), text(episode, "/outcome"));
            lines.push(format!("  recovery  {runbook}: {outcome}").into());
        }
        lines.push(rto(episode, report));
        lines.push(rpo(episode, report));
        lines.extend(missing(episode));
    }
    let count = |name: &str| match report.pointer(&format!("/writes/{name}")) {
        Some(Value::Null) => format!("{name} unmeasured"),
        _ => format!("{} {name}", number(report, &format!("/writes/{name}"))),
    };
    let writes = ["acknowledged", "lost", "unknown", "unexpected"].map(count).join(", ");
    lines.push(format!("  writes    {writes}").into());
    lines.extend(checks(report));
    lines.extend(controls(report));
    lines.extend(control_run(report));
    lines.extend(scaled(report));
    lines.extend(host(report));
    lines.extend(samples(report));
    lines
}

/// The recoveries; a report of the first version is one itself.
fn episodes(report: &Value) -> Vec<&Value> {
    match report.get("episodes").and_then(Value::as_array) {
        Some(episodes) => episodes.iter().collect(),
        None => vec![report],
    }
}

fn head(report: &Value) -> Text {
    let systems: Vec<String> = list(report, "/testbed/systems")
        .iter()
        .filter(|system| system["kind"] == "postgres")
        .map(|system| text(system, "/version").to_owned())
        .collect();
    let backend = text(report, "/testbed/backend");
    let seed = number(report, "/seed");
    Text::name(text(report, "/drill"))
        + "  "
        + verdict(text(report, "/verdict"))
        + format!("  (testbed {backend}: {}; seed {seed})", systems.join(", "))
}

fn rto(episode: &Value, report: &Value) -> Text {
    let measured = interval(episode.pointer("/rto/service_s"));
    let procedure = interval(episode.pointer("/rto/procedure_s"));
    let decision = interval(episode.pointer("/rto/decision_s"));
    let objective = objective(episode, "/rto/objective_s");
    Text::from(format!("  RTO       {measured}  of {objective}  "))
        + proven(report, episode, "/rto/verdict")
        + format!("  (procedure {procedure}, decision {decision})")
}

fn rpo(episode: &Value, report: &Value) -> Text {
    let measured = interval(episode.pointer("/rpo/actual_s"));
    let objective = objective(episode, "/rpo/objective_s");
    let pre_fault = interval(episode.pointer("/rpo/pre_fault_s"));
    let collateral = interval(episode.pointer("/rpo/collateral_s"));
    let residual = match episode.pointer("/rpo/residual_damage") {
        Some(Value::Null) => "unmeasured".to_owned(),
        _ => number(episode, "/rpo/residual_damage"),
    };
    Text::from(format!("  RPO       {measured}  of {objective}  "))
        + proven(report, episode, "/rpo/verdict")
        + format!("  (pre-fault {pre_fault}, collateral {collateral}, residual damage {residual})")
}

/// What was missing if an objective could not be compared with a measurement.
fn missing(episode: &Value) -> Vec<Text> {
    let line = |name: &str| {
        let missing = episode.pointer(&format!("/{name}/missing"))?.as_str()?;
        Some(format!("  missing   {}: {missing}", name.to_uppercase()).into())
    };
    ["rto", "rpo"].into_iter().filter_map(line).collect()
}

/// How busy the machine was, where that can have thinned the evidence.
fn host(report: &Value) -> Option<Text> {
    let host = report.pointer("/environment/host").filter(|host| host["before"]["too_busy"] == Value::Bool(true))?;
    let load = |place: &str| {
        host.pointer(place).and_then(Value::as_f64).map_or_else(|| "?".to_owned(), |load| format!("{load:.1}"))
    };
    let loads = format!(
        ": load {} on {} processors before, {} at the fault, {} at the end",
        load("/before/load/load_1m"),
        number(report, "/environment/processors"),
        load("/at_fault/load_1m"),
        load("/at_end/load_1m")
    );
    Some(Text::from("  machine   ") + Text::toned(Tone::Warn, "too busy for the probes") + loads)
}

/// How many checks passed, and each that did not.
fn checks(report: &Value) -> Vec<Text> {
    let checks = list(report, "/checks");
    let failed: Vec<&Value> = checks.iter().filter(|check| check["passed"] != Value::Bool(true)).collect();
    let tone = if failed.is_empty() { Tone::Good } else { Tone::Bad };
    let passed = format!("{} of {} passed", checks.len() - failed.len(), checks.len());
    let mark = |check: &Value| {
        let (tone, mark) = if check["measured"] == Value::Bool(false) { (Tone::Warn, "?") } else { (Tone::Bad, "✘") };
        Text::toned(tone, mark)
    };
    let detail = |check: &&Value| {
        Text::from("    ") + mark(check) + format!(" {}: {}", text(check, "/name"), text(check, "/detail"))
    };
    let head = Text::from("  checks    ") + Text::toned(tone, passed);
    std::iter::once(head).chain(failed.iter().map(detail)).collect()
}

/// Each negative control, and whether the drill saw it.
fn controls(report: &Value) -> Vec<Text> {
    let line = |control: &Value| {
        let (seen, more) = if control["turned_red"] == Value::Bool(true) {
            (Text::toned(Tone::Good, "turned red"), format!(" by {}", text(control, "/by")))
        } else if control["measured"] == Value::Bool(false) {
            (Text::toned(Tone::Warn, "shows nothing"), format!(": {}", text(control, "/detail")))
        } else {
            (Text::toned(Tone::Bad, "stayed green"), ": the drill cannot see this failure".to_owned())
        };
        Text::from(format!("  control   {} ", text(control, "/name"))) + seen + more
    };
    list(report, "/controls").iter().map(line).collect()
}

/// The run without a fault, where it was made.
fn control_run(report: &Value) -> Option<Text> {
    let run = report.get("control_run").filter(|run| !run.is_null())?;
    let (tone, word) = if run["passed"] == Value::Bool(true) { (Tone::Good, "passed") } else { (Tone::Bad, "failed") };
    let (rto, rpo) = (interval(run.get("rto_s")), interval(run.get("rpo_s")));
    Some(Text::from("  no fault  ") + Text::toned(tone, word) + format!(": RTO {rto}, RPO {rpo}"))
}

/// What the drill shortened, beside what production would have.
fn scaled(report: &Value) -> Vec<Text> {
    let line = |scaled: &Value| {
        let (name, drill) = (text(scaled, "/name"), text(scaled, "/drill"));
        let (production, worst_case) = (text(scaled, "/production"), text(scaled, "/worst_case"));
        format!("  scaled    {name} {drill} instead of {production}: {worst_case}").into()
    };
    list(report, "/scaled").iter().map(line).collect()
}

/// Every run, where there were several.
fn samples(report: &Value) -> Vec<Text> {
    let samples = list(report, "/samples");
    let line = |sample: &Value| {
        let (rto, rpo) = (interval(sample.get("rto_s")), interval(sample.get("rpo_s")));
        Text::from(format!("  sample    {} ", text(sample, "/run")))
            + verdict(text(sample, "/verdict"))
            + format!(": RTO {rto}, RPO {rpo}")
    };
    if samples.len() > 1 { samples.iter().map(line).collect() } else { Vec::new() }
}

/// The verdict over one objective. A number of an unmeasured drill may lie within it; that is not a pass, and must not look like
/// one.
fn proven(report: &Value, episode: &Value, pointer: &str) -> Text {
    match (text(episode, pointer), text(report, "/verdict")) {
        ("met", "unmeasured") => Text::toned(Tone::Warn, "within it, but not proven"),
        (word, _) => verdict(word),
    }
}

/// The word for a verdict; its tone says how bad it is.
pub fn verdict(word: &str) -> Text {
    let tone = match word {
        "met" => Tone::Good,
        "missed" | "failed" => Tone::Bad,
        _ => Tone::Warn,
    };
    Text::toned(tone, word)
}

/// `11.9s – 12.1s`; what was not measured says so.
fn interval(value: Option<&Value>) -> String {
    let seconds = |name: &str| value.and_then(|value| value[name].as_f64());
    match (seconds("low"), seconds("high")) {
        (Some(low), Some(high)) if elapsed::seconds(low) == elapsed::seconds(high) => elapsed::seconds(high),
        (Some(low), Some(high)) => format!("{} – {}", elapsed::seconds(low), elapsed::seconds(high)),
        (Some(low), None) => format!("> {}", elapsed::seconds(low)),
        _ => "unmeasured".to_owned(),
    }
}

fn objective(report: &Value, pointer: &str) -> String {
    let seconds = report.pointer(pointer).and_then(Value::as_f64);
    let length = seconds.and_then(|seconds| SignedDuration::try_from_secs_f64(seconds).ok());
    length.map_or_else(|| "no objective".to_owned(), elapsed::text)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown")
}

fn number(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).filter(|value| value.is_number()).map_or_else(|| "?".to_owned(), Value::to_string)
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Value {
        json!({
            "format": "lifeboat.report/2", "drill": "DR-003", "verdict": "met", "seed": 7,
            "testbed": {"backend": "process", "systems": [
                {"role": "primary", "kind": "postgres", "version": "PostgreSQL 15.14", "fidelity": "real"},
                {"role": "recovery", "kind": "machine", "version": "Debian", "fidelity": "real"}]},
            "episodes": [{
            "rto": {"objective_s": 3600, "clock": "onset", "service_s": {"low": 11.9, "high": 12.1},
                    "procedure_s": {"low": 8.0, "high": 8.0}, "decision_s": {"low": 3.9, "high": 4.0}, "verdict": "met"},
            "rpo": {"objective_s": 300, "actual_s": {"low": 0, "high": 0.1}, "pre_fault_s": {"low": 0, "high": 0},
                    "collateral_s": {"low": 0, "high": 0}, "residual_damage": 0, "verdict": "met"}}],
            "writes": {"acknowledged": 5213, "lost": 0, "unknown": 2, "unexpected": 0},
            "checks": [{"name": "rows-equal-ledger", "passed": true, "detail": "all"},
                       {"name": "fault-bit", "passed": false, "detail": "no probe failed"}],
            "controls": [{"name": "wrong-target-time", "turned_red": true, "by": "residual-damage"},
                         {"name": "no-op-restore", "turned_red": false}],
            "control_run": {"passed": true, "verdict": "met", "rto_s": {"low": 0, "high": 0}, "rpo_s": {"low": 0, "high": 0}},
            "scaled": [{"name": "archive_timeout", "drill": "5s", "production": "5m", "worst_case": "RPO up to 5m"}],
            "samples": [{"run": "a", "verdict": "met", "rto_s": {"low": 1, "high": 2}, "rpo_s": {"low": 0, "high": 0}},
                        {"run": "b", "verdict": "missed", "rto_s": {"low": 9, "high": null}, "rpo_s": null}],
        })
    }

    fn told(report: &Value) -> String {
        lines(report).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_summary_says_what_was_measured() {
        insta::assert_snapshot!(told(&report()));
    }

    #[test]
    fn several_recoveries_are_told_one_after_the_other_and_an_old_report_as_before() {
        let told = |report: &Value| lines(report).iter().map(ToString::to_string).collect::<Vec<_>>();
        let (one, mut old, mut two) = (report(), report(), report());
        let episode = old.as_object_mut().unwrap().remove("episodes").unwrap()[0].clone();
        for name in ["rto", "rpo"] {
            old[name] = episode[name].clone();
        }
        assert_eq!(told(&old), told(&one));
        let mut back = episode.clone();
        back["runbook"] = json!({ "id": "DR-002-BACK" });
        back["outcome"] = json!("failed");
        two["episodes"].as_array_mut().unwrap().push(back);
        let lines = told(&two);
        assert_eq!(lines.iter().filter(|line| line.starts_with("  RTO")).count(), 2, "{lines:#?}");
        assert!(lines.contains(&"  recovery  DR-002-BACK: failed".to_owned()), "{lines:#?}");
    }

    #[test]
    fn only_a_whole_pass_is_a_pass() {
        let check = |change: &[(&str, Value)], expected: Proof| {
            let mut report = report();
            report["controls"] = json!([]);
            for (name, value) in change {
                report[*name] = value.clone();
            }
            assert_eq!(proof(&report), expected, "{change:?}");
        };
        check(&[], Proof::Passed);
        check(&[("verdict", json!("missed"))], Proof::Failed);
        check(&[("verdict", json!("unmeasured"))], Proof::None);
        check(&[("verdict", Value::Null)], Proof::None);
        check(&[("controls", json!([{"name": "a", "turned_red": true}]))], Proof::Passed);
        check(&[("controls", json!([{"name": "a", "turned_red": false}]))], Proof::Failed);
        check(&[("control_run", json!({"passed": true}))], Proof::Passed);
        check(&[("control_run", json!({"passed": false}))], Proof::Failed);
    }

    #[test]
    fn what_was_not_measured_is_neither_a_number_nor_a_pass() {
        let mut report = report();
        report["verdict"] = json!("unmeasured");
        report["writes"]["lost"] = Value::Null;
        report["episodes"][0]["rpo"]["residual_damage"] = Value::Null;
        let text = told(&report);
        assert_eq!(text.matches("within it, but not proven").count(), 2, "{text}");
        assert!(text.contains("5213 acknowledged, lost unmeasured, 2 unknown"), "{text}");
        assert!(text.contains("residual damage unmeasured"), "{text}");
    }

    #[test]
    fn what_was_missing_is_told_with_the_load_of_the_machine() {
        let mut report = report();
        report["episodes"][0]["rto"]["missing"] =
            json!("too few probes: 24 of `content of sampled rows`, and 25 are needed");
        report["controls"] =
            json!([{"name": "no-op-restore", "turned_red": false, "measured": false, "detail": "never reached"}]);
        report["environment"] = json!({"processors": 2, "host": {
            "before": {"too_busy": true, "load": {"load_1m": 9.31}}, "at_fault": {"load_1m": 10.0}, "at_end": {"load_1m": null}}});
        let text = told(&report);
        assert!(
            text.contains("  missing   RTO: too few probes: 24 of `content of sampled rows`, and 25 are needed"),
            "{text}"
        );
        assert!(
            text.contains("too busy for the probes: load 9.3 on 2 processors before, 10.0 at the fault, ? at the end"),
            "{text}"
        );
        assert!(text.contains("no-op-restore shows nothing: never reached"), "{text}");
    }

    #[test]
    fn what_was_not_measured_has_no_number() {
        let check = |value: Value, expected: &str| assert_eq!(interval(Some(&value)), expected, "{value}");
        check(json!({"low": 3.0, "high": null}), "> 3.0s");
        check(json!(null), "unmeasured");
        check(json!({"low": 0, "high": 0}), "0ms");
    }
}
