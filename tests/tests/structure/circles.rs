//! Which modules of a crate know which, and where that runs in a circle.
//!
//! A module counts with all that lies inside of it, so the question is asked of each module for those directly inside of it: may
//! one of them be read without the others? What a module and its own parts know of each other is no circle. A name that
//! was handed on by `use` counts for the module that defines it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use super::modules::{Module, ModulePath, crates};

/// Circles that are known, each by the crate's folder and the modules that may be in it, with the reason.
const KNOWN: &[(&str, &[&str], &str)] = &[
    // Dispatch: one question is asked of many, who ask the same one again of what follows.
    (
        "engine/core",
        &["begin", "dry_run", "failed", "fan_out", "handlers", "operator", "settle", "undo"],
        "`settle` goes on until nothing more follows, and what follows may begin, fail or be undone",
    ),
    (
        "engine/core",
        &["decide", "input", "operator"],
        "an operator's request is an input, which is decided by the judge of requests",
    ),
    (
        "engine/core",
        &["pause", "people", "reopen", "transition"],
        "`transition` is the table of what may follow what; these are its rows",
    ),
    ("simulator/virtual", &["never_succeeds", "unreachable"], "one lint is silent where the other one speaks"),
    // Words that name each other.
    (
        "engine/core",
        &["bindings", "grammar", "types"],
        "the kinds of target, which are a table of the bindings, are types of the language; their grammar checks types",
    ),
    (
        "plugins/sdk",
        &["capability", "fake"],
        "the table of capabilities has the fake of each, which are tested by the table",
    ),
    (
        "engine/host",
        &["call", "capability", "wit"],
        "a call holds what its capabilities keep, and each of them asks the call whether it may",
    ),
    (
        "engine/host",
        &["arguments", "files", "folder", "identity", "place", "running", "start", "stranger", "wall"],
        "what may be reached on a machine is found by programs that run on it",
    ),
    (
        "simulator",
        &["spec", "systems", "timeline"],
        "timeline and systems are parts of the drill file, and how they fit is checked as the file is read",
    ),
    (
        "simulator/virtual",
        &["calls", "chronicle", "lives", "operators", "people", "world"],
        "the virtual world: everything that happens in it happens to all of it",
    ),
];

/// Modules directly inside of one that know each other in a circle.
#[derive(Debug)]
struct Circle {
    names: BTreeSet<String>,
    /// What ties them.
    ties: BTreeSet<(ModulePath, ModulePath)>,
}

#[test]
fn modules_know_each_other_in_one_direction() {
    let mut used = BTreeSet::new();
    let mut wrong = String::new();
    for each in crates().iter().filter(|it| it.is_shipped) {
        for circle in circles(&each.modules()) {
            let may_be = |names: &[&str]| circle.names.iter().all(|name| names.contains(&name.as_str()));
            let known = KNOWN.iter().position(|(folder, names, _)| each.folder == Path::new(folder) && may_be(names));
            match known {
                Some(position) => drop(used.insert(position)),
                None => describe(&mut wrong, &each.name, &circle),
            }
        }
    }
    assert!(wrong.is_empty(), "modules that know each other in a circle:\n{wrong}");
    let left: Vec<_> = (0..KNOWN.len()).filter(|position| !used.contains(position)).map(|it| KNOWN[it].1).collect();
    assert!(left.is_empty(), "these circles are gone: remove their lines from `KNOWN`: {left:?}");
}

fn describe(text: &mut String, name: &str, circle: &Circle) {
    let names: Vec<_> = circle.names.iter().map(String::as_str).collect();
    let _ = writeln!(text, "{name}: {}", names.join(", "));
    for (from, to) in &circle.ties {
        let _ = writeln!(text, "    {} knows {}", from.join("::"), to.join("::"));
    }
}

fn circles(modules: &BTreeMap<ModulePath, Module>) -> Vec<Circle> {
    let ties = ties(modules);
    modules.keys().flat_map(|parent| inside(parent, &ties)).collect()
}

/// The circles among the modules directly inside of one.
fn inside(parent: &ModulePath, ties: &BTreeSet<(ModulePath, ModulePath)>) -> Vec<Circle> {
    let part = |path: &ModulePath| path.starts_with(parent).then(|| path.get(parent.len()).cloned()).flatten();
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in ties {
        if let (Some(from), Some(to)) = (part(from), part(to))
            && from != to
        {
            known.entry(from).or_default().insert(to);
        }
    }
    let reach: BTreeMap<&String, BTreeSet<&String>> = known.keys().map(|from| (from, reached(from, &known))).collect();
    let mut found: Vec<Circle> = Vec::new();
    for (from, behind) in reach.iter().filter(|(from, behind)| behind.contains(*from)) {
        if found.iter().any(|circle| circle.names.contains(*from)) {
            continue;
        }
        let back = |to: &&&String| reach.get(*to).is_some_and(|behind| behind.contains(from));
        let names: BTreeSet<String> = behind.iter().filter(back).map(|name| (*name).clone()).collect();
        let within = |path: &ModulePath| part(path).filter(|name| names.contains(name));
        let between = |from: &ModulePath, to: &ModulePath| within(from).zip(within(to)).is_some_and(|(a, b)| a != b);
        let ties = ties.iter().filter(|(from, to)| between(from, to)).cloned().collect();
        found.push(Circle { names, ties });
    }
    found
}

/// What one leads to.
fn reached<'a>(from: &'a String, known: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        open.extend(known.get(next).into_iter().flatten().filter(|name| found.insert(*name)));
    }
    found
}

/// Which module names which.
fn ties(modules: &BTreeMap<ModulePath, Module>) -> BTreeSet<(ModulePath, ModulePath)> {
    let mut ties = BTreeSet::new();
    for (from, module) in modules {
        let imported = module.named.imports.iter().map(|import| &import.path);
        let targets = imported.chain(&module.named.paths).filter_map(|path| home(modules, from, path, 0));
        ties.extend(targets.filter(|to| to != from).map(|to| (from.clone(), to)));
    }
    ties
}

/// The module that defines what a path names, as one module reads it; none where that is another crate.
fn home(
    modules: &BTreeMap<ModulePath, Module>,
    from: &ModulePath,
    path: &[String],
    depth: usize,
) -> Option<ModulePath> {
    const HANDED_ON_MAX: usize = 16;
    if depth > HANDED_ON_MAX {
        return None;
    }
    let (first, mut rest) = path.split_first()?;
    let mut place = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => parent(from)?,
        name => return step(modules, from, name, rest, depth),
    };
    while let Some((name, behind)) = rest.split_first() {
        if name != "super" {
            return step(modules, &place, name, behind, depth).or(Some(place));
        }
        place = parent(&place)?;
        rest = behind;
    }
    Some(place)
}

fn parent(path: &ModulePath) -> Option<ModulePath> {
    path.split_last().map(|(_, parent)| parent.to_vec())
}

/// The home of what a module calls `name`, with the rest of its path; none where the module does not say.
fn step(
    modules: &BTreeMap<ModulePath, Module>,
    place: &ModulePath,
    name: &str,
    rest: &[String],
    depth: usize,
) -> Option<ModulePath> {
    let child = [place.as_slice(), &[name.to_owned()]].concat();
    if modules.contains_key(&child) {
        return match rest.split_first() {
            Some((next, behind)) => step(modules, &child, next, behind, depth + 1).or(Some(child)),
            None => Some(child),
        };
    }
    let module = modules.get(place)?;
    let named = module.named.imports.iter().find(|import| import.name.as_deref() == Some(name));
    if let Some(import) = named {
        return home(modules, place, &[import.path.as_slice(), rest].concat(), depth + 1);
    }
    let globs = module.named.imports.iter().filter(|import| import.name.is_none());
    globs
        .filter_map(|import| home(modules, place, &import.path, depth + 1))
        .filter(|glob| glob != place && defines(modules, glob, name))
        .find_map(|glob| step(modules, &glob, name, rest, depth + 1).or(Some(glob)))
}

/// Whether a module has an item, a part or an import of that name.
fn defines(modules: &BTreeMap<ModulePath, Module>, place: &ModulePath, name: &str) -> bool {
    modules.contains_key(&[place.as_slice(), &[name.to_owned()]].concat())
        || modules.get(place).is_some_and(|module| {
            module.named.imports.iter().any(|import| import.name.as_deref() == Some(name))
                || super::names::items(&module.tokens).any(|item| item == name)
        })
}
