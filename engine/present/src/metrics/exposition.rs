//! The text format of Prometheus, as the textfile collector reads it: each family once, its help and its type before its samples, no label set
//! twice, no time behind a value.

use std::{collections::BTreeMap, fmt::Write as _};

/// The labels of a sample.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

/// A metric with its samples, by their labels: what is put a second time replaces what was there.
pub(super) struct Family {
    name: String,
    help: String,
    samples: BTreeMap<Vec<(&'static str, String)>, f64>,
}

impl Family {
    pub(super) fn new(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.into(), help: help.into(), samples: BTreeMap::new() }
    }

    pub(super) fn put<const N: usize>(&mut self, labels: Labels<'_, N>, value: f64) {
        let labels = labels.map(|(name, value)| (name, value.to_owned())).to_vec();
        self.samples.insert(labels, value);
    }

    /// The family with those labels in each sample; nothing where there is no sample.
    pub(super) fn text(&self, more: &[(String, String)]) -> String {
        if self.samples.is_empty() {
            return String::new();
        }
        let Self { name, help, samples } = self;
        let mut text = format!("# HELP {name} {}\n# TYPE {name} gauge\n", escaped(help, false));
        for (labels, value) in samples {
            let own = labels.iter().map(|(name, value)| (*name, value.as_str()));
            let all = own.chain(more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let all: Vec<String> = all.map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true))).collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}{{{}}} {}", all.join(","), number(*value));
        }
        text
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let mut escaped = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quotes {
        escaped = escaped.replace('"', "\\\"");
    }
    escaped
}

fn number(value: f64) -> String {
    if value == f64::INFINITY { "+Inf".to_owned() } else { value.to_string() }
}
