//! Runbooks with one flaw each: `lifeboat test` finds that one and no other, tells it as a story, and finds nothing where it is mended.
#![expect(clippy::unwrap_used, reason = "a test whose files or output are not there has failed")]

use std::{fs, path::Path, process::Command};

use lifeboat_tests::{lifeboat, repository};
use serde_json::Value;
use tempfile::TempDir;

/// A runbook with a flaw.
struct Flawed {
    /// Its file, without the ending. Its bindings lie beside it where it has some.
    name: &'static str,
    /// The codes that are found, with the step.
    found: &'static [&'static str],
    /// The file, or its bindings, without the flaw.
    mend: fn(&str) -> String,
}

const FLAWED: [Flawed; 6] = [
    Flawed {
        name: "undo-not-repeatable",
        // Where the engine dies in the undo, the run comes to another end.
        found: &["test-same-end", "path-undo-fails reload"],
        mend: |text| text.replace("on_failure: undo", "on_failure: stop").replace(UNDO, ""),
    },
    Flawed {
        name: "missing-verification",
        found: &["path-unverified merge"],
        mend: |text| text.replace("  - id: clean_up\n", &format!("{VERIFY}  - id: clean_up\n")),
    },
    Flawed {
        name: "time-out-too-short",
        found: &["path-time-too-short backup"],
        mend: |text| text.replace("step: 30m", "step: 65m"),
    },
    Flawed {
        name: "approval-too-late",
        found: &["path-approval-late sign_off"],
        mend: |text| text.replace(APPROVAL, "").replace("  - id: copy\n", &format!("{APPROVAL}  - id: copy\n")),
    },
    Flawed { name: "notify-lost", found: &["path-failure-untold copy"], mend: |text| format!("{text}{HANDLER}") },
    Flawed {
        name: "identity-unproved",
        found: &["path-identity-unproved restore", "path-identity-unproved clean_up"],
        mend: |bindings| bindings.replace("    ports:", "    identity: recovery1\n    ports:"),
    },
];

const UNDO: &str = "    undo:
      uses: pg/merge-missing
      with:
        server: primary
        machine: recovery
        instance: \"${{ steps.restore.outputs.instance }}\"
        set_file: \"${{ steps.find.outputs.set_file }}\"
        set_digest: \"${{ steps.find.outputs.set_digest }}\"
";

const VERIFY: &str = "  - id: verify
    uses: pg/compare
    with:
      server: primary
      machine: recovery
      instance: \"${{ steps.restore.outputs.instance }}\"
      set_file: \"${{ steps.find.outputs.set_file }}\"
      set_digest: \"${{ steps.find.outputs.set_digest }}\"
    timeout: 10m
";

const APPROVAL: &str = "  - id: sign_off
    title: Ask whether the reports may be interrupted
    approve:
      by: [dba]
      message: The reports will be gone for up to an hour. Replace their copy?
    timeout: 30m
";

const HANDLER: &str = "
on_failure:
  - id: page
    uses: notify/send
    with: { channel: oncall, message: \"${{ run.failed_step }} failed: ${{ run.failure }}\" }
";

/// A folder with the runbook and its bindings, as they are or mended, and what `lifeboat test` says of it.
struct Test {
    folder: TempDir,
    arguments: Vec<String>,
}

impl Test {
    fn new(flawed: &Flawed, mended: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (runbook, bindings) = (format!("{}.yaml", flawed.name), format!("{}.bindings.yaml", flawed.name));
        let beside = |name: &str| repository().join("tests/flawed").join(name);
        // What has bindings has its flaw there.
        let in_bindings = beside(&bindings).exists();
        let mut arguments = vec!["test".to_owned(), runbook.clone()];
        let names = [Some(runbook), in_bindings.then(|| bindings.clone())];
        for (name, has_flaw) in names.into_iter().flatten().zip([!in_bindings, true]) {
            let text = fs::read_to_string(beside(&name)).unwrap();
            let sound = if has_flaw { (flawed.mend)(&text) } else { text.clone() };
            assert_eq!(sound != text, has_flaw, "{name} is mended");
            fs::write(folder.path().join(&name), if mended { sound } else { text }).unwrap();
        }
        if in_bindings {
            arguments.extend(["--bindings".to_owned(), bindings]);
        }
        Self { folder, arguments }
    }

    /// The exit code, and what was printed.
    fn run(&self, more: &[&str]) -> (Option<i32>, String, String) {
        // The plugins are compiled once for all tests.
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("flawed-home");
        let output = Command::new(lifeboat())
            .args(&self.arguments)
            .args(more)
            .current_dir(self.folder.path())
            .env("LIFEBOAT_HOME", home)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// The codes that are found.
    fn codes(&self) -> Vec<String> {
        let (_, document, errors) = self.run(&["--format", "json"]);
        let document: Value = serde_json::from_str(&document).unwrap_or_else(|_| panic!("{errors}"));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let file = &document["files"][0];
        let broken = file["broken"].as_array().unwrap().iter().map(|broken| text(&broken["code"]));
        let lints = file["lints"].as_array().unwrap();
        let flawed = lints.iter().map(|lint| format!("{} {}", text(&lint["code"]), text(&lint["step"])));
        broken.chain(flawed).collect()
    }
}

#[test]
fn each_flaw_is_told_as_a_story() {
    for flawed in &FLAWED {
        let (code, shown, hints) = Test::new(flawed, false).run(&[]);
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.add_filter(r"cases in \d\S*( \d\S*)*", "cases in LENGTH");
        // How many cases took a path is the coverage's business; that none did is of interest.
        settings.add_filter(r"\b[1-9]\d* {2,}", "N ");
        settings.add_filter(r"(?m) [1-9]\d*$", " N");
        let code = code.unwrap();
        settings.bind(|| insta::assert_snapshot!(flawed.name, format!("exit code {code}\n{shown}----\n{hints}")));
    }
}

#[test]
fn each_flaw_is_found_and_no_other() {
    for flawed in &FLAWED {
        assert_eq!(Test::new(flawed, false).codes(), flawed.found, "{}", flawed.name);
    }
}

#[test]
fn nothing_is_found_where_the_flaw_is_mended() {
    for flawed in &FLAWED {
        let (code, shown, errors) = Test::new(flawed, true).run(&["--strict"]);
        assert_eq!(code, Some(0), "{}: {shown}{errors}", flawed.name);
        assert!(shown.contains("ok every invariant held") && !shown.contains("warning"), "{}: {shown}", flawed.name);
    }
}

#[test]
fn a_flaw_is_an_error_where_that_is_asked() {
    let test = Test::new(&FLAWED[2], false);
    let (lenient, _, _) = test.run(&[]);
    let (strict, shown, _) = test.run(&["--strict"]);
    assert_eq!((lenient, strict), (Some(0), Some(1)), "{shown}");
    assert!(shown.contains("failed every invariant held, 1 warning"), "{shown}");
    let junit = |more: &[&str]| test.run(&[&["--format", "junit"], more].concat()).1;
    let (passed, failed) = (junit(&[]), junit(&["--strict"]));
    let case = "<testcase classname=\"DR-033\" name=\"path-time-too-short\">";
    assert!(passed.contains("failures=\"0\"") && passed.contains(&format!("{case}<system-out>warning: ")), "{passed}");
    assert!(failed.contains("failures=\"1\"") && failed.contains(&format!("{case}<failure message=")), "{failed}");
}

#[test]
fn the_case_of_a_flaw_shows_it_again() {
    let test = Test::new(&FLAWED[5], false);
    let (_, shown, _) = test.run(&[]);
    let again = shown.lines().find_map(|line| line.trim().strip_prefix("again: lifeboat test ")).unwrap();
    let (command, case) = again.split_once(" --case ").unwrap();
    assert_eq!(command, "identity-unproved.yaml --bindings identity-unproved.bindings.yaml");
    let (_, replayed, _) = test.run(&["--case", case.trim_matches('\'')]);
    assert!(replayed.contains("warning[path-identity-unproved]"), "{replayed}");
}
