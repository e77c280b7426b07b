//! What `lifeboat test` prints: stories and a table for people, JSON for programs.

use std::{path::PathBuf, time::Duration};

use jiff::SignedDuration;
use lifeboat_present::elapsed;
use lifeboat_virtual::{Case, Counterexample, Coverage, Flaw, StepCoverage, Story};
use serde::Serialize;

use crate::{
    output::{BAD, GOOD, QUIET, STRONG, WARN, data, hint, json, styled},
    table,
};

/// What came of testing a file.
#[derive(Debug)]
pub(crate) struct Tested {
    pub(crate) file: String,
    pub(crate) runbook: String,
    pub(crate) steps: usize,
    pub(crate) cases: u64,
    pub(crate) replayed: usize,
    pub(crate) seed: u64,
    /// How many single faults there are at all places, and how many the cases had no room for.
    pub(crate) singles: (u64, u64),
    pub(crate) took: Duration,
    /// `None` where a single case was played.
    pub(crate) coverage: Option<Coverage>,
    pub(crate) counterexamples: Vec<Counterexample>,
    pub(crate) flaws: Vec<Flaw>,
    /// The bindings that it was played with.
    pub(crate) bindings: Option<PathBuf>,
}

impl Tested {
    fn took(&self) -> SignedDuration {
        SignedDuration::try_from(self.took).unwrap_or(SignedDuration::MAX)
    }

    /// What plays a case again.
    pub(crate) fn again(&self, case: &Case) -> String {
        let bindings = self.bindings.as_ref().map(|path| format!(" --bindings {}", path.display())).unwrap_or_default();
        format!("lifeboat test {}{bindings} --case '{case}'", self.file)
    }
}

/// `strict`: a flaw of the runbook fails the test.
pub(crate) fn print_for_people(tested: &Tested, strict: bool) {
    let steps = if tested.steps == 1 { "1 step".to_owned() } else { format!("{} steps", tested.steps) };
    data(format_args!("{}  {}, {steps}", styled(STRONG, &tested.file), tested.runbook));
    for Counterexample { broken, case, story } in &tested.counterexamples {
        let head = styled(BAD, format_args!("broken[{}]", broken.code));
        print_story(tested, &format!("{head}: {}", broken.why), broken.code, case, story);
    }
    for Flaw { finding, case, story } in &tested.flaws {
        let head = styled(WARN, format_args!("warning[{}]", finding.code));
        print_story(tested, &format!("{head}: {}", finding.why), finding.code, case, story);
    }
    if let Some(coverage) = tested.coverage.as_ref().filter(|_| tested.cases > 0) {
        data("");
        print_coverage(coverage);
        print_left_out(tested);
    }
    data("");
    data(verdict(tested, strict));
}

fn verdict(tested: &Tested, strict: bool) -> String {
    let cases = match tested.cases {
        1 => "1 case".to_owned(),
        cases => format!("{cases} cases"),
    };
    let again = match tested.replayed {
        0 => String::new(),
        replayed => format!(", {replayed} stored"),
    };
    let played = format!("{cases}{again} in {} (seed {})", elapsed::text(tested.took()), tested.seed);
    let warnings = match tested.flaws.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        flaws => format!(", {flaws} warnings"),
    };
    match tested.counterexamples.len() {
        0 if warnings.is_empty() => format!("{} every invariant held in {played}", styled(GOOD, "ok")),
        0 if strict => format!("{} every invariant held{warnings}, after {played}", styled(BAD, "failed")),
        0 => format!("{} every invariant held in {played}{warnings}", styled(WARN, "ok")),
        1 => format!("{} 1 invariant is broken{warnings}, after {played}", styled(BAD, "failed")),
        broken => format!("{} {broken} invariants are broken{warnings}, after {played}", styled(BAD, "failed")),
    }
}

fn print_story(tested: &Tested, head: &str, code: &str, case: &Case, story: &Story) {
    data(format_args!("\n{head}"));
    data(format_args!("{}", story.to_string().trim_end()));
    data(format_args!("  {} {}", styled(QUIET, "again:"), tested.again(case)));
    hint(format_args!("for details, run `lifeboat explain {code}`"));
}

fn print_coverage(coverage: &Coverage) {
    let heading =
        ["STEP", "SUCCEEDED", "FAILED", "TIMED OUT", "CRASHED", "TAKEN OVER", "INTERRUPTED", "SKIPPED", "UNDONE"]
            .map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    rows.extend(coverage.steps.iter().map(row));
    table::show(&rows);
    for step in coverage.steps.iter().filter(|step| step.untested().next().is_some()) {
        let paths: Vec<&str> = step.untested().collect();
        data(format_args!("{}: no case covers `{}` {}", styled(WARN, "untested"), step.step, paths.join(", ")));
    }
}

fn print_left_out(tested: &Tested) {
    let (all, left_out) = tested.singles;
    if left_out > 0 {
        let head = styled(WARN, "untested");
        data(format_args!(
            "{head}: {left_out} of {all} single faults were not played; use `--cases {}` to play all",
            2 * all + 1
        ));
    }
}

fn row(step: &StepCoverage) -> Vec<String> {
    let count = |cases: Option<u64>| cases.map_or_else(|| "-".to_owned(), |cases| cases.to_string());
    std::iter::once(step.step.to_string()).chain(step.paths().into_iter().map(|(_, cases)| count(cases))).collect()
}

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    files: Vec<FileDocument<'a>>,
}

#[derive(Serialize)]
struct FileDocument<'a> {
    file: &'a str,
    runbook: &'a str,
    cases: u64,
    replayed: usize,
    seed: u64,
    singles: u64,
    singles_left_out: u64,
    seconds: f64,
    broken: Vec<BrokenDocument<'a>>,
    lints: Vec<LintDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<&'a [StepCoverage]>,
    untested: Vec<UntestedDocument<'a>>,
}

#[derive(Serialize)]
struct BrokenDocument<'a> {
    code: &'a str,
    why: &'a str,
    case: String,
    story: &'a [String],
}

#[derive(Serialize)]
struct LintDocument<'a> {
    code: &'a str,
    step: &'a str,
    why: &'a str,
    case: String,
    story: &'a [String],
}

#[derive(Serialize)]
struct UntestedDocument<'a> {
    step: &'a str,
    path: &'a str,
}

fn broken(counterexample: &Counterexample) -> BrokenDocument<'_> {
    let Counterexample { broken, case, story } = counterexample;
    BrokenDocument { code: broken.code, why: &broken.why, case: case.to_string(), story: &story.sentences }
}

fn lint(flaw: &Flaw) -> LintDocument<'_> {
    let Flaw { finding, case, story } = flaw;
    let (step, why) = (finding.step.as_str(), finding.why.as_str());
    LintDocument { code: finding.code, step, why, case: case.to_string(), story: &story.sentences }
}

pub(crate) fn print_json(tested: &[Tested]) -> anyhow::Result<()> {
    json(&Document { format: "lifeboat.test/1", files: tested.iter().map(file).collect() })?;
    Ok(())
}

fn file(tested: &Tested) -> FileDocument<'_> {
    let coverage = tested.coverage.as_ref().filter(|_| tested.cases > 0);
    let untested = coverage.into_iter().flat_map(Coverage::untested);
    FileDocument {
        file: &tested.file,
        runbook: &tested.runbook,
        cases: tested.cases,
        replayed: tested.replayed,
        seed: tested.seed,
        singles: tested.singles.0,
        singles_left_out: tested.singles.1,
        seconds: tested.took.as_secs_f64(),
        broken: tested.counterexamples.iter().map(broken).collect(),
        lints: tested.flaws.iter().map(lint).collect(),
        coverage: coverage.map(|coverage| coverage.steps.as_slice()),
        untested: untested.map(|(step, path)| UntestedDocument { step: step.as_str(), path }).collect(),
    }
}
