//! Files of other crates in the same YAML: checked against a table of keys as runbooks are, then decoded.

use serde::de::DeserializeOwned;

use crate::{
    diagnostic::{Diagnostic, Findings, SourceFile, Span, codes},
    grammar::{self, check},
    yaml::{self, Node, Yaml},
};

pub use crate::grammar::{Field, Object, Shape, optional, required};

/// The JSON schema of such a file.
pub fn schema(grammar: &'static Object, id: &str, title: &str) -> serde_json::Value {
    grammar::schema(grammar, id, title)
}

/// A file of the language with these values.
pub fn write(value: &serde_json::Value) -> String {
    serde_yaml::to_string(value).unwrap_or_else(|error| unreachable!("a JSON value is a YAML value: {error}"))
}

/// A file that was read and checked against its grammar.
pub struct Document<'a> {
    findings: Findings<'a>,
    root: Option<Node>,
}

impl<'a> Document<'a> {
    /// Reads the file and notes everything in which it differs from its grammar.
    pub fn read(file: &'a SourceFile, grammar: &'static Object) -> Self {
        let mut findings = Findings::new(file);
        let root = yaml::read(&mut findings);
        if let Some(root) = &root {
            check(&mut findings, root, &Shape::Object(grammar));
        }
        Self { findings, root }
    }

    /// Reads a file of another grammar, for those who only look for something in it.
    pub fn look_into(file: &'a SourceFile) -> Self {
        let mut findings = Findings::new(file);
        let root = yaml::read(&mut findings);
        Self { findings, root }
    }

    /// Where the value under these keys stands; none where it is missing.
    pub fn place(&self, path: &[&str]) -> Option<Span> {
        Some(self.node(path)?.span)
    }

    /// The value under these keys, each below the one before (in a list, its place from 0); none where it is missing or does not fit
    /// the type.
    pub fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Option<T> {
        serde_json::from_value(self.node(path)?.to_json()).ok()
    }

    /// Notes that the value under these keys does not fit the rest of the file.
    pub fn contradiction(&mut self, path: &[&str], message: impl Into<String>, label: impl Into<String>) {
        let span = self.node(path).map(|node| node.span).unwrap_or_default();
        self.findings.add(codes::CONTRADICTION, span, message, label);
    }

    /// The same, with what would be right.
    pub fn contradiction_with_help(
        &mut self,
        path: &[&str],
        message: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) {
        let span = self.node(path).map(|node| node.span).unwrap_or_default();
        self.findings.add_with(codes::CONTRADICTION, span, message, label, Some(help.into()));
    }

    /// The whole file, or everything that is wrong with it, in its order.
    ///
    /// # Errors
    /// All findings, warnings among them, where one is an error or the type knows less than the grammar.
    pub fn finish<T: DeserializeOwned>(mut self) -> Result<T, Vec<Diagnostic>> {
        if !self.findings.has_errors() {
            let json = self.root.as_ref().map(Node::to_json).unwrap_or_default();
            match serde_json::from_value(json) {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let span = self.node(&[]).map(|node| node.span).unwrap_or_default();
                    self.findings.add(codes::WRONG_SHAPE, span, error.to_string(), "in this file");
                }
            }
        }
        Err(self.findings.into_sorted())
    }

    fn node(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self.root.as_ref()?, |node, key| match &node.value {
            Yaml::List(items) => items.get(key.parse::<usize>().ok()?),
            _ => node.get(key),
        })
    }
}
