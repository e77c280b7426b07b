//! A runbook, bindings and inputs that are given together: all their problems are found at once.

use std::collections::BTreeMap;

use lifeboat_core::{
    diagnostic::{Diagnostic, Severity},
    inputs,
};
use serde_json::Value;

use crate::{Bound, Ready, Runbook, Wrong, source::Checked};

/// What a run is to begin with, with everything that was found in it.
#[derive(Debug)]
pub struct Prepared {
    /// The runbook.
    pub runbook: Checked,
    /// The bindings, checked against the runbook.
    pub bindings: Checked,
    /// Every input with its value, or what is wrong with those that were given; `None` where the runbook does not say what they are.
    pub inputs: Option<Result<Value, Vec<Diagnostic>>>,
}

impl Prepared {
    /// Checks them against each other.
    pub fn new(runbook: Checked, bindings: Checked, given: &BTreeMap<String, String>) -> Self {
        let Some(plan) = runbook.plan() else { return Self { runbook, bindings, inputs: None } };
        let (bindings, inputs) = (bindings.against(plan), Some(inputs::resolve(plan, given)));
        Self { runbook, bindings, inputs }
    }

    /// Whether one of the files has errors.
    pub fn is_wrong(&self) -> bool {
        self.runbook.count(Severity::Error) + self.bindings.count(Severity::Error) > 0
    }

    /// What a run begins with.
    ///
    /// # Errors
    /// The first file with errors; of wrong inputs, the runbook with what is wrong with them.
    pub fn ready(self) -> Result<Ready, Wrong> {
        let Runbook { plan, sources } = Runbook::of(self.runbook)?;
        let bound = Bound::of(self.bindings)?;
        match self.inputs.unwrap_or_else(|| Err(Vec::new())) {
            Ok(inputs) => Ok(Ready { plan, sources, bound, inputs }),
            Err(diagnostics) => Err(Wrong { file: sources.runbook, diagnostics }),
        }
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::{
        action::{Catalogue, Effect},
        diagnostic::SourceFile,
        event::{Mode, Person},
        name::RunId,
        sketch::{Repeat, action},
    };
    use serde_json::json;

    use super::*;
    use crate::{Order, source};

    const RUNBOOK: &str = "lifeboat: 1\nid: DR-009\nname: Mark the server\ninputs:\n  rows: { type: int }\ntargets:\n  \
        primary: { kind: postgres, access: write }\nsteps:\n  - id: mark\n    uses: pg/mark\n    \
        with: { server: primary, rows: \"${{ inputs.rows }}\" }\n    timeout: 1m\n";
    const BINDINGS: &str = "lifeboat: 1\npeople:\n  dba: [ada]\ntargets:\n  primary: { kind: postgres, access: write, \
        host: db1, port: 5432, user: u, database: d, system_identifier: \"7423000000000000001\" }\n";

    fn catalogue() -> Catalogue {
        let parameters = [("server", "target<postgres:write>"), ("rows", "int")];
        Catalogue::new([action("pg/mark", Effect::Mutate, Repeat::Idempotent, &parameters, &[])])
    }

    fn prepared(runbook: &str, bindings: &str, rows: &str) -> Prepared {
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), text: text.to_owned() };
        let runbook = source::check_runbook(file("runbook.yaml", runbook), &catalogue());
        let bindings = source::check_bindings(file("bindings.yaml", bindings));
        Prepared::new(runbook, bindings, &BTreeMap::from([("rows".to_owned(), rows.to_owned())]))
    }

    #[test]
    fn a_run_is_what_its_files_and_its_inputs_say() {
        let ready = prepared(RUNBOOK, BINDINGS, "3").ready().unwrap();
        let who = Person::User { name: "ada".to_owned() };
        let run = RunId::new("dr-009-20261121-7f3a").unwrap();
        let new = ready.into_run(Order { run, mode: Mode::Real, who, onset: None });
        assert_eq!((new.runbook_source, new.bindings_source), (RUNBOOK.into(), BINDINGS.into()));
        assert_eq!((new.runbook_path, new.called_sources), (None, Vec::new()));
        assert_eq!((new.inputs, new.plan.steps.len()), (json!({ "rows": 3 }), 1));
        assert_eq!(new.leases, ["postgres:7423000000000000001", "postgres:db1:5432"]);
        assert_eq!(new.people, BTreeMap::from([("dba".to_owned(), vec!["ada".to_owned()])]));
        assert!(new.targets.keys().map(ToString::to_string).eq(["primary"]), "{:?}", new.targets);
    }

    #[test]
    fn everything_that_is_wrong_is_found_at_once() {
        let check = |runbook: &str, bindings: &str, rows: &str, (wrong, inputs): (Option<&str>, bool)| {
            let prepared = prepared(runbook, bindings, rows);
            assert_eq!(prepared.is_wrong(), wrong.is_some(), "{prepared:?}");
            assert_eq!(matches!(prepared.inputs, Some(Err(_))), inputs, "{prepared:?}");
            let first = prepared.ready().err().map(|wrong| wrong.file.name);
            assert_eq!(first.as_deref(), wrong.or(inputs.then_some("runbook.yaml")));
        };
        let (typo, nobody) = (RUNBOOK.replace("uses:", "use:"), BINDINGS.replace("primary", "other"));
        check(RUNBOOK, BINDINGS, "3", (None, false));
        check(RUNBOOK, BINDINGS, "three", (None, true));
        check(RUNBOOK, &nobody, "three", (Some("bindings.yaml"), true));
        check(&typo, &nobody, "three", (Some("runbook.yaml"), false));
    }
}
