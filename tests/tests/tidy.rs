//! Rules about the source itself: sizes, pages for codes, nothing of one machine.

use std::{fs, path::PathBuf, process::Command};

use lifeboat_tests::repository;

/// Files that git knows of, with this ending.
fn tracked(ending: &str) -> Vec<PathBuf> {
    let output = Command::new("git").arg("ls-files").current_dir(repository()).output().expect("git runs");
    assert!(output.status.success(), "git ls-files failed");
    let listing = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<_> = listing.lines().filter(|l| l.ends_with(ending)).map(PathBuf::from).collect();
    assert!(!files.is_empty(), "no {ending} files: this test looks in the wrong place");
    files.into_iter().filter(|file| repository().join(file).exists()).collect()
}

fn read(file: &PathBuf) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn no_room_is_too_large() {
    let large: Vec<_> = tracked(".rs")
        .into_iter()
        .map(|file| (read(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .collect();
    assert!(large.is_empty(), "files over 500 lines hold two rooms: {large:#?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Written in pieces so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimpl", "emented!(")];
    let ignored = concat!("#[ig", "nore");
    let mut found = Vec::new();
    for file in tracked(".rs") {
        let text = read(&file);
        for mark in marks.iter().chain([&ignored]) {
            if text.contains(mark) {
                found.push(format!("{}: {mark}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn lints_are_expected_with_a_reason_and_never_allowed() {
    let mark = concat!("#[al", "low(");
    let inner = concat!("#![al", "low(");
    let found: Vec<_> = tracked(".rs")
        .into_iter()
        .filter(|file| {
            let text = read(file);
            text.contains(mark) || text.contains(inner)
        })
        .collect();
    assert!(found.is_empty(), "use #[expect(…, reason = \"…\")]: {found:#?}");
}

/// Texts that look like one of our codes: a known prefix, then lowercase words.
fn codes(text: &str) -> Vec<String> {
    const PREFIXES: [&str; 10] =
        ["operator-", "pg-", "machine-", "host-", "run-", "drill-", "http-", "plugin-", "test-", "path-"];
    text.split('"')
        .skip(1)
        .step_by(2)
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        .filter(|word| !word.ends_with('-'))
        .map(str::to_owned)
        .collect()
}

/// Names of crates, of faults of the virtual world and the like that look like codes and are none.
const NOT_CODES: [&str; 11] = [
    "plugin-pg",
    "plugin-notify",
    "plugin-hostile",
    "host-",
    "run-id",
    "run-program",
    "operator-pauses",
    "operator-skips",
    "operator-resolves",
    "operator-retries",
    "operator-undoes",
];

#[test]
fn every_code_has_its_page() {
    let mut missing = Vec::new();
    let mut seen = 0;
    let shipped =
        |file: &PathBuf| !file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches");
    for file in tracked(".rs").into_iter().filter(shipped) {
        let text = read(&file);
        let (code, _tests) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
        for code in codes(code).into_iter().filter(|code| !NOT_CODES.contains(&code.as_str())) {
            seen += 1;
            if !repository().join("docs/errors").join(format!("{code}.md")).exists() {
                missing.push(format!("{code} ({})", file.display()));
            }
        }
    }
    missing.sort();
    missing.dedup();
    assert!(seen > 20, "only {seen} codes found: this test looks in the wrong place");
    assert!(missing.is_empty(), "codes without a page in docs/errors: {missing:#?}");
}
