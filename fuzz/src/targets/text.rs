//! Files of authors and operators: read whole or refused with diagnostics that lie in the file.

use lifeboat_core::{
    bindings,
    diagnostic::{self, Diagnostic, Severity, SourceFile},
    runbook,
};

use super::world::catalogue;

/// A runbook from any bytes.
pub(crate) fn runbook(data: &[u8]) {
    let Ok(file) = SourceFile::from_bytes("runbook.yaml", data) else { return };
    let compiled = runbook::compile(&file, &catalogue());
    shown(&file, &compiled.diagnostics);
    assert_eq!(compiled.plan.is_none(), has_errors(&compiled.diagnostics), "a plan, or an error");
    if let Some(plan) = compiled.plan {
        let stored = serde_json::to_vec(&plan).expect("a plan can be stored");
        let loaded = serde_json::from_slice(&stored).expect("a stored plan can be loaded");
        assert_eq!(plan, loaded, "a plan survives its file");
    }
}

/// Whether it is a runbook without a fault.
#[cfg(test)]
pub(crate) fn is_compiled(text: &str) -> bool {
    super::world::plan(text).is_some()
}

/// A bindings file from any bytes.
pub(crate) fn bindings(data: &[u8]) {
    let Ok(file) = SourceFile::from_bytes("bindings.yaml", data) else { return };
    let parsed = bindings::parse(&file);
    shown(&file, &parsed.diagnostics);
    assert_eq!(parsed.bindings.is_none(), has_errors(&parsed.diagnostics), "bindings, or an error");
    if let Some(bindings) = parsed.bindings {
        serde_json::to_vec(&bindings.facts()).expect("facts can be journalled");
    }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|found| found.severity == Severity::Error)
}

fn shown(file: &SourceFile, diagnostics: &[Diagnostic]) {
    for found in diagnostics {
        assert!(found.span.start <= found.span.end && found.span.end <= file.text.len(), "{found:?}");
    }
    let _ = diagnostic::render(file, diagnostics, true);
}
