//! The examples of the language reference are runbooks and bindings that the checker accepts.

use std::fs;

use assert_cmd::Command;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runbook.md");

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

#[test]
fn the_shipped_runbooks_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let workflows = concat!(env!("CARGO_MANIFEST_DIR"), "/../../workflows");
    let files = fs::read_dir(workflows).unwrap().map(|entry| entry.unwrap().path());
    let runbooks: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect();
    assert!(!runbooks.is_empty());
    let output = Command::new(env!("CARGO_BIN_EXE_lifeboat"))
        .arg("check")
        .args(runbooks)
        .env("LIFEBOAT_HOME", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
