//! Large runbooks.

use std::fmt::Write;

use lifeboat_core::runbook::compile;

use crate::{catalogue::catalogue, text};

#[test]
fn ten_thousand_steps_compile() {
    let mut source =
        "lifeboat: 1\nid: T\nname: T\ntargets: { db: { kind: postgres, access: read } }\nsteps:\n".to_owned();
    for step in 0..10_000 {
        let table =
            if step == 0 { "public.t".to_owned() } else { format!("${{{{ steps.s{}.outputs.xid }}}}", step - 1) };
        writeln!(source, "  - {{ id: s{step}, uses: test/find, with: {{ server: db, table: \"{table}\" }} }}")
            .expect("a string");
    }
    let compiled = compile(&text(&source), &catalogue());
    assert_eq!(compiled.diagnostics, []);
    assert_eq!(compiled.plan.expect("a plan").steps.len(), 10_000);
}
