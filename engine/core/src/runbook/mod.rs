//! Runbooks: from the bytes of a YAML file to a plan, with every problem of the file reported at once.

mod check;
mod decode;
mod expressions;
mod grammar;
mod lower;
mod model;
mod order;
mod uses;

use crate::{
    action::Catalogue,
    diagnostic::{Diagnostic, Findings, SourceFile},
    grammar::{Shape, check as check_shape},
    plan::Plan,
    yaml,
};

pub(crate) use self::grammar::RUNBOOK;

/// What came of compiling a runbook.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The plan; there is one if no diagnostic is an error.
    pub plan: Option<Plan>,
    /// Everything that was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a runbook against the actions that the plugins offer.
pub fn compile(file: &SourceFile, catalogue: &Catalogue) -> Compiled {
    let mut findings = Findings::new(file);
    let plan = yaml::read(&mut findings).and_then(|root| {
        check_shape(&mut findings, &root, &Shape::Object(&RUNBOOK));
        let runbook = decode::decode(&root);
        let order = check::check(&mut findings, &root, &runbook, catalogue);
        (!findings.has_errors()).then(|| lower::lower(file, &runbook, &order, catalogue))
    });
    Compiled { plan, diagnostics: findings.into_sorted() }
}
