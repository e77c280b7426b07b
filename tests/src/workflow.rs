//! The shipped runbooks in the virtual world, with the plugins that ship.

use std::{
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use jiff::SignedDuration;
use lifeboat_core::{action::Catalogue, diagnostic::SourceFile, runbook::compile};
use lifeboat_host::Limits;
use lifeboat_launch::plugins;
use lifeboat_simulator::drill_step;
use lifeboat_virtual::{Selection, Settings, Subject};

use crate::repository;

/// The actions of the plugins that ship, and of the simulator.
pub fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        let cache = tempfile::tempdir().expect("a folder for compiled plugins");
        let plugins = plugins::host(cache.path().to_owned()).expect("the shipped plugins load");
        drill_step::behind(plugins).catalogue()
    })
}

/// The shipped runbooks, in order.
pub fn workflows() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join("workflows")).expect("the repository has workflows");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| is_runbook(path)).collect();
    files.sort();
    files
}

fn is_runbook(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml")
}

/// A shipped runbook by the name of its file.
pub fn shipped(file: &str) -> Subject {
    let path = repository().join("workflows").join(file);
    subject(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// A runbook without variants in the virtual world.
pub fn subject(text: &str) -> Subject {
    let file = SourceFile { name: "runbook.yaml".to_owned(), text: text.to_owned() };
    let compiled = compile(&file, catalogue());
    let plan = compiled.plan.unwrap_or_else(|| panic!("the runbook is wrong: {:#?}", compiled.diagnostics));
    Subject::new(plan, SignedDuration::try_from(Limits::default().wall).unwrap_or(SignedDuration::MAX))
}

/// So many cases with every fault, on so many threads.
pub fn settings(cases: u64, threads: usize) -> Settings {
    let threads = NonZero::new(threads).unwrap_or(NonZero::<usize>::MIN);
    Settings { cases, seed: 1, faults: Selection::all(), threads }
}
