//! Compares a drill with the runbooks that it names: what it says about their steps, roles and inputs must be true.

use std::{collections::BTreeMap, path::Path};

use lifeboat_core::{
    action::Catalogue,
    diagnostic::{Diagnostic, SourceFile, meant},
    document::Document,
    plan::{Plan, Variant},
};
use lifeboat_launch::{Runbook, Wrong, source};
use serde_json::Value;

use super::{
    breakages::{self, Breakable},
    entries::TimelineEntry,
    error::DrillError,
    hold::{hold_action, refuse_nested},
    points,
    request::{DrillRequest, read},
    roles,
    spec::DrillSpec,
};

/// Where the text of a runbook comes from, by its name in the drill file.
type Texts<'t> = dyn Fn(&str) -> Result<SourceFile, DrillError> + 't;

/// All problems of a drill file, and of what it says about its runbooks, which are beside it. The problems within a runbook are only
/// counted.
pub fn check(file: &SourceFile, catalogue: &Catalogue) -> Vec<Diagnostic> {
    let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    compare(file, catalogue, &|name| read(&folder.join(name))).diagnostics
}

impl DrillRequest {
    /// Whether the drill can be held according to its files: its runbooks have no errors, hold no drill themselves, and match the
    /// drill file.
    ///
    /// # Errors
    /// Everything that is wrong with the drill file and its runbooks.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), DrillError> {
        compare(&self.file, catalogue, &|name| self.runbook(name)).result(&self.file)
    }
}

impl DrillError {
    /// Adds everything that is wrong with the runbooks of a drill file that is wrong itself, and what does not match them.
    #[must_use]
    pub fn with_runbooks(self, catalogue: &Catalogue) -> Self {
        match self {
            // A file that is no text has nothing else in it.
            Self::Diagnostics { ref file, .. } if !file.text.is_empty() => {
                let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
                let compared = compare(file, catalogue, &|name| read(&folder.join(name)));
                compared.result(file).err().unwrap_or(self)
            }
            other => other,
        }
    }
}

/// What was found.
struct Compared {
    /// In the drill file.
    diagnostics: Vec<Diagnostic>,
    /// In the runbooks.
    runbooks: Vec<Wrong>,
    /// A runbook that holds a drill itself, which is one of the findings.
    nested: Option<DrillError>,
}

impl Compared {
    fn result(self, file: &SourceFile) -> Result<(), DrillError> {
        let Self { diagnostics, runbooks, nested } = self;
        match (diagnostics.len(), nested) {
            (0, _) => Ok(()),
            (1, Some(nested)) => Err(nested),
            _ => Err(DrillError::Diagnostics { file: file.clone(), diagnostics, runbooks }),
        }
    }
}

fn compare(file: &SourceFile, catalogue: &Catalogue, texts: &Texts<'_>) -> Compared {
    let mut document = DrillSpec::document(file);
    let catalogue = &with_drills(catalogue);
    let entries = TimelineEntry::all(&document).unwrap_or_default();
    let mut runbooks = Runbooks { catalogue, texts, plans: BTreeMap::new(), wrong: Vec::new(), nested: None };
    let mut is_whole = entries.iter().all(|entry| entry.key.is_some());
    for entry in &entries {
        let Some(executed) = entry.under("recover").or_else(|| entry.under("routine")) else { continue };
        let Some(name) = executed["runbook"].as_str() else {
            is_whole = false;
            continue;
        };
        match runbooks.plan(&mut document, entry, name) {
            Some(plan) => recovery_fits(&mut document, entry, executed, plan),
            None => is_whole = false,
        }
    }
    let Runbooks { plans, wrong, nested, .. } = runbooks;
    let breakable = Breakable { plans: plans.values().collect(), is_whole, catalogue };
    breakages::fit(&mut document, &entries, &breakable);
    points::fit(&mut document, &breakable);
    let diagnostics = document.finish::<DrillSpec>().err().unwrap_or_default();
    Compared { diagnostics, runbooks: wrong, nested }
}

/// The runbooks that were read so far.
struct Runbooks<'t> {
    catalogue: &'t Catalogue,
    texts: &'t Texts<'t>,
    plans: BTreeMap<String, Plan>,
    wrong: Vec<Wrong>,
    nested: Option<DrillError>,
}

impl Runbooks<'_> {
    /// The plan of the runbook that an entry names; `None` if it cannot be executed by a drill, which is reported for
    /// each entry.
    fn plan(&mut self, document: &mut Document<'_>, entry: &TimelineEntry, name: &str) -> Option<&Plan> {
        if self.plans.contains_key(name) {
            return self.plans.get(name);
        }
        let path = entry.path(&["runbook"]);
        let text = match (self.texts)(name) {
            Ok(text) => text,
            Err(error) => {
                let help = "the path is relative to the folder of this file";
                document.contradiction_with_help(&path, error.to_string(), "cannot be read", help);
                return None;
            }
        };
        let file = text.name.clone();
        let plan = match compiled(text, self.catalogue) {
            Ok(Runbook { plan, .. }) => plan,
            Err(error) => {
                let help = format!("`lifeboat check {file}` shows every problem with its place");
                document.contradiction_with_help(&path, error.to_string(), "has errors", help);
                if let DrillError::Diagnostics { file, diagnostics, .. } = error
                    && !self.wrong.iter().any(|wrong| wrong.file == file)
                {
                    self.wrong.push(Wrong { file, diagnostics });
                }
                return None;
            }
        };
        if let Err(nested) = refuse_nested(&plan) {
            let help = "write its step into the runbook that holds this drill";
            document.contradiction_with_help(&path, nested.to_string(), "would never end", help);
            self.nested = Some(nested);
            return None;
        }
        Some(self.plans.entry(name.to_owned()).or_insert(plan))
    }
}

/// A runbook that holds a drill can be read, so that it is refused for just that.
fn with_drills(catalogue: &Catalogue) -> Catalogue {
    Catalogue::new(catalogue.iter().cloned().chain([hold_action()]))
}

/// A runbook as a drill executes it: a drill is a disaster.
pub(super) fn compiled(file: SourceFile, catalogue: &Catalogue) -> Result<Runbook, DrillError> {
    let Runbook { plan, sources } = Runbook::of(source::check_runbook(file, catalogue))?;
    let plan = if plan.has_variants() { plan.of_variant(Variant::Disaster) } else { plan };
    Ok(Runbook { plan, sources })
}

/// Whether the recovery names what the runbook has, and all that it needs.
fn recovery_fits(document: &mut Document<'_>, entry: &TimelineEntry, recover: &Value, plan: &Plan) {
    roles::fit(document, entry, recover, plan);
    let id = &plan.runbook.id;
    let steps = || plan.steps.iter().map(|step| step.id.as_str());
    if let Some(step) = recover["restored_by"].as_str().filter(|step| !steps().any(|id| id == *step)) {
        let (path, help) = (entry.path(&["restored_by"]), meant(step, &format!("steps of {id}"), steps()));
        document.contradiction_with_help(&path, format!("{id} has no step `{step}`"), "never succeeds", help);
    }
    let given = recover["inputs"].as_object();
    for name in given.into_iter().flatten().map(|(name, _)| name).filter(|name| !plan.inputs.contains_key(*name)) {
        let help = meant(name, &format!("inputs of {id}"), plan.inputs.keys().map(String::as_str));
        let path = entry.path(&["inputs", name]);
        document.contradiction_with_help(&path, format!("{id} has no input `{name}`"), "not asked for", help);
    }
    let needed = plan.inputs.iter().filter(|(_, declared)| declared.default.is_none());
    let is_given = |name: &str| given.is_some_and(|given| given.contains_key(name));
    let missing: Vec<&str> = needed.map(|(name, _)| name.as_str()).filter(|name| !is_given(name)).collect();
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("{id} needs the inputs {}", names.join(", "));
        let added: Vec<String> = missing.iter().map(|name| format!("{name}: {{ fact: … }}")).collect();
        let help = match entry.key {
            Some("routine") => "a routine has no inputs: execute a runbook whose inputs have defaults".to_owned(),
            _ => format!("add `inputs: {{ {} }}`", added.join(", ")),
        };
        document.contradiction_with_help(&entry.path(&[]), message, "cannot start", help);
    }
}
