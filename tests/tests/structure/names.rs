//! One word, one idea: no public type has the name of another one in its family of crates, and no file name stands for more than
//! two things.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    modules::crates,
    tokens::{Token, is},
};

/// Public types that share a name: the family (the folder in which its crates lie), the names, and why.
const SAME_TYPES: &[(&str, &[&str], &str)] = &[
    ("engine", &["Answer"], "of a plugin's call; and of an engine to whoever asks over its socket"),
    ("engine", &["Effect"], "how far an action goes with a target; and what should be in flight, which `due` computes"),
    ("engine", &["Field"], "of an action's parameters; and of the grammar of the files"),
    ("engine", &["Next"], "what a step does next; and what happens to the driver next"),
    ("engine", &["Record"], "of a drill in the history; and of a lease in its file"),
    ("engine", &["Request"], "what an operator asks of a run; and what a run asks of a plugin"),
    ("simulator", &["Planned"], "a fault of the virtual world; and a write of the workload"),
];

/// File names that more than two files have, each with the one idea that it stands for.
const SAME_FILES: &[(&str, &str)] = &[
    ("check", "checks what its folder reads, or is the action of that name"),
    ("client", "who asks a server, or a store"),
    ("content", "the content of rows or tables, by which they are compared"),
    ("control", "control runs, or commands to a running thing"),
    ("endpoint", "the capability"),
    ("error", "the error type of its folder"),
    ("evidence", "what proves a claim"),
    ("fake", "the fake of the folder's capability"),
    ("files", "the capability, or files that are named in one"),
    ("grammar", "the grammar of the folder's files"),
    ("history", "what was, in order"),
    ("leases", "the leases of runs"),
    ("machine", "the capability, or the kind of target"),
    ("people", "who takes part"),
    ("plan", "a plan, or how one is shown"),
    ("postgres", "the capability, or the kind of target"),
    ("report", "what is reported of a drill or a run"),
    ("run", "a run, or how one is held or shown"),
    ("schema", "the JSON schema, or the tables of the workload"),
    ("server", "one server of its folder's kind"),
    ("session", "what lasts as long as a connection or a run"),
    ("source", "where something is read from"),
    ("table", "a table, of values or on a terminal"),
    ("text", "text for people"),
    ("webhook", "messages by HTTP"),
    ("words", "the words for what its folder has"),
    ("world", "what is outside of a run: the real one, and those that are played"),
];

/// The names of the items that these tokens define, whoever may see them.
pub(crate) fn items(tokens: &[Token]) -> impl Iterator<Item = &str> {
    const ITEMS: [&str; 9] = ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "mod"];
    tokens.windows(2).filter_map(|pair| match pair {
        [keyword, Token::Word(name)] if ITEMS.iter().any(|item| is(Some(keyword), item)) => Some(name.as_str()),
        _ => None,
    })
}

/// The names of public types.
fn types(tokens: &[Token]) -> impl Iterator<Item = &str> {
    const TYPES: [&str; 5] = ["struct", "enum", "union", "trait", "type"];
    tokens.windows(3).filter_map(|three| match three {
        [public, keyword, Token::Word(name)]
            if is(Some(public), "pub") && TYPES.iter().any(|kind| is(Some(keyword), kind)) =>
        {
            Some(name.as_str())
        }
        _ => None,
    })
}

/// The files of each public type, by family and name.
fn public_types() -> BTreeMap<(String, String), BTreeSet<PathBuf>> {
    let mut found: BTreeMap<_, BTreeSet<PathBuf>> = BTreeMap::new();
    for each in crates().into_iter().filter(|it| it.is_shipped) {
        let family = each.folder.iter().next().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        for module in each.modules().into_values() {
            for name in types(&module.tokens) {
                found.entry((family.clone(), name.to_owned())).or_default().insert(module.file.clone());
            }
        }
    }
    found.retain(|_, files| files.len() > 1);
    found
}

#[test]
fn a_public_type_has_a_name_of_its_own() {
    let known =
        |family: &str, name: &str| SAME_TYPES.iter().any(|(known, names, _)| *known == family && names.contains(&name));
    let found = public_types();
    let wrong: BTreeMap<_, _> = found.iter().filter(|((family, name), _)| !known(family, name)).collect();
    assert!(wrong.is_empty(), "public types of one name: {wrong:#?}");
    let is_there = |family: &str, name: &str| found.contains_key(&(family.to_owned(), name.to_owned()));
    let left: Vec<_> = SAME_TYPES
        .iter()
        .flat_map(|(family, names, _)| names.iter().map(move |name| (*family, *name)))
        .filter(|(family, name)| !is_there(family, name))
        .collect();
    assert!(left.is_empty(), "no two types have these names any more: remove them from `SAME_TYPES`: {left:?}");
}

#[test]
fn a_file_name_stands_for_one_idea() {
    const ROOTS: [&str; 4] = ["lib", "main", "mod", "build"];
    let mut found: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for each in crates().into_iter().filter(|it| it.is_shipped) {
        for module in each.modules().into_values() {
            let name = module.file.file_stem().expect("a name").to_string_lossy().into_owned();
            found.entry(name).or_default().insert(module.file);
        }
    }
    found.retain(|name, files| files.len() > 2 && !ROOTS.contains(&name.as_str()));
    let left: Vec<_> = SAME_FILES.iter().map(|(name, _)| *name).filter(|name| !found.contains_key(*name)).collect();
    assert!(left.is_empty(), "no three files have these names any more: remove them from `SAME_FILES`: {left:?}");
    found.retain(|name, _| !SAME_FILES.iter().any(|(known, _)| known == name));
    assert!(found.is_empty(), "three files of one name: name them for what is in them: {found:#?}");
}
