//! Where the machine of a copy is: as the run that made the copy knew it, or as somebody says now.

use std::path::PathBuf;

use lifeboat_core::{
    bindings::{self, Bindings},
    diagnostic,
    name::RoleName,
    plan::Plan,
};
use lifeboat_runtime::home::Home;

use crate::{copies::Copy, exit::Exit, output::note, problem::Problem, source};

/// The bindings of the machine alone, and the text that they were read from.
pub(super) struct Bound {
    pub(super) bindings: Bindings,
    pub(super) source: Vec<u8>,
}

pub(super) fn bound(home: &Home, copy: &Copy, given: Option<&PathBuf>, plan: &Plan) -> anyhow::Result<Bound> {
    let recorded = home.run_folder(&copy.run).join("bindings.yaml");
    let checked = source::bindings(given.unwrap_or(&recorded))?;
    checked.print();
    let source = checked.file.text.clone().into_bytes();
    let source::Content::Bindings(mut bindings) = checked.content else {
        return Err(Problem::new(Exit::File, "the bindings are wrong: see above").into());
    };
    let is_machine = |role: &RoleName| role.as_str() == copy.machine;
    bindings.targets.retain(|role, _| is_machine(role));
    bindings.people.clear();
    let found = bindings::check(plan, &bindings);
    if found.iter().any(|finding| finding.severity == diagnostic::Severity::Error) {
        note(diagnostic::render(&checked.file, &found, true));
        return Err(Problem::new(Exit::File, "the bindings do not fit: see above").into());
    }
    Ok(Bound { bindings: *bindings, source })
}
