//! Rules about the source itself: sizes, pages for codes, nothing of one machine.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use lifeboat_tests::{
    repository,
    source::{read, tracked},
};

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

/// What stands between files and a session is in `engine/launch`: a front end that did it once more would do it differently one day.
#[test]
fn files_become_a_run_in_one_place() {
    // What only that place writes, and where it comes from. Written in pieces so that this file does not find itself.
    let marks: [(&str, &[&str]); 3] = [
        (concat!("HostOptions", " {"), &["engine/host/"]),
        (concat!("fit::", "leases("), &["engine/core/"]),
        // A store keeps what a run was made from.
        (concat!("runbook_", "source:"), &["engine/runtime/", "simulator/virtual/src/memory.rs"]),
    ];
    for (mark, origins) in marks {
        let is_origin = |file: &PathBuf| origins.iter().any(|origin| file.starts_with(origin));
        let holding = tracked(".rs").into_iter().filter(|file| !is_origin(file) && read(file).contains(mark));
        let places: BTreeSet<_> = holding.filter_map(|file| file.parent().map(PathBuf::from)).collect();
        assert_eq!(places, BTreeSet::from([PathBuf::from("engine/launch/src")]), "`{mark}` is written once");
    }
}

/// Who needs a plan for a test sketches it: a new field of a plan is filled in where plans are made, and nowhere else.
#[test]
fn plans_and_starts_are_put_together_in_few_places() {
    const SKETCH: &str = "engine/core/src/sketch.rs";
    // Written in pieces so that this file does not find itself.
    let marks: [(&str, &[&str]); 3] = [
        (concat!("Runbook", "Ref {"), &["engine/core/src/plan.rs", "engine/core/src/runbook/lower.rs", SKETCH]),
        (concat!("time_", "limit: None,"), &["engine/cli/src/stepwise.rs", SKETCH]),
        (
            concat!("plan_", "digest: "),
            &[
                "engine/core/src/event.rs",
                SKETCH,
                "engine/present/src/run.rs",
                "engine/runtime/src/session.rs",
                "engine/runtime/tests/runtime/golden.rs",
                "simulator/virtual/src/subject.rs",
            ],
        ),
    ];
    for (mark, places) in marks {
        let mut found: Vec<_> = tracked(".rs").into_iter().filter(|file| read(file).contains(mark)).collect();
        found.sort();
        assert_eq!(found, places.iter().map(PathBuf::from).collect::<Vec<_>>(), "`{mark}` is written in these files");
    }
}

/// The engine and the testbeds run programs in a place by the same crate: a second way would end or step down differently.
#[test]
fn programs_are_run_in_a_place_by_one_crate() {
    // Written in pieces so that this file does not find itself.
    let marks =
        [concat!("kill_process_", "group(group"), concat!("\"ex", "ec\", \"-i\""), concat!("Batch", "Mode=yes")];
    let sources = tracked(".rs");
    let code = |file: &PathBuf| read(file).split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    for mark in marks {
        let found: Vec<_> = sources.iter().filter(|file| code(file).contains(mark)).collect();
        assert!(!found.is_empty(), "`{mark}` is looked for, and nothing has it");
        let others: Vec<_> = found.into_iter().filter(|file| !file.starts_with("engine/programs/src")).collect();
        assert!(others.is_empty(), "`{mark}` belongs in `engine/programs`: {others:?}");
    }
}

/// What a drill measures are records, wherever they are kept: a store that is added changes nothing here.
#[test]
fn what_is_measured_knows_no_store() {
    let rooms = ["clock.rs", "ledger/", "measurement/", "model/", "probes/", "workload/"]
        .map(|room| format!("simulator/src/{room}"));
    let store = concat!("post", "gres");
    let is_inside = |file: &PathBuf| rooms.iter().any(|room| file.starts_with(room.trim_end_matches('/')));
    let found: Vec<_> =
        tracked(".rs").into_iter().filter(|file| is_inside(file) && read(file).contains(store)).collect();
    assert!(found.is_empty(), "a store is known in `simulator/src/store` and where one is chosen: {found:#?}");
}

/// A disaster on systems that exist costs its file and a line of the table beside it; the drill and the runbook are data.
#[test]
fn a_fault_is_a_file_and_a_line_of_a_table() {
    let home = "simulator/src/fault";
    let table = read(Path::new(home).join("mod.rs").as_path());
    let parts = ["mod.rs", "fault.rs", "error.rs", "mistake.rs", "way.rs"].map(|part| Path::new(home).join(part));
    let sources = tracked(".rs");
    let faults: Vec<_> = sources.iter().filter(|file| file.starts_with(home) && !parts.contains(file)).collect();
    assert!(!faults.is_empty(), "there are faults");
    for fault in faults {
        let (text, module) = (read(fault), fault.file_stem().unwrap_or_default().to_string_lossy());
        let name = text.split("    name: ").nth(1).and_then(|rest| rest.split(',').next()).expect("a fault has a name");
        assert!(table.contains(&format!("{module}::KIND")), "{} is in no table", fault.display());
        let knows = |file: &&PathBuf| file.starts_with("simulator/src") && *file != fault;
        let code = |file: &PathBuf| read(file).split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        let others: Vec<_> = sources.iter().filter(knows).filter(|file| code(file).contains(name)).collect();
        assert!(others.is_empty(), "{name} is known in {others:?} too");
        let drills = read(Path::new("docs/drills.md"));
        assert!(drills.contains(name.trim_matches('"')), "docs/drills.md does not say what {name} does");
    }
}

/// What can stand in a testbed is a file and a line of the table beside it; where it stands is data.
#[test]
fn a_system_is_a_file_and_a_line_of_a_table() {
    let home = "simulator/src/testbed/system";
    let table = read(Path::new(home).join("mod.rs").as_path());
    let sources = tracked(".rs");
    let line = "pub(super) const KIND: SystemKind = ";
    let systems: Vec<_> =
        sources.iter().filter(|file| file.starts_with("simulator/src") && read(file).contains(line)).collect();
    assert!(systems.len() > 4, "there are systems: {systems:?}");
    let mut names = Vec::new();
    for system in systems {
        let (text, module) = (read(system), system.file_stem().unwrap_or_default().to_string_lossy());
        let name = text.split("    name: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("it has a name");
        assert!(
            system.starts_with(home) && table.contains(&format!("{module}::KIND")),
            "{} is in no table",
            system.display()
        );
        let drills = read(Path::new("docs/drills.md"));
        assert!(drills.contains(&format!("kind: {name}")), "docs/drills.md does not say what {name} is");
        names.push(format!("\"{name}\""));
    }
    let wires = |file: &&PathBuf| file.starts_with("simulator/src/drill") && !file.ends_with("tests.rs");
    let code = |file: &PathBuf| read(file).split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let names_one = |file: &&PathBuf| names.iter().any(|name| code(file).contains(name));
    let naming: Vec<_> = sources.iter().filter(wires).filter(names_one).collect();
    assert!(naming.is_empty(), "a drill names no kind of system: {naming:?}");
}

#[test]
fn nothing_is_of_one_machine() {
    // Where people keep their things. Written in pieces so that this file does not find itself.
    let mut places =
        vec![concat!("/ho", "me/").to_owned(), concat!("/ro", "ot/").to_owned(), concat!("/Us", "ers/").to_owned()];
    // And where this checkout lies, if that could not be a path of an example.
    places
        .extend(repository().canonicalize().ok().map(|path| path.display().to_string()).filter(|path| path.len() > 6));
    let mut found = Vec::new();
    for file in tracked("") {
        let Ok(text) = fs::read_to_string(repository().join(&file)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            if places.iter().any(|place| begins_with(line, place)) {
                found.push(format!("{}:{number}: {line}", file.display()));
            }
        }
    }
    assert!(found.is_empty(), "these paths are there on one machine only: {found:#?}");
}

/// Whether a path in the line begins so: `$temporary/root` does not.
fn begins_with(line: &str, place: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "/._-}".contains(c);
    line.match_indices(place).any(|(at, _)| !line[..at].ends_with(goes_on))
}

#[test]
fn a_path_is_looked_for_at_its_beginning() {
    let place = concat!("/ho", "me/");
    for line in ["x: /ho{}me/ada/x", "\"/ho{}me/ada\"", "file:/ho{}me/ada/key", "(/ho{}me/", "/ho{}me/ada"] {
        assert!(begins_with(&line.replace("{}", ""), place), "{line}");
    }
    for line in ["$root/ho{}me/ada", "/srv/ho{}me/ada", "${root}/ho{}me/ada", "/ho{}me-made/x"] {
        assert!(!begins_with(&line.replace("{}", ""), place), "{line}");
    }
}

/// Texts that look like one of our codes: a known prefix, then lowercase words. What stands between two strings is looked at too:
/// which quote opens one is not always easy to tell (`'"'`), and nothing there looks like a code.
fn codes(text: &str) -> Vec<String> {
    const PREFIXES: [&str; 14] = [
        "log-",
        "operator-",
        "pg-",
        "copy-",
        "machine-",
        "host-",
        "run-",
        "drill-",
        "http-",
        "plugin-",
        "test-",
        "path-",
        "endpoint-",
        "notify-",
    ];
    text.split('"')
        .filter(|word| PREFIXES.iter().any(|prefix| word.starts_with(prefix)))
        .filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        .filter(|word| !word.ends_with('-'))
        .map(str::to_owned)
        .collect()
}

/// Names of crates, of faults of the virtual world and the like that look like codes and are none.
const NOT_CODES: [&str; 13] = [
    "copy-removed",
    "host-crash",
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

/// Every code in what is shipped, with the file.
fn shipped_codes() -> Vec<(String, PathBuf)> {
    let shipped =
        |file: &PathBuf| !file.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches");
    let mut found = Vec::new();
    for file in tracked(".rs").into_iter().filter(shipped) {
        let text = read(&file);
        let (code, _tests) = text.split_once("#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
        let codes = codes(code).into_iter().filter(|code| !NOT_CODES.contains(&code.as_str()));
        found.extend(codes.map(|code| (code, file.clone())));
    }
    assert!(found.len() > 20, "only {} codes found: this test looks in the wrong place", found.len());
    found
}

#[test]
fn every_code_has_its_page() {
    let has_page = |code: &str| repository().join("docs/errors").join(format!("{code}.md")).exists();
    let missing: BTreeSet<_> = shipped_codes()
        .into_iter()
        .filter(|(code, _)| !has_page(code))
        .map(|(code, file)| format!("{code} ({})", file.display()))
        .collect();
    assert!(missing.is_empty(), "codes without a page in docs/errors: {missing:#?}");
}

/// A page about something that cannot happen any more misleads who reads the list. Those of the language are held by the core.
#[test]
fn every_page_has_its_code() {
    let codes: BTreeSet<String> = shipped_codes().into_iter().map(|(code, _)| code).collect();
    let left: Vec<_> = tracked(".md")
        .into_iter()
        .filter(|file| file.starts_with("docs/errors"))
        .filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()))
        .filter(|page| page != "README" && !page.starts_with("LB") && !codes.contains(page))
        .collect();
    assert!(left.is_empty(), "pages in docs/errors whose code is nowhere: {left:#?}");
}

/// The capabilities by their WIT packages. Types that all of them share are no capability.
fn capabilities() -> BTreeSet<String> {
    let folders = fs::read_dir(repository().join("wit/deps")).expect("the WIT packages are there");
    let names = folders.filter_map(|folder| folder.ok()?.file_name().into_string().ok());
    names.filter_map(|name| Some(name.split_once('@')?.0.to_owned())).filter(|name| name != "plugin").collect()
}

#[test]
fn the_world_and_both_tables_have_every_capability() {
    let check = |file: &str, entry: fn(&str) -> String| {
        let text = read(&PathBuf::from(file));
        let missing: Vec<_> = capabilities().into_iter().filter(|name| !text.contains(&entry(name))).collect();
        assert!(missing.is_empty(), "{file} does not have {missing:?}");
    };
    check("wit/world.wit", |name| format!("import lifeboat:{name}/{name}@"));
    check("engine/host/src/capability/mod.rs", |name| format!("{name}: \"lifeboat:{name}/{name}@"));
    check("plugins/sdk/src/capability/mod.rs", |name| format!("\n            {name}: "));
}

/// What a sixth capability costs stays small as long as nothing else of the host and the SDK knows the five by name.
#[test]
fn a_capability_is_named_in_its_rooms_and_the_tables_alone() {
    // The last words of a plugin that panics go to the log of its run.
    const LAST_WORDS: (&str, &str) = ("plugins/sdk/src/guest.rs", "runtime");
    let mut found = Vec::new();
    for file in tracked(".rs") {
        let Some(file) = file
            .to_str()
            .filter(|file| ["engine/host/src/", "plugins/sdk/src/"].iter().any(|room| file.starts_with(room)))
        else {
            continue;
        };
        let text = read(&PathBuf::from(file));
        for name in capabilities() {
            let own =
                [format!("/capability/{name}.rs"), format!("/capability/{name}/"), "/capability/mod.rs".to_owned()];
            if own.iter().any(|room| file.contains(room)) || (file, name.as_str()) == LAST_WORDS {
                continue;
            }
            let ways =
                ["lifeboat:{}/", "lifeboat::{}::", "capability::{}", "own.{}", "sessions.{}", "self.{}.", "mod {};"];
            let named = ways.iter().map(|way| way.replace("{}", &name)).filter(|way| text.contains(way.as_str()));
            found.extend(named.map(|way| format!("{file}: `{way}`")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
