//! Runbooks of the tests, and the actions that they use.

use jiff::SignedDuration;
use lifeboat_core::{
    action::{Catalogue, Effect},
    diagnostic::SourceFile,
    plan::{Plan, Variant},
    runbook::{Files, compile_with},
    sketch::{Fields, Repeat, action},
};

use super::subject::Subject;

/// Every kind of step, order, condition and policy.
pub(super) const EVERYTHING: &str = r#"
lifeboat: 1
id: T-1
name: Everything
inputs:
  careful: { type: bool, description: Look twice }
targets:
  server: { kind: postgres, access: write }
  machine: { kind: machine, access: destroy }
steps:
  - id: look
    uses: test/look
    with: { server: server }
    timeout: 5m
    retry: { attempts: 3, on: [transient] }
  - id: tell
    uses: test/tell
    with: { server: server, text: "${{ steps.look.outputs.rows }} rows" }
    on_failure: continue
  - id: double_check
    when: "${{ inputs.careful && steps.look.outputs.rows > 1000 }}"
    uses: test/look
    with: { server: server }
    needs: [look]
  - id: make
    uses: test/make
    with: { machine: machine }
    needs: [look]
    timeout: 10m
    retry: { attempts: 2, on: [transient, interrupted] }
    undo: { uses: test/remove, with: { machine: machine } }
  - id: agree
    needs: [make, double_check]
    approve: { by: [dba], message: "Go on with ${{ steps.make.outputs.name }}?" }
    timeout: 1h
  - id: write
    uses: test/write
    with: { server: server }
    timeout: 10m
    undo: { uses: test/unwrite, with: { server: server } }
  - id: by_hand
    manual:
      instruction: Turn the key
      evidence: { ticket: string }
      verify: { uses: test/look, with: { server: server } }
    timeout: 2h
  - id: last
    uses: test/once
    with: { server: server }
    on_failure: undo
"#;

/// Variants, lists, limits on whole steps, a runbook that is called, and handlers.
const NESTED: &str = r#"
lifeboat: 1
id: T-3
name: Nested
inputs:
  careful: { type: bool, description: Look twice }
targets:
  server: { kind: postgres, access: write }
  machine: { kind: machine, access: destroy }
steps:
  - id: survey
    uses: test/survey
    with: { server: server }
    timeout: { attempt: 5m, step: 30m }
    retry: { attempts: 3, on: [transient] }
  - id: drain
    variant: planned
    uses: test/tell
    with: { server: server, text: "${{ steps.survey.outputs.rows }} rows" }
    on_failure: continue
  - id: seize
    variant: disaster
    needs: [survey]
    uses: test/make
    with: { machine: machine }
    timeout: 10m
    undo: { uses: test/remove, with: { machine: machine } }
  - id: copy
    needs: [drain, seize]
    for_each: "${{ steps.survey.outputs.names }}"
    max_parallel: 2
    uses: test/copy
    with: { server: server, name: "${{ item }}" }
    timeout: { attempt: 10m, step: 1h }
    retry: { attempts: 2, on: [transient, interrupted] }
    undo: { uses: test/uncopy, with: { server: server, name: "${{ item }}" } }
  - id: spare
    needs: [survey]
    for_each: "${{ steps.survey.outputs.names.filter(name, size(name) > 1000) }}"
    uses: test/tell
    with: { server: server, text: "${{ item }}" }
  - id: rebuild
    needs: [copy, spare]
    runbook: rebuild.yaml
    when: "${{ inputs.careful || steps.survey.outputs.rows > 1000 }}"
    inputs: { rows: "${{ steps.survey.outputs.rows }}" }
    targets: { db: server, host: machine }
  - id: check
    uses: test/look
    with: { server: server }
    on_failure: undo
on_failure:
  - id: page
    uses: test/tell
    with: { server: server, text: "${{ run.failed_step }}: ${{ run.failure }}" }
finally:
  - id: farewell
    uses: test/tell
    with: { server: server, text: "It ${{ run.outcome }}." }
    timeout: 1m
    retry: { attempts: 2, on: [transient] }
"#;

/// What the step `rebuild` calls.
const REBUILD: &str = r#"
lifeboat: 1
id: T-4
name: Rebuild
inputs:
  rows: { type: int, description: How many rows there were }
targets:
  db: { kind: postgres, access: write }
  host: { kind: machine, access: destroy }
steps:
  - id: build
    uses: test/make
    with: { machine: host }
    timeout: 10m
    undo: { uses: test/remove, with: { machine: host } }
  - id: fill
    uses: test/write
    with: { server: db }
    timeout: { attempt: 10m, step: 30m }
    undo: { uses: test/unwrite, with: { server: db } }
  - id: compare
    when: "${{ inputs.rows > 0 }}"
    uses: test/look
    with: { server: db }
  - id: commit
    uses: test/once
    with: { server: db }
    on_failure: undo
"#;

/// An approval by two people that expires, behind and before work that can be repeated and taken back.
pub(super) const TWO_PEOPLE: &str = r#"
lifeboat: 1
id: T-5
name: Two people
targets:
  server: { kind: postgres, access: write }
steps:
  - id: announce
    uses: test/tell
    with: { server: server, text: It begins }
    retry: { attempts: 3, on: [transient] }
    undo: { uses: test/unwrite, with: { server: server } }
  - id: look
    uses: test/look
    with: { server: server }
    timeout: 5m
  - id: agree
    needs: [announce, look]
    approve: { by: [dba], message: "Change ${{ steps.look.outputs.rows }} rows?", four_eyes: true, expires: 30m }
  - id: write
    uses: test/write
    with: { server: server }
    retry: { attempts: 2, on: [transient] }
    undo: { uses: test/unwrite, with: { server: server } }
  - id: check
    uses: test/look
    with: { server: server }
    timeout: 5m
    retry: { attempts: 2, on: [transient] }
    on_failure: undo
"#;

/// What can neither be repeated nor looked up by its plugin, and work by hand, in the middle of what is taken back; and handlers
/// that cannot be repeated.
pub(super) const UNSEEN: &str = r#"
lifeboat: 1
id: T-6
name: Unseen
targets:
  server: { kind: postgres, access: write }
steps:
  - id: look
    uses: test/look
    with: { server: server }
  - id: once
    uses: test/once
    with: { server: server }
    timeout: 10m
    undo: { uses: test/unwrite, with: { server: server } }
  - id: by_hand
    manual: { instruction: Turn the key, evidence: { ticket: string } }
    timeout: 2h
    undo: { uses: test/unwrite, with: { server: server } }
  - id: check
    uses: test/look
    with: { server: server }
    on_failure: undo
on_failure:
  - id: page
    uses: test/once
    with: { server: server }
finally:
  - id: farewell
    uses: test/write
    with: { server: server }
"#;

/// The runbook with the actions of the tests, in the virtual world.
pub(super) fn subject(runbook: &str) -> Subject {
    played(plan(runbook))
}

/// A variant of the runbook that calls another.
pub(super) fn nested(variant: Variant) -> Plan {
    plan(NESTED).of_variant(variant)
}

/// A plan in the virtual world.
pub(super) fn played(plan: Plan) -> Subject {
    Subject::new(plan, SignedDuration::from_hours(1))
}

/// The one file that a runbook of the tests calls.
struct Beside;

impl Files for Beside {
    fn file(&self, _from: &str, path: &str) -> Result<SourceFile, String> {
        match path {
            "rebuild.yaml" => Ok(file(path, REBUILD)),
            _ => Err("no such file".to_owned()),
        }
    }
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.to_owned(), text: text.trim_start().to_owned() }
}

fn plan(runbook: &str) -> Plan {
    let compiled = compile_with(&file("test.yaml", runbook), &catalogue(), &Beside);
    compiled.plan.unwrap_or_else(|| panic!("the runbook is wrong: {:#?} {:#?}", compiled.diagnostics, compiled.called))
}

fn catalogue() -> Catalogue {
    use Effect::{Destroy, Mutate, Read};
    use Repeat::{Idempotent, Observable, Opaque};
    let action = |name: &str, effect, repeat, parameters: Fields<'_>, outputs: Fields<'_>| {
        action(&format!("test/{name}"), effect, repeat, parameters, outputs)
    };
    let (read, write) = (("server", "target<postgres:read>"), ("server", "target<postgres:write>"));
    let (machine, name) = (("machine", "target<machine:destroy>"), ("name", "string"));
    Catalogue::new([
        action("look", Read, Idempotent, &[read], &[("rows", "int")]),
        action("tell", Mutate, Idempotent, &[write, ("text", "string")], &[]),
        action("make", Destroy, Observable, &[machine], &[name]),
        action("remove", Destroy, Idempotent, &[machine], &[]),
        action("write", Mutate, Observable, &[write], &[("rows", "int")]),
        action("unwrite", Mutate, Idempotent, &[write], &[]),
        action("survey", Read, Idempotent, &[read], &[("rows", "int"), ("names", "list<string>")]),
        action("copy", Mutate, Observable, &[write, name], &[]),
        action("uncopy", Mutate, Idempotent, &[write, name], &[]),
        action("once", Mutate, Opaque, &[write], &[]),
        action("page", Mutate, Idempotent, &[("channel", "target<notify:write>")], &[]),
        action("renew", Destroy, Idempotent, &[machine], &[]),
        action("inspect", Read, Idempotent, &[("machine", "target<machine:read>")], &[]),
    ])
}
