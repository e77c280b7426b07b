//! `lifeboat test`: plays a runbook thousands of times in the virtual world, and tells what broke as a story.

use std::{
    fs, io,
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use lifeboat_core::{
    action::Catalogue,
    bindings::Bindings,
    diagnostic::{self, Severity},
    fit,
    plan::{Plan, Variant},
};
use lifeboat_host::Limits;
use lifeboat_launch::source::{self, Checked, Content};
use lifeboat_virtual::{
    Case, Counterexample, Coverage, Selection, Settings, Stored, Subject, explore, flaws, journals, play, replay,
    stored,
};

use super::{
    test_junit,
    test_report::{self, Tested},
};
use crate::{arguments::Global, engine, exit::Exit, findings::print, output::note, problem::Problem};

/// Play a runbook thousands of times in memory, and show what breaks as a story
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lifeboat test workflows/*.yaml\n  \
    lifeboat test --cases 10000 --faults crash,answer workflows/dr-003-accidental-deletion.yaml\n  \
    lifeboat test --strict --bindings production.yaml workflows/dr-003-accidental-deletion.yaml\n  \
    lifeboat test --case '17 crash-unheard@merge#1' workflows/dr-003-accidental-deletion.yaml")]
pub(crate) struct Arguments {
    /// Runbooks
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many cases to play for each runbook
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    cases: u64,
    /// Seed of all random choices: the same seed plays the same cases
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Play only these faults; `crash` stands for all that begin with `crash-`
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    faults: Vec<String>,
    /// Play only this case, as it was printed
    #[arg(long, value_name = "CASE", conflicts_with_all = ["cases", "seed", "faults"])]
    case: Option<String>,
    /// Play with the systems of these bindings; destroying without a proven identity is refused, as in a run
    #[arg(long, short, value_name = "FILE")]
    bindings: Option<PathBuf>,
    /// Count warnings as errors
    #[arg(long)]
    strict: bool,
    /// Also write the journal of each case into this folder
    #[arg(long, value_name = "FOLDER")]
    journals: Option<PathBuf>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// How to print what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Stories, and a table of the paths taken
    Human,
    /// One JSON document
    Json,
    /// JUnit XML: a test case for each invariant and each lint of each file
    Junit,
}

pub(crate) fn execute(arguments: &Arguments, global: &Global) -> anyhow::Result<Exit> {
    let selection = selection(&arguments.faults)?;
    let case = arguments.case.as_deref().map(str::parse::<Case>).transpose().map_err(Problem::usage)?;
    let catalogue = engine::host_to_look_at(global)?.catalogue();
    let bound = arguments.bindings.as_deref().map(source::bindings).transpose()?;
    bound.iter().for_each(print);
    let (mut tested, mut wrong) = (Vec::new(), false);
    for path in &arguments.files {
        let subjects = subjects(path, &catalogue, bound.as_ref())?;
        wrong |= subjects.is_empty();
        for subject in &subjects {
            tested.push(match &case {
                Some(case) => test_case(path, subject, case, arguments)?,
                None => test(path, subject, arguments, &selection)?,
            });
        }
    }
    match arguments.format {
        Format::Human => tested.iter().for_each(|tested| test_report::print_for_people(tested, arguments.strict)),
        Format::Json => test_report::print_json(&tested)?,
        Format::Junit => test_junit::print(&tested, arguments.strict),
    }
    let fails = |tested: &Tested| !tested.counterexamples.is_empty() || (arguments.strict && !tested.flaws.is_empty());
    let broken = tested.iter().any(fails);
    Ok(match (wrong, broken) {
        (true, _) => Exit::File,
        (false, true) => Exit::Failed,
        (false, false) => Exit::Done,
    })
}

fn selection(words: &[String]) -> Result<Selection, Problem> {
    if words.is_empty() {
        return Ok(Selection::all());
    }
    Selection::of(words.iter().map(String::as_str)).map_err(|problem| {
        let names = lifeboat_virtual::names();
        Problem::usage(problem).hint(format!("the faults are {}", names.join(", ")))
    })
}

/// The runbook in the virtual world, each variant of it; none where it or the bindings have errors, which are shown.
fn subjects(path: &Path, catalogue: &Catalogue, bound: Option<&Checked>) -> Result<Vec<Subject>, Problem> {
    let runbook = engine::runbook(path, catalogue)?;
    print(&runbook);
    let wall = SignedDuration::try_from(Limits::default().wall).unwrap_or(SignedDuration::MAX);
    let Some(plan) = runbook.plan() else { return Ok(Vec::new()) };
    let plans = if plan.has_variants() {
        Variant::ALL.map(|variant| plan.clone().of_variant(variant)).to_vec()
    } else {
        vec![plan.clone()]
    };
    let subjects = plans.into_iter().map(|plan| Subject::new(plan, wall));
    let Some(bound) = bound else { return Ok(subjects.collect()) };
    Ok(fitting(bound, plan)
        .map(|bindings| subjects.map(|subject| subject.bound(bindings)).collect())
        .unwrap_or_default())
}

/// The bindings, where they fit the plan; what does not is shown. A missing identity is not an error here: the host refuses to
/// destroy on it, and a lint tells what that means.
fn fitting<'a>(bound: &'a Checked, plan: &Plan) -> Option<&'a Bindings> {
    let Content::Bindings(bindings) = &bound.content else { return None };
    let mut found = fit::check(plan, bindings);
    found.retain(|found| found.code != fit::NO_IDENTITY);
    if !found.is_empty() {
        note(diagnostic::render(&bound.file, &found, true).trim_end());
        note("");
    }
    found.iter().all(|found| found.severity != Severity::Error).then_some(bindings)
}

fn test(path: &Path, subject: &Subject, arguments: &Arguments, faults: &Selection) -> Result<Tested, Problem> {
    let began = Instant::now();
    let seeds = seeds_path(path);
    let known = known(&seeds)?;
    let mut counterexamples: Vec<Counterexample> =
        known.iter().flat_map(|known| replay(subject, &known.case)).collect();
    let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let settings = Settings { cases: arguments.cases, seed: arguments.seed, faults: faults.clone(), threads };
    let explored = explore(subject, &settings);
    if let Some(folder) = &arguments.journals {
        write_journals(folder, path, journals(subject, &settings))?;
    }
    let found: Vec<Counterexample> = explored
        .counterexamples
        .into_iter()
        .filter(|found| !counterexamples.iter().any(|known| known.broken.code == found.broken.code))
        .collect();
    keep(path, &seeds, &known, &found);
    counterexamples.extend(found);
    Ok(Tested {
        file: path.display().to_string(),
        runbook: runbook_name(subject),
        steps: subject.plan.steps.len(),
        cases: explored.cases,
        replayed: known.len(),
        seed: arguments.seed,
        singles: (explored.singles, explored.singles_left_out),
        took: began.elapsed(),
        coverage: Some(explored.coverage),
        counterexamples,
        flaws: explored.flaws,
        bindings: arguments.bindings.clone(),
    })
}

fn test_case(path: &Path, subject: &Subject, case: &Case, arguments: &Arguments) -> Result<Tested, Problem> {
    let began = Instant::now();
    if let Some(folder) = &arguments.journals {
        let journal = play(subject, case).journal;
        write_journals(folder, path, std::iter::once((case.clone(), journal)))?;
    }
    Ok(Tested {
        file: path.display().to_string(),
        runbook: runbook_name(subject),
        steps: subject.plan.steps.len(),
        cases: 1,
        replayed: 0,
        seed: case.seed,
        singles: (0, 0),
        took: began.elapsed(),
        coverage: None::<Coverage>,
        counterexamples: replay(subject, case),
        flaws: flaws(subject, case),
        bindings: arguments.bindings.clone(),
    })
}

/// The runbook's name, with the variant where it has some.
fn runbook_name(subject: &Subject) -> String {
    let id = &subject.plan.runbook.id;
    subject.plan.variant.map_or_else(|| id.clone(), |variant| format!("{id} ({})", variant.as_str()))
}

/// One file a case, named after the runbook and the seed.
fn write_journals(folder: &Path, runbook: &Path, cases: impl Iterator<Item = (Case, Vec<u8>)>) -> Result<(), Problem> {
    let problem = |error: io::Error| {
        Problem::new(Exit::Failed, format!("cannot write journals to `{}`: {error}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(problem)?;
    let name = runbook.file_stem().unwrap_or_default().to_string_lossy();
    for (case, journal) in cases {
        fs::write(folder.join(format!("{name}-{}.jsonl", case.seed)), journal).map_err(problem)?;
    }
    Ok(())
}

/// Beside the runbook, named after it.
fn seeds_path(runbook: &Path) -> PathBuf {
    runbook.with_extension("lifeboat-seeds")
}

/// The cases that broke something once.
fn known(path: &Path) -> Result<Vec<Stored>, Problem> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Problem::new(Exit::File, format!("cannot read `{name}`: {error}"))),
    };
    stored(&text).map_err(|error| {
        Problem::new(Exit::File, format!("cannot use `{name}`: {error}"))
            .hint("each line must be the code of an invariant and a case, as written by `lifeboat test`")
    })
}

/// Writes what was found beside the runbook. Where that is not possible the story still names the case.
fn keep(runbook: &Path, path: &Path, known: &[Stored], found: &[Counterexample]) {
    if found.is_empty() {
        return;
    }
    let name = runbook.file_name().unwrap_or_default().to_string_lossy();
    let head = format!("# Cases of `{name}` that once broke an invariant. `lifeboat test` plays them first.\n");
    let new = found.iter().map(|found| Stored { code: found.broken.code.to_owned(), case: found.case.clone() });
    let lines = known.iter().cloned().chain(new).map(|stored| format!("{stored}\n"));
    if let Err(error) = fs::write(path, head + &lines.collect::<String>()) {
        note(format_args!("cannot write the cases to `{}`: {error}", path.display()));
    }
}
