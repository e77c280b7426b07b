//! `lifeboat check`: every problem of every file in one go.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lifeboat_core::{
    bindings::Bindings,
    diagnostic::{Diagnostic, Severity},
    feasibility, fit,
    runbook::Called,
};
use lifeboat_launch::{
    source::{self, Checked, Content, Kind},
    times,
};
use lifeboat_runtime::home::Home;
use lifeboat_simulator::{drill, drill_step};
use serde::Serialize;

use crate::{
    arguments::Global,
    engine,
    exit::Exit,
    findings::print,
    output::{BAD, GOOD, WARN, data, json, note, styled},
};

/// Check runbooks, bindings and drill files
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat check workflows/*.yaml\n  \
    lifeboat check --strict --bindings production.yaml workflows/dr-003-accidental-deletion.yaml")]
pub(crate) struct Arguments {
    /// Runbooks, bindings and drill files; the content tells which is which
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Also check that these bindings fit every runbook
    #[arg(long, short, value_name = "FILE")]
    bindings: Option<PathBuf>,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// The same as `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text with the source underlined, on standard error
    Human,
    /// One JSON document
    Json,
    /// Annotations for GitHub's pull requests
    Github,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let files = check_all(arguments, global)?;
    let format = if arguments.json { Format::Json } else { arguments.format };
    let count = |severity| files.iter().map(|file| file.count(severity)).sum::<usize>();
    let totals = Totals { errors: count(Severity::Error), warnings: count(Severity::Warning) };
    let wrong = totals.errors > 0 || (arguments.strict && totals.warnings > 0);
    match format {
        Format::Human => print_for_people(&files, totals, wrong),
        Format::Json => print_json(&files, totals)?,
        Format::Github => print_for_github(&files),
    }
    Ok(if wrong { Exit::File } else { Exit::Done })
}

#[derive(Debug, Clone, Copy)]
struct Totals {
    errors: usize,
    warnings: usize,
}

fn check_all(arguments: &Arguments, global: &Global) -> anyhow::Result<Vec<Checked>> {
    let catalogue = engine::host_to_look_at(global)?.catalogue();
    let mut files: Vec<Checked> =
        arguments.files.iter().map(|path| source::check(path, &catalogue)).collect::<Result<_, _>>()?;
    let mut given = arguments.bindings.as_deref().map(source::bindings).transpose()?;
    let bindings = given.as_ref().and_then(bindings_of).cloned();
    let home = engine::home_to_read(global)?;
    for file in &mut files {
        match file.kind {
            Kind::Drill => file.diagnostics = drill::check(&file.file, &catalogue),
            Kind::Runbook => {
                *file = drill_step::check(file.clone(), &catalogue);
                add_infeasible(file, bindings.as_ref(), &home)?;
            }
            Kind::Bindings => {}
        }
    }
    list_called(&mut files);
    if let (Some(given), Some(bindings)) = (&mut given, &bindings) {
        let plans = files.iter().filter_map(Checked::plan);
        for diagnostic in plans.flat_map(|plan| fit::check(plan, bindings)) {
            if !given.diagnostics.contains(&diagnostic) {
                given.diagnostics.push(diagnostic);
            }
        }
    }
    files.extend(given);
    Ok(files)
}

fn bindings_of(file: &Checked) -> Option<&Bindings> {
    match &file.content {
        Content::Bindings(bindings) => Some(bindings),
        Content::Plan(_) | Content::Nothing => None,
    }
}

/// Adds the objectives of a runbook that cannot be met.
fn add_infeasible(file: &mut Checked, bindings: Option<&Bindings>, home: &Home) -> anyhow::Result<()> {
    let Some(plan) = file.plan() else { return Ok(()) };
    let found = feasibility::check(&file.file, plan, bindings, &times::recorded(home, plan)?);
    file.diagnostics.extend(found);
    Ok(())
}

/// Lists the runbooks that are called with the others, each once.
fn list_called(files: &mut Vec<Checked>) {
    let called: Vec<Called> = files.iter_mut().flat_map(|file| std::mem::take(&mut file.called)).collect();
    for Called { file, diagnostics } in called {
        let path = std::path::Path::new(&file.name);
        if !files.iter().any(|known| std::path::Path::new(&known.file.name) == path) {
            let (kind, content, called) = (Kind::Runbook, Content::Nothing, Vec::new());
            files.push(Checked { path: None, file, kind, diagnostics, called, content });
        }
    }
}

fn print_for_people(files: &[Checked], totals: Totals, wrong: bool) {
    files.iter().for_each(print);
    let checked = format!("{} checked", plural(files.len(), "file"));
    let (errors, warnings) = (plural(totals.errors, "error"), plural(totals.warnings, "warning"));
    if wrong {
        note(format_args!("{} {checked}: {errors}, {warnings}", styled(BAD, "failed")));
    } else if totals.warnings > 0 {
        note(format_args!("{} {checked}, {warnings}", styled(WARN, "ok")));
    } else {
        note(format_args!("{} {checked}", styled(GOOD, "ok")));
    }
}

fn plural(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    files: Vec<FileDocument<'a>>,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct FileDocument<'a> {
    file: &'a str,
    kind: Kind,
    diagnostics: &'a [Diagnostic],
}

fn print_json(files: &[Checked], totals: Totals) -> anyhow::Result<()> {
    let documents = files
        .iter()
        .map(|file| FileDocument { file: &file.file.name, kind: file.kind, diagnostics: &file.diagnostics })
        .collect();
    json(&Document { format: "lifeboat.check/1", files: documents, errors: totals.errors, warnings: totals.warnings })?;
    Ok(())
}

fn print_for_github(files: &[Checked]) {
    for file in files {
        for found in &file.diagnostics {
            let level = match found.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let help = found.help.as_deref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
            let name = property(&file.file.name);
            let (line, column, code) = (found.span.line, found.span.column, found.code);
            let message = escape(&format!("{}{help}", found.message));
            data(format_args!("::{level} file={name},line={line},col={column},title={code}::{message}"));
        }
    }
}

/// The escapes of GitHub's workflow commands.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}
