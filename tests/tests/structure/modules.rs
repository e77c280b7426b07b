//! The modules of a crate, found by walking from its root along `mod`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{MetadataCommand, Package, Target, TargetKind};
use lifeboat_tests::{
    repository,
    source::{read, tracked},
};

use super::{
    imports::{Named, named},
    tokens::{Token, begins, is, shipped, tokens},
};

/// A place in a crate; the root is empty.
pub(crate) type ModulePath = Vec<String>;

/// A module that has a file.
#[derive(Debug)]
pub(crate) struct Module {
    /// From the root of the repository.
    pub(crate) file: PathBuf,
    /// Without what unit tests alone see.
    pub(crate) tokens: Vec<Token>,
    pub(crate) named: Named,
}

/// A library, a program, a test or a benchmark.
#[derive(Debug)]
pub(crate) struct Crate {
    pub(crate) name: String,
    /// Its folder, from the root of the repository.
    pub(crate) folder: PathBuf,
    root: PathBuf,
    /// Whether it is more than a test.
    pub(crate) is_shipped: bool,
}

/// Everything that cargo builds here, in the workspace and beside it.
pub(crate) fn crates() -> Vec<Crate> {
    let (mut folders, mut crates) = (BTreeSet::new(), Vec::new());
    // The manifest of the workspace comes first, and names the packages of most others.
    for manifest in tracked("Cargo.toml") {
        if !folders.insert(manifest.parent().expect("a folder").to_owned()) {
            continue;
        }
        let mut command = MetadataCommand::new();
        command.manifest_path(repository().join(manifest)).no_deps().other_options(vec!["--locked".to_owned()]);
        for package in command.exec().expect("cargo metadata runs").packages {
            let targets: Vec<_> = package.targets.iter().map(|target| of(&package, target)).collect();
            folders.extend(targets.iter().map(|target| target.folder.clone()));
            crates.extend(targets);
        }
    }
    assert!(crates.len() > 10, "only {} targets found: this test looks in the wrong place", crates.len());
    crates
}

fn of(package: &Package, target: &Target) -> Crate {
    const TESTS: [TargetKind; 3] = [TargetKind::Test, TargetKind::Bench, TargetKind::Example];
    let inside = |path: &Path| path.strip_prefix(repository()).expect("it lies in the repository").to_owned();
    Crate {
        name: target.name.clone(),
        folder: inside(package.manifest_path.parent().expect("a folder").as_std_path()),
        root: inside(target.src_path.as_std_path()),
        is_shipped: !target.kind.iter().any(|kind| TESTS.contains(kind)),
    }
}

impl Crate {
    /// Its modules, without those of its unit tests.
    pub(crate) fn modules(&self) -> BTreeMap<ModulePath, Module> {
        let mut found = BTreeMap::new();
        walk(&self.root, true, Vec::new(), &mut |path, file, all| {
            let tokens = shipped(&all);
            let named = named(&tokens);
            let declared = declared(&tokens);
            found.insert(path, Module { file, tokens, named });
            declared
        });
        found
    }

    /// All of its files, those of its unit tests too.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        walk(&self.root, true, Vec::new(), &mut |_, file, all| {
            found.insert(file);
            declared(&all)
        });
        found
    }
}

/// A `mod name;`, and the file that its attribute `path` gives.
struct Declared {
    name: String,
    path: Option<String>,
}

fn declared(tokens: &[Token]) -> Vec<Declared> {
    const PATH: [&str; 4] = ["#", "[", "path", "="];
    let mut found = Vec::new();
    let mut path = None;
    for (position, token) in tokens.iter().enumerate() {
        if begins(&tokens[position..], &PATH)
            && let Some(Token::Literal(text)) = tokens.get(position + PATH.len())
        {
            path = Some(text.trim_matches('"').to_owned());
        }
        if is(Some(token), "mod")
            && let Some(Token::Word(name)) = tokens.get(position + 1)
            && is(tokens.get(position + 2), ";")
        {
            found.push(Declared { name: name.clone(), path: path.take() });
        }
    }
    found
}

/// Visits a file and those that it declares; `visit` gives the declarations that are to be followed.
fn walk(
    file: &Path,
    owns_folder: bool,
    path: ModulePath,
    visit: &mut impl FnMut(ModulePath, PathBuf, Vec<Token>) -> Vec<Declared>,
) {
    let all = tokens(&read(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let folder = file.parent().expect("a folder");
    let inside = if owns_folder { folder.to_owned() } else { folder.join(file.file_stem().expect("a name")) };
    for module in visit(path.clone(), file.to_owned(), all) {
        let (plain, nested) = (inside.join(format!("{}.rs", module.name)), inside.join(&module.name).join("mod.rs"));
        let (next, owns_folder) = match module.path {
            Some(path) => (flat(&folder.join(path)), true),
            None if repository().join(&plain).exists() => (plain, false),
            None => (nested, true),
        };
        walk(&next, owns_folder, [path.as_slice(), &[module.name]].concat(), visit);
    }
}

/// The path without `..`.
fn flat(path: &Path) -> PathBuf {
    let mut flat = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            flat.pop();
        } else {
            flat.push(part);
        }
    }
    flat
}
