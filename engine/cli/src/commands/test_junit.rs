//! What `lifeboat test` prints for continuous integration: JUnit's XML.
//!
//! Each lint is a test case that always has the same name, so that its history can be followed. What it found fails it where that is
//! asked; otherwise it is the output of a test that passed, which JUnit has no better word for.

use lifeboat_present::xml::escape;
use lifeboat_virtual::{Flaw, invariants, lints};

use super::test_report::Tested;
use crate::output::data;

/// One suite a file, one test case an invariant or a lint. `strict`: a flaw of the runbook fails its test case.
pub(crate) fn print(tested: &[Tested], strict: bool) {
    data("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    data("<testsuites name=\"lifeboat test\">");
    tested.iter().for_each(|tested| print_suite(tested, strict));
    data("</testsuites>");
}

fn print_suite(tested: &Tested, strict: bool) {
    let (name, seconds) = (escape(&tested.file), tested.took.as_secs_f64());
    let flawed = lints::ALL.iter().filter(|lint| flaws(tested, lint.code).next().is_some()).count();
    let tests = invariants::ALL.len() + lints::ALL.len();
    let failures = tested.counterexamples.len() + if strict { flawed } else { 0 };
    data(format_args!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" time=\"{seconds:.3}\">"));
    for invariant in &invariants::ALL {
        let broken = tested.counterexamples.iter().find(|found| found.broken.code == invariant.code);
        let failure = broken.map(|found| {
            let story = format!("{}\nagain: {}", found.story, tested.again(&found.case));
            (found.broken.why.clone(), story)
        });
        print_case(tested, invariant.code, failure.as_ref(), true);
    }
    for lint in &lints::ALL {
        let whys: Vec<&str> = flaws(tested, lint.code).map(|flaw| flaw.finding.why.as_str()).collect();
        let stories: Vec<String> = flaws(tested, lint.code).map(|flaw| story(tested, flaw)).collect();
        let found = (!whys.is_empty()).then(|| (whys.join("; "), stories.join("\n\n")));
        print_case(tested, lint.code, found.as_ref(), strict);
    }
    data("  </testsuite>");
}

fn flaws<'a>(tested: &'a Tested, code: &'a str) -> impl Iterator<Item = &'a Flaw> {
    tested.flaws.iter().filter(move |flaw| flaw.finding.code == code)
}

fn story(tested: &Tested, flaw: &Flaw) -> String {
    format!("warning: {}\n{}\nagain: {}", flaw.finding.why, flaw.story, tested.again(&flaw.case))
}

/// A test case, with what was found and its story.
fn print_case(tested: &Tested, name: &str, found: Option<&(String, String)>, fails: bool) {
    let head = format!("    <testcase classname=\"{}\" name=\"{name}\"", escape(&tested.runbook));
    let Some((why, story)) = found.map(|(why, story)| (escape(why), escape(story))) else {
        return data(format_args!("{head}/>"));
    };
    if fails {
        data(format_args!("{head}><failure message=\"{why}\">{story}</failure></testcase>"));
    } else {
        data(format_args!("{head}><system-out>{story}</system-out></testcase>"));
    }
}
