//! Where the machine of a copy is: as the run that made the copy knew it, or as a person specifies now.

use std::path::PathBuf;

use lifeboat_core::{diagnostic::Severity, fit, name::RoleName, plan::Plan};
use lifeboat_launch::{
    Bound, Wrong,
    source::{self, Content},
};
use lifeboat_runtime::home::Home;

use crate::{
    copies::Copy,
    exit::Exit,
    findings::{print, print_wrong},
    problem::Problem,
};

/// The bindings of the machine alone.
pub(super) fn bound(home: &Home, copy: &Copy, given: Option<&PathBuf>, plan: &Plan) -> anyhow::Result<Bound> {
    let recorded = home.run_folder(&copy.run).join("bindings.yaml");
    let checked = source::bindings(given.unwrap_or(&recorded))?;
    print(&checked);
    let Content::Bindings(mut bindings) = checked.content else {
        return Err(Problem::new(Exit::File, "the bindings are invalid; see above").into());
    };
    let is_machine = |role: &RoleName| role.as_str() == copy.machine;
    bindings.targets.retain(|role, _| is_machine(role));
    bindings.people.clear();
    let (file, diagnostics) = (checked.file, fit::check(plan, &bindings));
    if diagnostics.iter().any(|finding| finding.severity == Severity::Error) {
        print_wrong(&Wrong { file, diagnostics });
        return Err(Problem::new(Exit::File, "the bindings do not fit; see above").into());
    }
    Ok(Bound { bindings: *bindings, file })
}
