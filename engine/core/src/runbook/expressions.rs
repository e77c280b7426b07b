//! Checks what an expression refers to: everything it names must exist, and must be known when the step starts.

use std::collections::BTreeMap;

use super::{
    context::Context,
    model::{Body, Step},
};
use crate::{
    diagnostic::{Findings, Span, closest, codes},
    expression::{ExpressionError, FUNCTIONS, Misfit, Reference, analyse, check_operands},
    name::ActionName,
    plan::Section,
    types::{RecordField, Type},
    yaml::Node,
};

/// Reports what is wrong with an expression; its type, where that is known.
pub(super) fn check(
    findings: &mut Findings<'_>,
    context: &mut Context<'_, '_>,
    place: usize,
    node: &Node,
    text: &str,
    own: bool,
) -> Option<Type> {
    let analysis = match analyse(text) {
        Ok(analysis) => analysis,
        Err(error) => {
            unreadable(findings, node, text, &error);
            return None;
        }
    };
    for function in &analysis.unknown_functions {
        let help = closest(function, FUNCTIONS.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let span = place_of(findings, node, function);
        let message = format!("there is no function `{function}`");
        findings.add_with(codes::UNKNOWN_FUNCTION, span, message, "unknown function", help);
    }
    let mut types = BTreeMap::new();
    for reference in &analysis.references {
        let mut checker = Checker { findings, context, place, node, text, own, reference };
        let ty = checker.reference();
        types.insert(reference.path.as_slice(), ty);
    }
    let (ty, misfits) = check_operands(text, &analysis, &|path| types.get(path).cloned().flatten());
    for Misfit { at, message, help } in misfits {
        let span = span_in(findings, node, text, at);
        findings.add_with(codes::OPERANDS, span, message, "here", Some(help));
    }
    ty
}

/// The place of a part of an expression in the file, where the file writes the expression as it is.
fn span_in(findings: &Findings<'_>, node: &Node, text: &str, (start, end): (usize, usize)) -> Span {
    let whole = place_of(findings, node, text);
    if whole.end - whole.start != text.len() {
        return whole;
    }
    let start = start.min(text.len());
    findings.file.span(whole.start + start, whole.start + end.clamp(start, text.len()))
}

/// Reports an expression that cannot be read.
pub(super) fn unreadable(findings: &mut Findings<'_>, node: &Node, text: &str, error: &ExpressionError) {
    let span = span_in(findings, node, text, error.at.unwrap_or((0, text.len())));
    findings.add(codes::BAD_EXPRESSION, span, error.message.clone(), "here");
}

/// The place of a piece of a value's text in the file; the whole value where the file writes it in another way (escapes,
/// folded lines).
pub(super) fn place_of(findings: &Findings<'_>, node: &Node, piece: &str) -> Span {
    let text = &findings.file.text;
    let (start, end) = (node.span.start, node.span.end.min(text.len()));
    match text.get(start..end).and_then(|written| written.find(piece)) {
        Some(found) if !piece.is_empty() => findings.file.span(start + found, start + found + piece.len()),
        _ => node.span,
    }
}

struct Checker<'k, 'f, 'c, 'n> {
    findings: &'k mut Findings<'f>,
    context: &'k mut Context<'c, 'n>,
    place: usize,
    node: &'k Node,
    text: &'k str,
    own: bool,
    reference: &'k Reference,
}

impl Checker<'_, '_, '_, '_> {
    fn reference(&mut self) -> Option<Type> {
        match self.reference.path[0].as_str() {
            "inputs" => self.input(),
            "steps" => self.step(),
            "targets" => self.target(),
            "run" => self.run(),
            "item" if self.context.item.is_some() => {
                let item = self.context.item.clone()?;
                self.deeper(item, 1)
            }
            "item" => {
                let help = Some("`item` exists only in the parameters of a step with `for_each`".to_owned());
                self.report(codes::UNKNOWN_NAME, 0, "`item` is not defined here".to_owned(), "unknown name", help);
                None
            }
            name => {
                let names = ["inputs", "steps", "targets", "run"];
                let help = match closest(name, names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "an expression can refer to `inputs`, `steps`, `targets` and `run`".to_owned(),
                };
                let message = format!("`{name}` is not defined here");
                self.report(codes::UNKNOWN_NAME, 0, message, "unknown name", Some(help));
                None
            }
        }
    }

    fn segment(&self, index: usize) -> Option<&str> {
        self.reference.path.get(index).map(String::as_str)
    }

    /// Underlines one segment of the reference.
    fn report(
        &mut self,
        code: crate::diagnostic::Code,
        segment: usize,
        message: String,
        label: &str,
        help: Option<String>,
    ) {
        let (start, end) = self.reference.spans[segment.min(self.reference.spans.len() - 1)];
        let whole = place_of(self.findings, self.node, self.text);
        let span = if whole.end - whole.start == self.text.len() {
            self.findings.file.span(whole.start + start, whole.start + end)
        } else {
            place_of(self.findings, self.node, &self.text[start..end])
        };
        self.findings.add_with(code, span, message, label, help);
    }

    fn suggest<'s>(name: &str, names: impl IntoIterator<Item = &'s str>) -> Option<String> {
        closest(name, names).map(|near| format!("did you mean `{near}`?"))
    }

    fn input(&mut self) -> Option<Type> {
        let name = self.whole_name("inputs")?;
        let runbook = self.context.runbook;
        let Some(input) = runbook.input(&name) else {
            let help = Self::suggest(&name, runbook.inputs.iter().map(|(input, _)| input.value));
            let message = format!("there is no input `{name}`");
            self.report(codes::UNKNOWN_INPUT, 1, message, "not among `inputs`", help);
            return None;
        };
        self.context.used_inputs.insert(name);
        self.deeper(input.ty.clone(), 2)
    }

    /// The segment after a root that says nothing on its own.
    fn whole_name(&mut self, root: &str) -> Option<String> {
        let name = self.segment(1).map(str::to_owned);
        if name.is_none() {
            let message = format!("`{root}` needs a name: `{root}.name`");
            self.report(codes::UNKNOWN_NAME, 0, message, "a name is missing", None);
        }
        name
    }

    fn step(&mut self) -> Option<Type> {
        let name = self.whole_name("steps")?;
        let Some(found) = self.context.find(&name) else {
            let names: Vec<&str> = self.context.order.places.keys().map(String::as_str).collect();
            let help = Self::suggest(&name, names).or_else(|| {
                let hyphen = self.text.contains(&format!("{name}-"));
                hyphen.then(|| "write a name that contains `-` as `steps[\"the-name\"]`".to_owned())
            });
            self.report(codes::UNKNOWN_STEP, 1, format!("there is no step `{name}`"), "unknown step", help);
            return None;
        };
        let step = found.place;
        let known = self.context.order.is_before(step, self.place) || (self.own && step == self.place);
        if !known {
            let this = self.context.runbook.steps[self.place].id.value;
            let handler = self.context.runbook.steps[self.place].section != self.context.runbook.steps[step].section;
            let (message, help) = if handler {
                let help = "a handler can refer to `inputs`, `targets`, `run` and earlier handlers of its own list";
                (format!("`{name}` may not have run when the handler `{this}` starts"), help.to_owned())
            } else if step == self.place {
                (
                    format!("`{this}` refers to its own outputs"),
                    "only `undo` and `verify` can refer to the step's own outputs".to_owned(),
                )
            } else {
                let need = name.split('/').next().unwrap_or_default();
                let help = format!("add `{need}` to its `needs`: `needs: [{need}]`");
                (format!("`{this}` may start before `{name}` has finished"), help)
            };
            self.report(codes::NOT_BEFORE, 1, message, "not an earlier step", Some(help));
            return None;
        }
        let this = &self.context.runbook.steps[self.place];
        if let Some(other) = found.variants.iter().find(|variant| this.variant != Some(**variant)) {
            let message = format!(
                "`{name}` runs only in the variant `{}`, but `{}` runs in others too",
                other.as_str(),
                this.id.value
            );
            let help = Some(format!(
                "add `variant: {}` to the step, or give the other variant such a step too",
                other.as_str()
            ));
            self.report(codes::OTHER_VARIANT, 1, message, "does not always run", help);
            return None;
        }
        let own = step == self.place;
        found.step.and_then(|found| self.output(found, &name, own))
    }

    fn output(&mut self, step: &Step<'_>, name: &str, own: bool) -> Option<Type> {
        match self.segment(2) {
            Some("outputs") => {}
            Some(other) => {
                let message = format!("a step has `outputs`, not `{other}`");
                let help = Some(format!("`steps.{name}.outputs.…`"));
                self.report(codes::UNKNOWN_NAME, 2, message, "unknown name", help);
                return None;
            }
            None => return Some(Type::Json),
        }
        let Some(output) = self.segment(3).map(str::to_owned) else { return Some(Type::Json) };
        let outputs = self.outputs_of(&step.body)?;
        // The step's own `undo` takes one item back.
        let outputs = if step.each.is_some() && !own { vec![items(outputs)] } else { outputs };
        match outputs.iter().find(|(known, _)| *known == output) {
            Some((_, ty)) => self.deeper(ty.clone(), 4),
            None => {
                let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
                let help = Self::suggest(&output, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
                    [] if matches!(step.body, Body::Runbook(_)) => {
                        format!("refer to the outputs of its steps as `steps[\"{name}/the-step\"].outputs`")
                    }
                    [] => "it has none".to_owned(),
                    names => format!("it has `{}`", names.join("`, `")),
                });
                let message = format!("`{name}` has no output `{output}`");
                self.report(codes::UNKNOWN_OUTPUT, 3, message, "unknown output", Some(help));
                None
            }
        }
    }

    /// Names and types of a step's outputs; `None` where its action is unknown, which is reported elsewhere.
    fn outputs_of(&self, body: &Body<'_>) -> Option<Vec<(String, Type)>> {
        match body {
            Body::Uses(used) => {
                let action = self.context.catalogue.get(&ActionName::new(used.action.value).ok()?)?;
                Some(action.outputs.iter().map(|field| (field.name.clone(), field.ty.clone())).collect())
            }
            Body::Manual { evidence, .. } => {
                Some(evidence.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect())
            }
            Body::Approve { .. } | Body::Runbook(_) => Some(Vec::new()),
            Body::Unclear => None,
        }
    }

    fn target(&mut self) -> Option<Type> {
        let role = self.whole_name("targets")?;
        let runbook = self.context.runbook;
        let Some(target) = runbook.target(&role) else {
            let help = Self::suggest(&role, runbook.targets.iter().map(|(name, _)| name.value));
            let message = format!("there is no target `{role}`");
            self.report(codes::UNKNOWN_TARGET, 1, message, "not among `targets`", help);
            return None;
        };
        self.context.used_targets.insert(role.clone());
        let Some(fact) = self.segment(2).map(str::to_owned) else { return Some(Type::Json) };
        let facts = target.kind.facts();
        match facts.iter().find(|(name, _)| *name == fact) {
            Some((_, ty)) => self.deeper(ty.clone(), 3),
            None => {
                let names: Vec<&str> = facts.iter().map(|(name, _)| *name).collect();
                let help = Self::suggest(&fact, names.iter().copied())
                    .unwrap_or_else(|| format!("a target of kind {} has `{}`", target.kind, names.join("`, `")));
                let message = format!("the target `{role}` has no `{fact}`");
                self.report(codes::UNKNOWN_NAME, 2, message, "unknown name", Some(help));
                None
            }
        }
    }

    fn run(&mut self) -> Option<Type> {
        match self.segment(1) {
            Some("id") => self.deeper(Type::String, 2),
            Some("started") => self.deeper(Type::Timestamp, 2),
            Some("outcome" | "failed_step" | "failure") if self.is_handler() => self.deeper(Type::String, 2),
            Some(other) => {
                let message = format!("`run.{other}` is not defined here");
                let help = Some(if self.is_handler() {
                    "a handler can refer to `run.id`, `run.started`, `run.outcome`, `run.failed_step` and `run.failure`"
                        .to_owned()
                } else {
                    "a step can refer to `run.id` and `run.started`; only handlers know how the run ended".to_owned()
                });
                self.report(codes::UNKNOWN_NAME, 1, message, "unknown name", help);
                None
            }
            None => Some(Type::Json),
        }
    }

    fn is_handler(&self) -> bool {
        self.context.runbook.steps[self.place].section != Section::Steps
    }

    /// Follows the keys after a value of a known type.
    fn deeper(&mut self, ty: Type, from: usize) -> Option<Type> {
        let mut ty = ty;
        for index in from..self.reference.path.len() {
            let key = self.reference.path[index].clone();
            let Some(next) = ty.key(&key).cloned() else {
                let message = format!("a value of type {ty} has no `{key}`");
                self.report(codes::UNKNOWN_NAME, index, message, "unknown name", None);
                return None;
            };
            ty = next;
        }
        Some(ty)
    }
}

/// What a step with a list tells: what each item told, in the order of the list.
fn items(outputs: Vec<(String, Type)>) -> (String, Type) {
    let fields = outputs.into_iter().map(|(name, ty)| RecordField { name, ty, required: true }).collect();
    ("items".to_owned(), Type::List(Box::new(Type::Record(fields))))
}
