//! Collects findings while a file is read.

use super::{Code, Diagnostic, Severity, SourceFile, Span, codes};

/// How many findings of one file are kept; nobody reads more of a hostile file.
const FINDINGS_MAX: usize = 1_000;

/// The findings of one file so far.
pub(crate) struct Findings<'a> {
    /// The file.
    pub(crate) file: &'a SourceFile,
    list: Vec<Diagnostic>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(file: &'a SourceFile) -> Self {
        Self { file, list: Vec::new() }
    }

    /// The findings of a file in which these were found before.
    pub(crate) fn with(file: &'a SourceFile, list: Vec<Diagnostic>) -> Self {
        Self { file, list }
    }

    /// Adds a finding; `label` stands under the underlined text.
    pub(crate) fn add(&mut self, code: Code, span: Span, message: impl Into<String>, label: impl Into<String>) {
        self.add_with(code, span, message, label, None);
    }

    /// Adds a finding that says what would be right.
    pub(crate) fn add_with(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
        help: Option<String>,
    ) {
        if self.list.len() >= FINDINGS_MAX {
            return self.drop(code.severity, span);
        }
        let (message, label) = (message.into(), label.into());
        self.list.push(Diagnostic { code: code.id, severity: code.severity, message, span, label, help });
    }

    /// Says once that there is more, as grave as the gravest of it.
    fn drop(&mut self, severity: Severity, span: Span) {
        let says_so = |finding: &&Diagnostic| finding.code == codes::MORE.id && finding.severity <= severity;
        if self.list.last().as_ref().is_some_and(says_so) {
            return;
        }
        let (message, label) = (format!("more than {FINDINGS_MAX} problems"), "more problems from here on".to_owned());
        self.list.push(Diagnostic { code: codes::MORE.id, severity, message, span, label, help: None });
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The findings in the order of the file.
    pub(crate) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| (a.span.start, a.span.line, a.code).cmp(&(b.span.start, b.span.line, b.code)));
        self.list
    }
}
