//! The rules of `docs/architecture.md` that a machine can hold: which crate may know which.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Each crate of the workspace with the ones that it may depend on (not counting tests).
const ALLOWED: &[(&str, &[&str])] = &[
    ("lifeboat-core", &[]),
    ("lifeboat-runtime", &["lifeboat-core"]),
    ("lifeboat-host", &["lifeboat-core", "lifeboat-runtime"]),
    ("lifeboat-bundle", &[]),
    ("lifeboat-simulator", &["lifeboat-core", "lifeboat-runtime", "lifeboat-host", "lifeboat-bundle"]),
    ("lifeboat", &["lifeboat-core", "lifeboat-runtime", "lifeboat-host", "lifeboat-bundle", "lifeboat-simulator"]),
    ("lifeboat-plugin", &[]),
    ("plugin-pg", &["lifeboat-plugin"]),
    ("plugin-notify", &["lifeboat-plugin"]),
    ("plugin-hostile", &["lifeboat-plugin"]),
    (
        "lifeboat-tests",
        &["lifeboat-core", "lifeboat-runtime", "lifeboat-host", "lifeboat-bundle", "lifeboat-simulator"],
    ),
];

/// Libraries that only one crate may know, because it is what that crate is for.
const CONFINED: &[(&str, &[&str])] = &[
    ("wasmtime", &["lifeboat-host"]),
    ("tokio-postgres", &["lifeboat-host", "lifeboat-simulator", "lifeboat-tests"]),
    ("testcontainers", &["lifeboat-simulator"]),
    ("cel", &["lifeboat-core"]),
    ("serde-saphyr", &["lifeboat-core"]),
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

#[test]
fn the_core_stays_pure() {
    let core = &packages()["lifeboat-core"];
    let impure = ["tokio", "futures", "rand", "reqwest", "uuid", "tempfile"];
    let found: Vec<_> = normal_dependencies(core).filter(|d| impure.contains(d)).collect();
    assert!(found.is_empty(), "core does no I/O, reads no clock and draws no random number: {found:?}");
}
