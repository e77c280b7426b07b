//! Test suites, for continuous integration and dashboards, in the form that Jenkins and GitLab read: no attribute is empty, no time is
//! negative, and a failure has a type and a message.

use std::fmt::Write as _;

use jiff::{Timestamp, tz::TimeZone};

use crate::xml::escape;

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed(String),
    Failure(String),
    Error(String),
    Skipped(String),
}

/// A test case.
pub(crate) struct TestCase {
    pub(crate) class: &'static str,
    pub(crate) name: String,
    /// How long it took, where that is known.
    pub(crate) seconds: Option<f64>,
    pub(crate) result: Ended,
}

/// One run.
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) attributes: String,
    pub(crate) properties: Vec<(&'static str, String)>,
    pub(crate) cases: Vec<TestCase>,
}

/// The document.
pub(crate) fn document(name: &str, suites: &[Suite]) -> String {
    let all = counts(suites.iter().flat_map(|suite| &suite.cases));
    let mut document = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // The schema of Jenkins's xUnit plugin knows no `skipped` here.
    let all = all.split(" skipped").next().unwrap_or_default();
    put(&mut document, format_args!("<testsuites name=\"{name}\" {all}>\n"));
    suites.iter().for_each(|suite| suite.write(&mut document));
    document.push_str("</testsuites>\n");
    document
}

/// When and where a suite ran, and for how long. The format has no place for a zone: it is UTC.
pub(crate) fn held(from: Timestamp, until: Timestamp, host: Option<&str>) -> String {
    let at = from.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S");
    let host = host.map(|host| format!(" hostname=\"{}\"", escape(host))).unwrap_or_default();
    // A clock that was set back makes no length negative.
    let seconds = until.duration_since(from).as_secs_f64().max(0.0);
    format!(" timestamp=\"{at}\"{host} time=\"{seconds:.3}\"")
}

fn put(document: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = document.write_fmt(text);
}

fn counts<'a>(cases: impl Iterator<Item = &'a TestCase> + Clone) -> String {
    let count = |is: fn(&Ended) -> bool| cases.clone().filter(|case| is(&case.result)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        cases.clone().count(),
        count(|result| matches!(result, Ended::Failure(_))),
        count(|result| matches!(result, Ended::Error(_))),
        count(|result| matches!(result, Ended::Skipped(_)))
    )
}

impl Suite {
    fn write(&self, document: &mut String) {
        let (name, counts) = (escape(&self.name), counts(self.cases.iter()));
        put(document, format_args!("  <testsuite name=\"{name}\"{} {counts}>\n", self.attributes));
        if !self.properties.is_empty() {
            document.push_str("    <properties>\n");
            for (name, value) in &self.properties {
                put(document, format_args!("      <property name=\"{name}\" value=\"{}\"/>\n", escape(value)));
            }
            document.push_str("    </properties>\n");
        }
        self.cases.iter().for_each(|case| case.write(document));
        document.push_str("  </testsuite>\n");
    }
}

impl TestCase {
    fn write(&self, document: &mut String) {
        let time = self.seconds.map(|seconds| format!(" time=\"{:.3}\"", seconds.max(0.0))).unwrap_or_default();
        let head = format!("    <testcase classname=\"{}\" name=\"{}\"{time}", self.class, escape(&self.name));
        let (element, said) = match &self.result {
            Ended::Passed(said) => {
                return put(document, format_args!("{head}><system-out>{}</system-out></testcase>\n", escape(said)));
            }
            Ended::Skipped(said) => {
                return put(document, format_args!("{head}><skipped message=\"{}\"/></testcase>\n", escape(said)));
            }
            Ended::Failure(said) => ("failure type=\"missed\"", said),
            Ended::Error(said) => ("error type=\"unmeasured\"", said),
        };
        let first = said.lines().next().unwrap_or_default();
        let (end, first, said) = (element.split(' ').next().unwrap_or_default(), escape(first), escape(said));
        put(document, format_args!("{head}><{element} message=\"{first}\">{said}</{end}></testcase>\n"));
    }
}
