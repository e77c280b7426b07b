//! A runbook with all that it calls, directly or through others: each file is read once.

use std::collections::BTreeMap;

use super::{
    RUNBOOK,
    decode::decode,
    files::Files,
    grammar::SECTIONS,
    model::{Call, Runbook},
};
use crate::{
    diagnostic::{Diagnostic, Findings, SourceFile, Span, codes},
    digest::sha256,
    grammar::{Shape, check as check_shape},
    yaml::{self, Node},
};

/// Runbooks inside one another, the outermost counted.
pub(super) const DEPTH_MAX: usize = 8;
/// Files of one runbook, its own counted.
const FILES_MAX: usize = 64;

/// The place of a file in [`Sources::units`].
pub(super) type UnitIndex = usize;

/// The files, the one that is compiled first.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) units: Vec<Unit>,
}

/// The files as far as they can be understood.
#[derive(Debug)]
pub(super) struct Library<'n> {
    sources: &'n Sources,
    runbooks: Vec<Option<Runbook<'n>>>,
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) file: SourceFile,
    /// `None` where it is not YAML.
    pub(super) root: Option<Node>,
    /// Where it differs from the grammar, and which files cannot be had.
    pub(super) found: Vec<Diagnostic>,
    /// The files that it calls, by the place of their names. One that cannot be had is missing.
    pub(super) calls: BTreeMap<usize, UnitIndex>,
}

/// Reads the file and all that it calls.
pub(super) fn read(file: &SourceFile, files: &dyn Files) -> Sources {
    let mut sources = Sources::default();
    sources.add(file.clone(), files, &mut Vec::new());
    sources
}

impl<'n> Library<'n> {
    pub(super) fn of(sources: &'n Sources) -> Self {
        let runbooks = sources.units.iter().map(|unit| unit.root.as_ref().map(decode)).collect();
        Self { sources, runbooks }
    }

    /// The runbook of a file; `None` where it is not YAML.
    pub(super) fn runbook(&self, unit: UnitIndex) -> Option<&Runbook<'n>> {
        self.runbooks.get(unit)?.as_ref()
    }

    /// The runbook that a step of this file calls; `None` where it cannot be had.
    pub(super) fn called(&self, from: UnitIndex, call: &Call<'_>) -> Option<(UnitIndex, &Runbook<'n>)> {
        let unit = *self.sources.units[from].calls.get(&call.file.span.start)?;
        Some((unit, self.runbook(unit)?))
    }

    /// How many bytes a file has.
    pub(super) fn length(&self, unit: UnitIndex) -> usize {
        self.sources.units[unit].file.text.len()
    }

    /// The digest of a file's bytes.
    pub(super) fn digest(&self, unit: UnitIndex) -> String {
        sha256(self.sources.units[unit].file.text.as_bytes())
    }
}

impl Sources {
    /// `open`: the files on the way here, outermost first.
    fn add(&mut self, file: SourceFile, files: &dyn Files, open: &mut Vec<UnitIndex>) -> UnitIndex {
        let index = self.units.len();
        let mut findings = Findings::new(&file);
        let root = yaml::read(&mut findings);
        root.iter().for_each(|root| check_shape(&mut findings, root, &Shape::Object(&RUNBOOK)));
        let named: Vec<(String, Span)> = root.iter().flat_map(named).collect();
        let found = findings.into_sorted();
        self.units.push(Unit { file, root, found, calls: BTreeMap::new() });
        open.push(index);
        for (path, span) in named {
            match self.call(index, &path, files, open) {
                Ok(called) => {
                    self.units[index].calls.insert(span.start, called);
                }
                Err(problem) => self.report(index, span, problem),
            }
        }
        open.pop();
        index
    }

    fn call(
        &mut self,
        from: UnitIndex,
        path: &str,
        files: &dyn Files,
        open: &mut Vec<UnitIndex>,
    ) -> Result<UnitIndex, Problem> {
        let file = files.file(&self.units[from].file.name, path).map_err(Problem::Missing)?;
        let known = self.units.iter().position(|unit| unit.file.name == file.name);
        if let Some(start) = open.iter().position(|unit| Some(*unit) == known) {
            let mut names: Vec<String> = open[start..].iter().map(|unit| self.units[*unit].file.name.clone()).collect();
            names.push(file.name);
            return Err(Problem::Circle(names));
        }
        if open.len() >= DEPTH_MAX || (known.is_none() && self.units.len() >= FILES_MAX) {
            return Err(Problem::TooLarge);
        }
        Ok(known.unwrap_or_else(|| self.add(file, files, open)))
    }

    fn report(&mut self, index: UnitIndex, span: Span, problem: Problem) {
        let unit = &mut self.units[index];
        let mut findings = Findings::new(&unit.file);
        match problem {
            Problem::Missing(why) => {
                findings.add(codes::NO_RUNBOOK, span, format!("the runbook cannot be read: {why}"), "cannot be read");
            }
            Problem::Circle(names) => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let message = format!("runbooks call each other in a circle: {}", names.join(" calls "));
                findings.add(codes::RUNBOOK_CIRCLE, span, message, "would never end");
            }
            Problem::TooLarge => {
                let message =
                    format!("a runbook may consist of at most {FILES_MAX} files, nested at most {DEPTH_MAX} deep");
                findings.add(codes::RUNBOOK_TOO_LARGE, span, message, "too many files");
            }
        }
        unit.found.extend(findings.into_sorted());
    }
}

enum Problem {
    Missing(String),
    Circle(Vec<String>),
    TooLarge,
}

/// The files that the steps of a runbook name.
fn named(root: &Node) -> Vec<(String, Span)> {
    let steps = SECTIONS.iter().flat_map(|(key, _)| root.get(key).map(Node::items).unwrap_or_default());
    let named = |step: &Node| {
        let node = step.get("runbook")?;
        Some((node.text()?.to_owned(), node.span))
    };
    steps.filter_map(named).collect()
}
