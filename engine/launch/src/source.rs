//! Files that a person names: read, classified and checked. The findings stay with the file, for the caller that shows them.

use std::{fs, path::Path, path::PathBuf};

use lifeboat_core::{
    action::Catalogue,
    bindings::{self, Bindings},
    diagnostic::{Diagnostic, Severity, SourceFile},
    fit,
    plan::{Plan, Variant},
    runbook::{self, Called},
};
use lifeboat_runtime::files::Disk;

use crate::{SourceError, Wrong, error::has_errors};

/// A file with everything that was found in it.
#[derive(Debug, Clone)]
pub struct Checked {
    /// Where it lies; `None` of a text that is in no file.
    pub path: Option<PathBuf>,
    /// The file; empty where it could not be read as text.
    pub file: SourceFile,
    /// What it is.
    pub kind: Kind,
    /// What was found, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The runbooks that it calls, with what was found in each.
    pub called: Vec<Called>,
    /// What it means, where it means something.
    pub content: Content,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Steps.
    Runbook,
    /// Systems.
    Bindings,
    /// A drill. The code that holds drills knows how to check one.
    Drill,
}

/// What a file means.
#[derive(Debug, Clone)]
pub enum Content {
    /// A runbook without errors.
    Plan(Box<Plan>),
    /// Bindings without errors.
    Bindings(Box<Bindings>),
    /// It has errors.
    Nothing,
}

impl Checked {
    /// How many findings are that bad.
    pub fn count(&self, severity: Severity) -> usize {
        self.found().flat_map(|(_, found)| found).filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Each file with what was found in it: itself, then those that it calls.
    pub fn found(&self) -> impl Iterator<Item = (&SourceFile, &[Diagnostic])> {
        let called = self.called.iter().map(|called| (&called.file, called.diagnostics.as_slice()));
        std::iter::once((&self.file, self.diagnostics.as_slice())).chain(called)
    }

    /// The first file with errors, of this one and those that it calls.
    pub(crate) fn wrong(&self) -> Wrong {
        let first = self.found().find(|(_, found)| has_errors(found));
        let (file, found) = first.unwrap_or((&self.file, &self.diagnostics));
        Wrong { file: file.clone(), diagnostics: found.to_vec() }
    }

    /// The runbook with the plan of that variant, which must be given where it has some and only there.
    pub fn of_variant(mut self, given: Option<Variant>) -> Result<Self, SourceError> {
        self.content = match (self.content, given) {
            (Content::Plan(plan), None) if plan.has_variants() => return Err(SourceError::VariantMissing),
            (Content::Plan(plan), Some(_)) if !plan.has_variants() => return Err(SourceError::NoVariants),
            (Content::Plan(plan), Some(variant)) => Content::Plan(Box::new(plan.of_variant(variant))),
            (content, _) => content,
        };
        Ok(self)
    }

    /// The bindings, checked for the roles of a plan too.
    pub fn against(mut self, plan: &Plan) -> Self {
        if let Content::Bindings(bindings) = &self.content {
            self.diagnostics.extend(fit::check(plan, bindings));
        }
        self
    }

    /// The plan of a runbook; `None` where it has errors.
    pub fn plan(&self) -> Option<&Plan> {
        match &self.content {
            Content::Plan(plan) => Some(plan),
            Content::Bindings(_) | Content::Nothing => None,
        }
    }
}

/// Reads and checks a file; what it is shows in its content.
pub fn check(path: &Path, catalogue: &Catalogue) -> Result<Checked, SourceError> {
    with_file(path, None, |file, kind| match kind {
        Kind::Runbook => check_runbook(file, catalogue),
        Kind::Bindings => check_bindings(file),
        Kind::Drill => Checked {
            path: None,
            file,
            kind: Kind::Drill,
            diagnostics: Vec::new(),
            called: Vec::new(),
            content: Content::Nothing,
        },
    })
}

/// Reads and checks a runbook.
pub fn runbook(path: &Path, catalogue: &Catalogue) -> Result<Checked, SourceError> {
    with_file(path, Some(Kind::Runbook), |file, _| check_runbook(file, catalogue))
}

/// Reads and checks a bindings file.
pub fn bindings(path: &Path) -> Result<Checked, SourceError> {
    with_file(path, Some(Kind::Bindings), |file, _| check_bindings(file))
}

fn with_file(
    path: &Path,
    kind: Option<Kind>,
    check: impl FnOnce(SourceFile, Kind) -> Checked,
) -> Result<Checked, SourceError> {
    let name = path.display().to_string();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(SourceError::Unreadable { name, source }),
    };
    let checked = match SourceFile::from_bytes(&name, &bytes) {
        Ok(file) => {
            let kind = kind.unwrap_or_else(|| kind_of(&file.text));
            check(file, kind)
        }
        Err(diagnostic) => Checked {
            path: None,
            file: SourceFile { name, text: String::new() },
            kind: kind.unwrap_or(Kind::Runbook),
            diagnostics: vec![*diagnostic],
            called: Vec::new(),
            content: Content::Nothing,
        },
    };
    Ok(Checked { path: std::path::absolute(path).ok(), ..checked })
}

/// Checks the text of a runbook. What it calls is read from the disk, from where its name says that it lies.
pub fn check_runbook(file: SourceFile, catalogue: &Catalogue) -> Checked {
    let compiled = runbook::compile_with(&file, catalogue, &Disk);
    let content = compiled.plan.map_or(Content::Nothing, |plan| Content::Plan(Box::new(plan)));
    let (diagnostics, called) = (compiled.diagnostics, compiled.called);
    Checked { path: None, file, kind: Kind::Runbook, diagnostics, called, content }
}

/// Checks the text of a bindings file.
pub fn check_bindings(file: SourceFile) -> Checked {
    let parsed = bindings::parse(&file);
    let content = parsed.bindings.map_or(Content::Nothing, |bindings| Content::Bindings(Box::new(bindings)));
    let (diagnostics, called) = (parsed.diagnostics, Vec::new());
    Checked { path: None, file, kind: Kind::Bindings, diagnostics, called, content }
}

/// Bindings have targets and nothing that a runbook must have; a drill has a timeline.
fn kind_of(text: &str) -> Kind {
    let has = |key: &str| {
        text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(':')))
    };
    if has("drill") || has("timeline") {
        return Kind::Drill;
    }
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
