//! A message, before it has the form of its channel.

/// How loud a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What the formats are made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) title: Option<&'a str>,
    pub(crate) text: &'a str,
    pub(crate) severity: Severity,
    pub(crate) run: &'a str,
    pub(crate) key: &'a str,
    pub(crate) sent_at_ms: u64,
}
