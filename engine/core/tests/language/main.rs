//! The language as its users meet it: whole files in, plans and diagnostics out.

mod bindings;
mod calls;
mod catalogue;
mod drills;
mod feasibility;
mod handlers;
mod hostile;
mod modifiers;
mod pages;
mod runbooks;
mod schemas;
mod size;
mod slips;
mod variants;

use std::path::Path;

use lifeboat_core::{diagnostic::SourceFile, event::RunStarted, name::RunId, plan::Plan, sketch};

/// A file of `tests/files`.
#[expect(clippy::disallowed_methods, reason = "the core reads no files; its tests do")]
fn file(name: &str) -> SourceFile {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    let bytes = std::fs::read(&path).expect(name);
    SourceFile::from_bytes(name, &bytes).expect(name)
}

/// A file made up by a test.
fn text(text: &str) -> SourceFile {
    SourceFile::from_bytes("test.yaml", text.as_bytes()).expect("a text is UTF-8")
}

/// How a real run of the plan starts, without inputs and targets.
fn started(plan: &Plan) -> RunStarted {
    sketch::started(plan, &RunId::new("t-1").expect("a name"))
}
