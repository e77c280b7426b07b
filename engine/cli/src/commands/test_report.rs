//! What `lifeboat test` prints: stories and a table for people, JSON and JUnit's XML for programs.

use std::time::Duration;

use jiff::SignedDuration;
use lifeboat_simulator::{
    report::escape,
    virtual_world::{Counterexample, Coverage, StepCoverage, invariants},
};
use serde::Serialize;

use crate::{
    elapsed,
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
    pub(crate) took: Duration,
    /// `None` where a single case was played.
    pub(crate) coverage: Option<Coverage>,
    pub(crate) counterexamples: Vec<Counterexample>,
}

impl Tested {
    fn took(&self) -> SignedDuration {
        SignedDuration::try_from(self.took).unwrap_or(SignedDuration::MAX)
    }

    /// What plays a counterexample again.
    fn again(&self, counterexample: &Counterexample) -> String {
        format!("lifeboat test {} --case '{}'", self.file, counterexample.case)
    }
}

pub(crate) fn print_for_people(tested: &Tested) {
    let steps = if tested.steps == 1 { "1 step".to_owned() } else { format!("{} steps", tested.steps) };
    data(format_args!("{}  {}, {steps}", styled(STRONG, &tested.file), tested.runbook));
    for counterexample in &tested.counterexamples {
        print_story(tested, counterexample);
    }
    if let Some(coverage) = tested.coverage.as_ref().filter(|_| tested.cases > 0) {
        data("");
        print_coverage(coverage);
    }
    data("");
    data(verdict(tested));
}

fn verdict(tested: &Tested) -> String {
    let cases = match tested.cases {
        1 => "1 case".to_owned(),
        cases => format!("{cases} cases"),
    };
    let again = match tested.replayed {
        0 => String::new(),
        replayed => format!(", {replayed} stored"),
    };
    let played = format!("{cases}{again} in {} (seed {})", elapsed::text(tested.took()), tested.seed);
    match tested.counterexamples.len() {
        0 => format!("{} every invariant held in {played}", styled(GOOD, "ok")),
        1 => format!("{} 1 invariant is broken, after {played}", styled(BAD, "failed")),
        broken => format!("{} {broken} invariants are broken, after {played}", styled(BAD, "failed")),
    }
}

fn print_story(tested: &Tested, counterexample: &Counterexample) {
    let code = counterexample.broken.code;
    data(format_args!("\n{}: {}", styled(BAD, format_args!("broken[{code}]")), counterexample.broken.why));
    data(format_args!("{}", counterexample.story.to_string().trim_end()));
    data(format_args!("  {} {}", styled(QUIET, "again:"), tested.again(counterexample)));
    hint(format_args!("`lifeboat explain {code}` tells more"));
}

fn print_coverage(coverage: &Coverage) {
    let heading =
        ["STEP", "SUCCEEDED", "FAILED", "TIMED OUT", "CRASHED", "INTERRUPTED", "SKIPPED", "UNDONE"].map(str::to_owned);
    let mut rows = vec![heading.to_vec()];
    rows.extend(coverage.steps.iter().map(row));
    table::lines(&rows).into_iter().for_each(data);
    for (step, path) in coverage.untested() {
        data(format_args!("{}: no case shows `{step}` {path}", styled(WARN, "untested")));
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
    seconds: f64,
    broken: Vec<BrokenDocument<'a>>,
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
struct UntestedDocument<'a> {
    step: &'a str,
    path: &'a str,
}

fn broken(counterexample: &Counterexample) -> BrokenDocument<'_> {
    let Counterexample { broken, case, story } = counterexample;
    BrokenDocument { code: broken.code, why: &broken.why, case: case.to_string(), story: &story.sentences }
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
        seconds: tested.took.as_secs_f64(),
        broken: tested.counterexamples.iter().map(broken).collect(),
        coverage: coverage.map(|coverage| coverage.steps.as_slice()),
        untested: untested.map(|(step, path)| UntestedDocument { step: step.as_str(), path }).collect(),
    }
}

/// One suite a file, one test case an invariant.
pub(crate) fn print_junit(tested: &[Tested]) {
    data("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    data("<testsuites name=\"lifeboat test\">");
    tested.iter().for_each(print_suite);
    data("</testsuites>");
}

fn print_suite(tested: &Tested) {
    let (name, seconds) = (attribute(&tested.file), tested.took.as_secs_f64());
    let (tests, failures) = (invariants::ALL.len(), tested.counterexamples.len());
    data(format_args!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">"));
    for invariant in &invariants::ALL {
        let head = format!("    <testcase classname=\"{}\" name=\"{}\"", attribute(&tested.runbook), invariant.code);
        match tested.counterexamples.iter().find(|counterexample| counterexample.broken.code == invariant.code) {
            None => data(format_args!("{head}/>")),
            Some(counterexample) => {
                let (why, again) = (attribute(&counterexample.broken.why), tested.again(counterexample));
                let story = attribute(&format!("{}\nagain: {again}", counterexample.story));
                data(format_args!("{head}><failure message=\"{why}\">{story}</failure></testcase>"));
            }
        }
    }
    data("  </testsuite>");
}

/// Text within XML: markup is written out, and what XML can not hold at all is left out.
fn attribute(text: &str) -> String {
    let held: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    escape(&held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(attribute("a<b> & \"c\"\u{1b}"), "a&lt;b&gt; &amp; &quot;c&quot;");
    }
}
