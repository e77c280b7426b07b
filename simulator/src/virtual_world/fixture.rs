//! Runbooks of the tests, and the actions that they use.

use jiff::SignedDuration;
use lifeboat_core::{
    action::{Action, Catalogue, Effect, Field},
    diagnostic::SourceFile,
    name::ActionName,
    plan::Plan,
    runbook::compile,
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

/// The runbook with the actions of the tests, in the virtual world.
pub(super) fn subject(runbook: &str) -> Subject {
    Subject::new(plan(runbook), SignedDuration::from_hours(1))
}

fn plan(runbook: &str) -> Plan {
    let file = SourceFile { name: "test.yaml".to_owned(), text: runbook.trim_start().to_owned() };
    let compiled = compile(&file, &catalogue());
    compiled.plan.unwrap_or_else(|| panic!("the runbook is wrong: {:#?}", compiled.diagnostics))
}

fn catalogue() -> Catalogue {
    let on_server = |access: &str| field("server", &format!("target<postgres:{access}>"));
    let on_machine = field("machine", "target<machine:destroy>");
    Catalogue::new([
        Action { idempotent: true, ..action("look", Effect::Read, vec![on_server("read")], &[("rows", "int")]) },
        Action {
            idempotent: true,
            ..action("tell", Effect::Mutate, vec![on_server("write"), field("text", "string")], &[])
        },
        Action { observable: true, ..action("make", Effect::Destroy, vec![on_machine.clone()], &[("name", "string")]) },
        Action { idempotent: true, ..action("remove", Effect::Destroy, vec![on_machine], &[]) },
        Action { observable: true, ..action("write", Effect::Mutate, vec![on_server("write")], &[("rows", "int")]) },
        Action { idempotent: true, ..action("unwrite", Effect::Mutate, vec![on_server("write")], &[]) },
        action("once", Effect::Mutate, vec![on_server("write")], &[]),
    ])
}

fn action(name: &str, effect: Effect, parameters: Vec<Field>, outputs: &[(&str, &str)]) -> Action {
    Action {
        name: ActionName::new(&format!("test/{name}")).unwrap(),
        doc: format!("{name} of the tests."),
        parameters,
        outputs: outputs.iter().map(|(name, ty)| field(name, ty)).collect(),
        effect,
        idempotent: false,
        observable: false,
    }
}

fn field(name: &str, ty: &str) -> Field {
    Field { name: name.to_owned(), doc: format!("The {name}."), ty: ty.parse().unwrap(), required: true }
}
