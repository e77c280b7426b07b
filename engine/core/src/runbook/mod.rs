//! Runbooks: from the bytes of a YAML file to a plan, with every problem of the file reported at once.

mod callees;
mod check;
mod context;
mod decode;
mod expressions;
mod files;
mod grammar;
mod invocation;
mod library;
mod lower;
mod misplaced;
mod model;
mod order;
mod uses;

use crate::{
    action::Catalogue,
    diagnostic::{Diagnostic, Findings, SourceFile, codes},
    plan::Plan,
};

pub use self::files::{Files, NoFiles};
pub(crate) use self::grammar::RUNBOOK;
use self::{library::Library, order::Order};

/// What came of compiling a runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The plan; there is one if no diagnostic of any file is an error.
    pub plan: Option<Plan>,
    /// Everything that was found in the file itself, in its order.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that it calls, directly or through others, each once.
    pub called: Vec<Called>,
}

/// A file that a runbook calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// The file.
    pub file: SourceFile,
    /// Everything that was found in it, in its order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a runbook that calls no other against the actions that the plugins offer.
pub fn compile(file: &SourceFile, catalogue: &Catalogue) -> Compiled {
    compile_with(file, catalogue, &NoFiles)
}

/// Compiles a runbook, with all that it calls, against the actions that the plugins offer.
pub fn compile_with(file: &SourceFile, catalogue: &Catalogue, files: &dyn Files) -> Compiled {
    let sources = library::read(file, files);
    let library = Library::of(&sources);
    let mut found = Vec::new();
    let mut orders = Vec::new();
    for (index, unit) in sources.units.iter().enumerate() {
        let mut findings = Findings::with(&unit.file, unit.found.clone());
        orders.push(match (&unit.root, library.runbook(index)) {
            (Some(root), Some(runbook)) => check::check(&mut findings, root, runbook, catalogue, &library, index),
            _ => Order::default(),
        });
        found.push(findings);
    }
    let sound = !found.iter().any(Findings::has_errors);
    let plan = if sound { lower::lower(&library, &orders, catalogue) } else { Ok(None) };
    let plan = plan.unwrap_or_else(|lower::TooLarge(span)| {
        let message = "the plan with all called runbooks is too large";
        found[0].add(codes::RUNBOOK_TOO_LARGE, span, message, "too large");
        None
    });
    let mut diagnostics = found.into_iter().map(Findings::into_sorted).collect::<Vec<_>>().into_iter();
    let own = diagnostics.next().unwrap_or_default();
    let called = |(unit, diagnostics): (&library::Unit, _)| Called { file: unit.file.clone(), diagnostics };
    Compiled { plan, diagnostics: own, called: sources.units.iter().skip(1).zip(diagnostics).map(called).collect() }
}
