//! The examples of the references are runbooks, bindings and drills that the checker accepts, and so are the shipped files. Prometheus
//! accepts what is shipped for it.

use std::{fs, path::PathBuf};

use assert_cmd::Command;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbook.md");
const DRILLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/drills.md");
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operating/prometheus");
const WORKFLOWS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows");

#[test]
fn every_example_of_the_reference_is_right() {
    let page = fs::read_to_string(PAGE).unwrap();
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let head = examples[0].split("steps:\n").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command.arg("check").env("LIFEBOAT_HOME", folder.path().join("home"));
    for (number, example) in examples.iter().enumerate() {
        let whole = if example.starts_with("steps:") { format!("{head}{example}") } else { (*example).to_owned() };
        // A runbook is called by its id, so that one example can call another.
        let id = example.lines().find_map(|line| line.strip_prefix("id: "));
        let name = id.map_or_else(|| format!("example-{number}"), str::to_lowercase);
        let path = folder.path().join(format!("{name}.yaml"));
        fs::write(&path, whole).unwrap();
        command.arg(path);
    }
    assert!(examples.len() >= 5, "the page has lost its examples");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A drill names its runbook relative to its own folder, as the shipped ones do.
#[test]
fn every_drill_of_the_reference_is_right() {
    let page = fs::read_to_string(DRILLS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for runbook in files_in(WORKFLOWS) {
        fs::copy(&runbook, folder.path().join(runbook.file_name().unwrap())).unwrap();
    }
    let drills = folder.path().join("drills");
    fs::create_dir(&drills).unwrap();
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty(), "the page has lost its example");
    for (number, example) in examples.iter().enumerate() {
        let path = drills.join(format!("example-{number}.yaml"));
        fs::write(&path, example).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
        let output = command.arg("check").arg(path).env("LIFEBOAT_HOME", folder.path().join("home")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The metrics and the alerts as Prometheus itself reads them, where its tool is installed. What they must be is also held by the strict
/// reader in `lifeboat-present`, everywhere.
#[test]
fn prometheus_accepts_metrics_and_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    let metrics = command.arg("metrics").env("LIFEBOAT_HOME", folder.path()).output().unwrap();
    let text = String::from_utf8(metrics.stdout).unwrap();
    assert!(metrics.status.success() && text.starts_with("# HELP ") && text.ends_with('\n'), "{text}");
    let promtool = |arguments: &[&str], input: &str| {
        let mut command = Command::new("promtool");
        let output = command.args(arguments).current_dir(RULES).write_stdin(input).output();
        if let Ok(output) = output {
            let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            assert!(output.status.success(), "promtool {arguments:?}: {said:?}");
        } else {
            println!("promtool is not installed: {arguments:?} was left out");
        }
    };
    promtool(&["check", "metrics"], &text);
    promtool(&["check", "rules", "rules.yml"], "");
    promtool(&["test", "rules", "rules.test.yml"], "");
}

/// The YAML files of a folder.
fn files_in(folder: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn the_shipped_runbooks_and_drills_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let (runbooks, drills) = (files_in(WORKFLOWS), files_in(&format!("{WORKFLOWS}/drills")));
    assert!(!runbooks.is_empty() && !drills.is_empty());
    let output = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .arg("check")
        .args(runbooks)
        .args(drills)
        .env("LIFEBOAT_HOME", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
