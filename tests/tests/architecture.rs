//! The rules of `docs/architecture.md` that a machine can hold: which crate may know which.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use lifeboat_core::types::TargetKind;
use lifeboat_tests::stand::files_below;

/// Each crate of the workspace with the ones that it may depend on (not counting tests).
const ALLOWED: &[(&str, &[&str])] = &[
    ("lifeboat-core", &[]),
    ("lifeboat-present", &["lifeboat-core"]),
    ("lifeboat-programs", &["lifeboat-core"]),
    ("lifeboat-runtime", &["lifeboat-core"]),
    ("lifeboat-host", &["lifeboat-core", "lifeboat-programs", "lifeboat-runtime"]),
    ("lifeboat-bundle", &[]),
    ("lifeboat-launch", &["lifeboat-core", "lifeboat-runtime", "lifeboat-host", "lifeboat-bundle"]),
    (
        "lifeboat-simulator",
        &[
            "lifeboat-core",
            "lifeboat-present",
            "lifeboat-programs",
            "lifeboat-runtime",
            "lifeboat-host",
            "lifeboat-launch",
        ],
    ),
    ("lifeboat-virtual", &["lifeboat-core", "lifeboat-runtime"]),
    (
        "lifeboat",
        &[
            "lifeboat-core",
            "lifeboat-present",
            "lifeboat-runtime",
            "lifeboat-host",
            "lifeboat-launch",
            "lifeboat-simulator",
            "lifeboat-virtual",
        ],
    ),
    ("lifeboat-plugin", &[]),
    ("plugin-pg", &["lifeboat-plugin"]),
    ("plugin-endpoint", &["lifeboat-plugin"]),
    ("plugin-notify", &["lifeboat-plugin"]),
    ("plugin-hostile", &["lifeboat-plugin"]),
    (
        "lifeboat-tests",
        &[
            "lifeboat-core",
            "lifeboat-runtime",
            "lifeboat-host",
            "lifeboat-launch",
            "lifeboat-simulator",
            "lifeboat-virtual",
        ],
    ),
];

/// Libraries that the virtual world reaches over no path: `lifeboat test` needs no server, no container and no plugin.
const HEAVY: [&str; 7] = ["tokio-postgres", "hyper", "reqwest", "axum", "testcontainers", "bollard", "wasmtime"];

/// Libraries that only one crate may know, because it is what that crate is for.
const CONFINED: &[(&str, &[&str])] = &[
    ("wasmtime", &["lifeboat-host"]),
    ("tokio-postgres", &["lifeboat-host", "lifeboat-simulator", "lifeboat-tests"]),
    ("testcontainers", &["lifeboat-simulator"]),
    ("cel", &["lifeboat-core"]),
    ("petgraph", &["lifeboat-core"]),
    ("serde-saphyr", &["lifeboat-core", "lifeboat-tests"]),
    ("anstream", &["lifeboat"]),
    ("anstyle", &["lifeboat"]),
    ("clap", &["lifeboat"]),
    ("indicatif", &["lifeboat"]),
    ("tracing", &["lifeboat-runtime", "lifeboat-host"]),
    ("tracing-subscriber", &["lifeboat"]),
];

fn packages() -> BTreeMap<String, Package> {
    MetadataCommand::new()
        .current_dir(lifeboat_tests::repository())
        .no_deps()
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .expect("cargo metadata runs")
        .packages
        .into_iter()
        .map(|package| (package.name.to_string(), package))
        .collect()
}

fn normal_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    package.dependencies.iter().filter(|d| d.kind != DependencyKind::Development).map(|d| d.name.as_str())
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    let unlisted: Vec<_> = packages.keys().filter(|name| !ALLOWED.iter().any(|(known, _)| known == name)).collect();
    assert!(unlisted.is_empty(), "new crates need a line in this test and in docs/architecture.md: {unlisted:?}");
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        let allowed = ALLOWED.iter().find(|(known, _)| known == name).map(|(_, allowed)| *allowed).unwrap_or_default();
        wrong.extend(
            normal_dependencies(package)
                .filter(|dependency| packages.contains_key(*dependency) && !allowed.contains(dependency))
                .map(|dependency| format!("{name} → {dependency}")),
        );
    }
    assert!(wrong.is_empty(), "edges that docs/architecture.md does not allow: {wrong:?}");
}

#[test]
fn each_heavy_library_has_one_home() {
    let mut wrong = Vec::new();
    for (name, package) in packages() {
        for (library, homes) in CONFINED {
            if normal_dependencies(&package).any(|d| d == *library) && !homes.contains(&name.as_str()) {
                wrong.push(format!("{name} → {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "libraries outside of their home: {wrong:?}");
}

/// Every package with all that it is built with on this machine.
fn resolved() -> Metadata {
    let options = ["--locked", "--filter-platform", "host-tuple"].map(str::to_owned);
    MetadataCommand::new()
        .current_dir(lifeboat_tests::repository())
        .other_options(options)
        .exec()
        .expect("cargo metadata runs")
}

/// The names of all packages that are built for that one, over any number of edges; what only tests need is left out.
fn built_for(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().expect("the dependencies are resolved").nodes;
    let package = metadata.packages.iter().find(|package| package.name.as_str() == name).expect("a package");
    let (mut waiting, mut reached) = (vec![&package.id], BTreeSet::new());
    while let Some(id) = waiting.pop() {
        if reached.insert(id) {
            let node = nodes.iter().find(|node| node.id == *id).expect("a resolved package");
            let is_built = |kind: &cargo_metadata::DepKindInfo| kind.kind != DependencyKind::Development;
            waiting.extend(node.deps.iter().filter(|dep| dep.dep_kinds.iter().any(is_built)).map(|dep| &dep.pkg));
        }
    }
    reached.into_iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn the_virtual_world_stays_light() {
    let metadata = resolved();
    let heavy = |name: &str| -> Vec<&str> {
        let built = built_for(&metadata, name);
        HEAVY.into_iter().filter(|library| built.contains(*library)).collect()
    };
    assert_eq!(heavy("lifeboat-virtual"), [""; 0], "`lifeboat test` needs none of these");
    assert_eq!(heavy("lifeboat-simulator"), HEAVY, "a name that nothing is built with any more forbids nothing");
}

#[test]
fn the_core_stays_pure() {
    let core = &packages()["lifeboat-core"];
    let impure = ["tokio", "futures", "rand", "reqwest", "uuid", "tempfile"];
    let found: Vec<_> = normal_dependencies(core).filter(|d| impure.contains(d)).collect();
    assert!(found.is_empty(), "core does no I/O, reads no clock and draws no random number: {found:?}");
}

#[test]
fn what_is_shown_is_pure_too() {
    let present = &packages()["lifeboat-present"];
    // `schemars` derives the schema of a document from its type.
    let known = ["lifeboat-core", "jiff", "schemars", "serde", "serde_json"];
    let found: Vec<_> = normal_dependencies(present).filter(|d| !known.contains(d)).collect();
    assert!(found.is_empty(), "whoever shows a run brings its own terminal, clock and disk: {found:?}");
}

/// A kind of target is a file and a line of the table beside it. Whoever asks for one kind or two may do so, and finds that a
/// target is of another; what is done for each kind belongs into the files of the kinds, so that none is forgotten for the next.
#[test]
fn no_file_goes_over_the_kinds_of_target_but_their_table() {
    let repository = lifeboat_tests::repository();
    let home = repository.join("engine/core/src/bindings/kind");
    let names: Vec<[String; 3]> = TargetKind::ALL
        .iter()
        .map(|kind| [format!("TargetKind::{kind:?}"), format!("System::{kind:?}"), format!("{:?}", kind.as_str())])
        .collect();
    let mut wrong = Vec::new();
    for file in ["engine", "plugins", "simulator"].map(|folder| sources(&repository.join(folder))).concat() {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let matched = names.iter().filter(|[kind, system, _]| code.contains(kind) || code.contains(system)).count();
        let listed = names.iter().filter(|names| names.iter().any(|name| code.contains(name))).count();
        let most = if file.starts_with(repository.join("engine/core")) { 0 } else { 2 };
        if !file.starts_with(&home) && (matched > most || listed == names.len()) {
            wrong.push(file.strip_prefix(repository).unwrap_or(&file).display().to_string());
        }
    }
    assert!(wrong.is_empty(), "what is done for each kind stands in {}, not in {wrong:?}", home.display());
    let files: Vec<_> = TargetKind::ALL.iter().map(|kind| home.join(format!("{kind}.rs"))).collect();
    assert!(files.iter().all(|file| file.is_file()), "each kind has its file: {files:?}");
}

/// The source files below a folder, without tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let is_test = |path: &Path| path.components().any(|part| part.as_os_str() == "tests") || path.ends_with("tests.rs");
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs") && !is_test(path);
    files_below(folder).into_iter().filter(is_source).collect()
}
