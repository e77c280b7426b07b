//! Files that a user names: read, told apart, checked, and their diagnostics shown.

use std::{fs, path::Path};

use clap::ValueEnum;
use lifeboat_core::{
    action::Catalogue,
    bindings::{self, Bindings},
    diagnostic::{self, Diagnostic, Severity, SourceFile},
    plan::{Plan, Variant},
    runbook::{self, Called},
};
use lifeboat_runtime::files::Disk;

use crate::{exit::Exit, output::note, problem::Problem};

/// A file with everything that was found in it.
pub(crate) struct Checked {
    /// The file; empty where it could not be read as text.
    pub(crate) file: SourceFile,
    /// What it is.
    pub(crate) kind: Kind,
    /// What was found, in the order of the file.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The runbooks that it calls, with what was found in each.
    pub(crate) called: Vec<Called>,
    /// What it means, where it means something.
    pub(crate) content: Content,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Steps.
    Runbook,
    /// Systems.
    Bindings,
}

/// What a file means.
pub(crate) enum Content {
    /// A runbook without errors.
    Plan(Box<Plan>),
    /// Bindings without errors.
    Bindings(Box<Bindings>),
    /// It has errors.
    Nothing,
}

impl Checked {
    /// How many findings are that bad.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        let all = self.called.iter().flat_map(|called| &called.diagnostics).chain(&self.diagnostics);
        all.filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Shows every finding on standard error.
    pub(crate) fn print(&self) {
        let called = self.called.iter().map(|called| (&called.file, &called.diagnostics));
        for (file, found) in std::iter::once((&self.file, &self.diagnostics)).chain(called) {
            if !found.is_empty() {
                note(diagnostic::render(file, found, true).trim_end());
                note("");
            }
        }
    }

    /// The runbook with the plan of that variant, which must be given where it has some and only there.
    pub(crate) fn of_variant(mut self, given: Option<VariantArgument>) -> Result<Self, Problem> {
        self.content = match (self.content, given) {
            (Content::Plan(plan), None) if plan.has_variants() => {
                let message = "the runbook has steps for a planned switch and others for a disaster";
                let problem = Problem::coded("run-variant", message);
                return Err(problem.hint("say `--variant planned` or `--variant disaster`"));
            }
            (Content::Plan(plan), Some(_)) if !plan.has_variants() => {
                let message = "the runbook has no variants: all its steps are always done";
                return Err(Problem::coded("run-variant", message).hint("leave `--variant` out"));
            }
            (Content::Plan(plan), Some(variant)) => Content::Plan(Box::new(plan.of_variant(variant.into()))),
            (content, _) => content,
        };
        Ok(self)
    }

    /// The plan of a runbook; `None` where it has errors.
    pub(crate) fn plan(self) -> Option<Plan> {
        match self.content {
            Content::Plan(plan) => Some(*plan),
            Content::Bindings(_) | Content::Nothing => None,
        }
    }
}

/// A variant on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VariantArgument {
    /// Nothing is broken
    Planned,
    /// Something is
    Disaster,
}

impl From<VariantArgument> for Variant {
    fn from(argument: VariantArgument) -> Self {
        match argument {
            VariantArgument::Planned => Self::Planned,
            VariantArgument::Disaster => Self::Disaster,
        }
    }
}

/// Refuses a plan that this version can only show, before anything is done.
pub(crate) fn executable(plan: &Plan) -> Result<(), Problem> {
    match plan.not_executable() {
        None => Ok(()),
        Some(step) => {
            let message = format!("the step `{}` is a drill, which this version does not execute", step.id);
            Err(Problem::coded("run-drill-step", message).hint("rehearse it with `lifeboat drill`"))
        }
    }
}

/// Reads and checks a file; what it is shows in its content.
pub(crate) fn check(path: &Path, catalogue: &Catalogue) -> Result<Checked, Problem> {
    with_file(path, None, |file, kind| match kind {
        Kind::Runbook => check_runbook(file, catalogue),
        Kind::Bindings => check_bindings(file),
    })
}

/// Reads and checks a runbook.
pub(crate) fn runbook(path: &Path, catalogue: &Catalogue) -> Result<Checked, Problem> {
    with_file(path, Some(Kind::Runbook), |file, _| check_runbook(file, catalogue))
}

/// Reads and checks a bindings file.
pub(crate) fn bindings(path: &Path) -> Result<Checked, Problem> {
    with_file(path, Some(Kind::Bindings), |file, _| check_bindings(file))
}

fn with_file(
    path: &Path,
    kind: Option<Kind>,
    check: impl FnOnce(SourceFile, Kind) -> Checked,
) -> Result<Checked, Problem> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| {
        Problem::new(Exit::File, format!("cannot read `{name}`: {error}")).hint("is the path right?")
    })?;
    Ok(match SourceFile::from_bytes(&name, &bytes) {
        Ok(file) => {
            let kind = kind.unwrap_or_else(|| kind_of(&file.text));
            check(file, kind)
        }
        Err(diagnostic) => Checked {
            file: SourceFile { name, text: String::new() },
            kind: kind.unwrap_or(Kind::Runbook),
            diagnostics: vec![*diagnostic],
            called: Vec::new(),
            content: Content::Nothing,
        },
    })
}

fn check_runbook(file: SourceFile, catalogue: &Catalogue) -> Checked {
    let compiled = runbook::compile_with(&file, catalogue, &Disk);
    let content = compiled.plan.map_or(Content::Nothing, |plan| Content::Plan(Box::new(plan)));
    Checked { file, kind: Kind::Runbook, diagnostics: compiled.diagnostics, called: compiled.called, content }
}

fn check_bindings(file: SourceFile) -> Checked {
    let parsed = bindings::parse(&file);
    let content = parsed.bindings.map_or(Content::Nothing, |bindings| Content::Bindings(Box::new(bindings)));
    Checked { file, kind: Kind::Bindings, diagnostics: parsed.diagnostics, called: Vec::new(), content }
}

/// Bindings have targets and nothing that a runbook must have.
fn kind_of(text: &str) -> Kind {
    let has = |key: &str| {
        text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':')))
    };
    if has("targets") && !["id", "name", "steps"].into_iter().any(has) { Kind::Bindings } else { Kind::Runbook }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_are_known_by_their_content() {
        let check = |text: &str, expected: Kind| assert_eq!(kind_of(text), expected, "{text}");
        check("lifeboat: 1\ntargets:\n  a: {}\n", Kind::Bindings);
        check("lifeboat: 1\nid: X\ntargets:\n  a: {}\n", Kind::Runbook);
        check("targets: {}\nsteps : []\n", Kind::Runbook);
        check("", Kind::Runbook);
    }
}
