//! Evaluates expressions against a run. Only what an expression refers to is handed to CEL.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::{Arc, LazyLock},
};

use cel::{Context, Env, Value as Cel};
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    event::{Outcome, RunStarted},
    expression::{
        Analysis, Expression, ExpressionError, Part, Reference, Template, analyse, order, parts, value, words,
    },
    name::{RoleName, StepId},
    plan::{CallIndex, CalledInput, Plan, Step, StepIndex, StepKind},
    types::{RecordField, Type},
};

/// What an expression may look at, in bytes of JSON.
const SCOPE_BYTES_MAX: usize = 1 << 20;
/// The same where a macro goes over it: its work and its result grow with the square, and with the number of references in what is
/// done for each item. With more than a few of them less may be looked at, so that the product stays the same.
const LOOP_SCOPE_BYTES_MAX: usize = 32 << 10;

/// What all expressions of a step's texts may give together, in bytes of JSON, roughly.
const RENDERED_BYTES_MAX: usize = 16 << 20;
/// How many may be evaluated for them: inputs of called runbooks are evaluated where they are used, and may refer to one another.
const EVALUATIONS_MAX: usize = 10_000;

/// What is left of the work that one look at a run may make.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Cell<usize>,
    evaluations: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: Cell::new(RENDERED_BYTES_MAX), evaluations: Cell::new(EVALUATIONS_MAX) }
    }
}

impl Budget {
    fn evaluate(&self) -> Result<(), ExpressionError> {
        let left = self.evaluations.get().checked_sub(1);
        self.evaluations.set(left.ok_or_else(|| {
            ExpressionError::new(format!("it needs more than {EVALUATIONS_MAX} evaluations of expressions"))
        })?);
        Ok(())
    }

    fn render(&self, value: &Value) -> Result<(), ExpressionError> {
        let left = self.bytes.get().checked_sub(value::weight(value));
        self.bytes.set(left.ok_or_else(|| {
            ExpressionError::new(format!("its expressions render to more than {RENDERED_BYTES_MAX} bytes"))
        })?);
        Ok(())
    }
}

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// Expressions whose analysis is kept. CEL's parser is slow, and a plan's expressions are evaluated again and again: once an item
/// of a list, and thousands of times in a test.
const ANALYSES_MAX: usize = 1_000;

thread_local! {
    static ANALYSES: RefCell<BTreeMap<String, Rc<Analysis>>> = const { RefCell::new(BTreeMap::new()) };
}

/// What [`analyse`] says, from memory where it was said before.
fn analysed(text: &str) -> Result<Rc<Analysis>, ExpressionError> {
    if let Some(known) = ANALYSES.with_borrow(|analyses| analyses.get(text).cloned()) {
        return Ok(known);
    }
    let analysis = Rc::new(analyse(text)?);
    ANALYSES.with_borrow_mut(|analyses| {
        if analyses.len() >= ANALYSES_MAX {
            analyses.clear();
        }
        analyses.insert(text.to_owned(), Rc::clone(&analysis));
    });
    Ok(analysis)
}

/// What expressions can see of a run.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The plan, for the types.
    pub(crate) plan: &'a Plan,
    /// In which runbook the expression stands.
    pub(crate) within: Option<CallIndex>,
    /// When the run started, and with what.
    pub(crate) started: &'a (Timestamp, RunStarted),
    /// The outputs of a step; `None` where it has none.
    pub(crate) outputs: &'a dyn Fn(StepIndex) -> Option<&'a Value>,
    /// The item of the list that the step works on, and its type.
    pub(crate) item: Option<(&'a Value, &'a Type)>,
    /// How the recovery ended; `None` for its own steps.
    pub(crate) ending: Option<Ending<'a>>,
    /// What evaluating may still cost.
    pub(crate) budget: &'a Budget,
}

/// How a recovery ended.
#[derive(Clone, Copy)]
pub(crate) struct Ending<'a> {
    /// In a word.
    pub(crate) outcome: Outcome,
    /// The step that decided it; empty where none did.
    pub(crate) failed_step: &'a str,
    /// What decided it; empty where nothing did.
    pub(crate) failure: &'a str,
}

impl<'a> Ending<'a> {
    /// By the names that expressions have for it.
    fn facts(self) -> [(&'static str, &'a str); 3] {
        [("outcome", self.outcome.as_str()), ("failed_step", self.failed_step), ("failure", self.failure)]
    }
}

impl Scope<'_> {
    /// The value of a condition.
    pub(crate) fn is_true(&self, condition: &Expression) -> Result<bool, ExpressionError> {
        match self.evaluate(condition.as_str())? {
            Value::Bool(yes) => Ok(yes),
            _ => Err(ExpressionError::new(format!("`{}` is neither true nor false", condition.as_str().trim()))),
        }
    }

    /// The template with every expression replaced by its value.
    pub(crate) fn render(&self, template: &Template) -> Result<Value, ExpressionError> {
        self.render_value(template.as_value())
    }

    /// As [`Scope::render`], as text.
    pub(crate) fn render_text(&self, template: &Template) -> Result<String, ExpressionError> {
        Ok(value::as_text(&self.render(template)?))
    }

    fn render_value(&self, template: &Value) -> Result<Value, ExpressionError> {
        Ok(match template {
            Value::String(text) => self.render_string(text)?,
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.render_value(item)).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => {
                let render = |(key, value): (&String, &Value)| Ok((key.clone(), self.render_value(value)?));
                Value::Object(entries.iter().map(render).collect::<Result<Map<_, _>, ExpressionError>>()?)
            }
            other => other.clone(),
        })
    }

    fn render_string(&self, text: &str) -> Result<Value, ExpressionError> {
        let parts = parts(text)?;
        if let [Part::Expression { text, .. }] = parts.as_slice() {
            return self.evaluate(text);
        }
        let mut rendered = String::new();
        for part in parts {
            match part {
                Part::Text(text) => rendered.push_str(text),
                Part::Expression { text, .. } => rendered.push_str(&value::as_text(&self.evaluate(text)?)),
            }
        }
        Ok(Value::String(rendered))
    }

    /// The value of a CEL expression.
    pub(crate) fn evaluate(&self, text: &str) -> Result<Value, ExpressionError> {
        self.budget.evaluate()?;
        let value = self.value_of(text)?;
        self.budget.render(&value)?;
        Ok(value)
    }

    fn value_of(&self, text: &str) -> Result<Value, ExpressionError> {
        let analysis = analysed(text)?;
        let Some(tree) = &analysis.tree else { return self.look_up(&analysis.references[0]) };
        let mut context = Context::with_env(Arc::clone(&ENV));
        for (name, value) in self.variables(&analysis)? {
            context.add_variable_from_value(name, value);
        }
        order::declare(&mut context);
        let result = context
            .resolve(tree)
            .map_err(|error| ExpressionError::new(format!("`{}`: {}", text.trim(), words::why(&error))))?;
        value::from_cel(&result)
    }

    /// The value of a plain reference: what CEL would give, without the way there and back.
    fn look_up(&self, reference: &Reference) -> Result<Value, ExpressionError> {
        let path = &reference.path;
        if path[0] == "item" && self.item.is_none() {
            return Err(ExpressionError::new("`item` is not defined: the step has no `for_each`"));
        }
        let missing = |at: usize| {
            let (before, key) = (path[..at].join("."), &path[at]);
            ExpressionError::new(format!("`{}`: `{before}` has no `{key}`", path.join(".")))
        };
        let (found, from) = match path[0].as_str() {
            "inputs" => (self.input(&path[1])?.map(|(value, _)| value), 2),
            "targets" => (self.target(&path[1]).cloned(), 2),
            "item" => (self.item.map(|(item, _)| item.clone()), 1),
            "run" if path[1] == "id" => (Some(Value::String(self.started.1.run.to_string())), 2),
            "run" if path[1] == "started" => (Some(Value::String(self.started.0.to_string())), 2),
            "run" => {
                let fact = self.ending.into_iter().flat_map(Ending::facts).find(|(name, _)| *name == path[1]);
                (fact.map(|(_, fact)| Value::from(fact)), 2)
            }
            "steps" if path.get(2).is_some_and(|part| part == "outputs") => {
                let name = Some(path[1].as_str());
                let index = self.plan.steps.iter().position(|step| self.name(&step.id) == name);
                let outputs = index.and_then(|index| (self.outputs)(index));
                // Only the one that is wanted is copied: others may be long lists.
                match (outputs, path.get(3)) {
                    (Some(outputs), Some(output)) => (Some(outputs.get(output).cloned().ok_or_else(|| missing(3))?), 4),
                    _ => (outputs.cloned(), 3),
                }
            }
            _ => (None, 2),
        };
        let mut value = found.ok_or_else(|| missing(1))?;
        for (at, key) in path.iter().enumerate().skip(from) {
            value = value.get_mut(key).map(Value::take).ok_or_else(|| missing(at))?;
        }
        spend(&mut SCOPE_BYTES_MAX.clone(), &value)?;
        Ok(value)
    }

    fn variables(&self, analysis: &Analysis) -> Result<Vec<(&'static str, Cel)>, ExpressionError> {
        let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for reference in &analysis.references {
            let wanted = names.entry(reference.path[0].as_str()).or_default();
            wanted.extend(reference.path.get(1).map(String::as_str));
        }
        let mut budget = match analysis.loops {
            Some(references) => LOOP_SCOPE_BYTES_MAX / (references / 2).isqrt().max(1),
            None => SCOPE_BYTES_MAX,
        };
        let mut variables = Vec::new();
        for (root, wanted) in names {
            match root {
                "inputs" => variables.push(("inputs", self.inputs(&wanted, &mut budget)?)),
                "steps" => variables.push(("steps", self.steps(&outputs_of(&analysis.references), &mut budget)?)),
                "targets" => variables.push(("targets", self.targets(&wanted, &mut budget)?)),
                "run" => variables.push(("run", self.run())),
                "item" => variables.extend(self.item_variable(&mut budget)?),
                _ => {}
            }
        }
        Ok(variables)
    }

    /// An input of the runbook in which the expression stands, and its type. That of a called one is what the caller says it is.
    fn input(&self, name: &str) -> Result<Option<(Value, &Type)>, ExpressionError> {
        let Some(call) = self.within.and_then(|call| self.plan.called.get(call)) else {
            let ty = self.plan.inputs.get(name).map_or(&Type::Json, |input| &input.ty);
            return Ok(self.started.1.inputs.get(name).map(|value| (value.clone(), ty)));
        };
        let Some(CalledInput { ty, value }) = call.inputs.get(name) else { return Ok(None) };
        let wrong = |problem: String| ExpressionError::new(format!("the input `{name}` of `{}`: {problem}", call.path));
        let outside = Scope { within: call.within, ..*self };
        let value = outside.render(value).map_err(|error| wrong(error.message))?;
        ty.check(&value).map_err(|mismatch| wrong(mismatch.to_string()))?;
        Ok(Some((value, ty)))
    }

    /// What is known of the system that plays a role of the runbook in which the expression stands.
    fn target(&self, name: &str) -> Option<&Value> {
        let role = RoleName::new(name).ok()?;
        let role = match self.within.and_then(|call| self.plan.called.get(call)) {
            Some(call) => call.targets.get(&role)?,
            None => &role,
        };
        self.started.1.targets.get(role)
    }

    /// A step's name as the expression's runbook knows it.
    fn name<'p>(&self, id: &'p StepId) -> Option<&'p str> {
        self.plan.name_within(self.within, id)
    }

    fn inputs(&self, wanted: &BTreeSet<&str>, budget: &mut usize) -> Result<Cel, ExpressionError> {
        let mut entries = Vec::new();
        for name in wanted {
            let Some((value, ty)) = self.input(name)? else { continue };
            spend(budget, &value)?;
            entries.push(((*name).to_owned(), value::to_cel(&value, ty)));
        }
        Ok(value::map(entries.into_iter()))
    }

    fn steps(&self, wanted: &BTreeMap<&str, Outputs<'_>>, budget: &mut usize) -> Result<Cel, ExpressionError> {
        let mut entries = Vec::new();
        for (index, step) in self.plan.steps.iter().enumerate() {
            let Some(name) = self.name(&step.id) else { continue };
            let Some(wanted) = wanted.get(name) else { continue };
            let types = output_types(step);
            let outputs = (self.outputs)(index).and_then(Value::as_object).into_iter().flatten();
            let mut seen = Vec::new();
            for (name, value) in outputs.filter(|(name, _)| wanted.holds(name)) {
                spend(budget, value)?;
                seen.push((name.clone(), value::to_cel(value, types.get(name).unwrap_or(&Type::Json))));
            }
            let outputs = value::map(seen.into_iter());
            entries.push((name.to_owned(), value::map([("outputs".to_owned(), outputs)].into_iter())));
        }
        Ok(value::map(entries.into_iter()))
    }

    fn targets(&self, wanted: &BTreeSet<&str>, budget: &mut usize) -> Result<Cel, ExpressionError> {
        let mut entries = Vec::new();
        for name in wanted {
            let Some(value) = self.target(name) else { continue };
            spend(budget, value)?;
            entries.push(((*name).to_owned(), value::to_cel(value, &Type::Json)));
        }
        Ok(value::map(entries.into_iter()))
    }

    fn item_variable(&self, budget: &mut usize) -> Result<Option<(&'static str, Cel)>, ExpressionError> {
        let Some((item, ty)) = self.item else { return Ok(None) };
        spend(budget, item)?;
        Ok(Some(("item", value::to_cel(item, ty))))
    }

    fn run(&self) -> Cel {
        let (at, started) = self.started;
        let id = Cel::String(Arc::new(started.run.to_string()));
        let ending = self.ending.into_iter().flat_map(Ending::facts);
        let ending = ending.map(|(name, fact)| (name.to_owned(), Cel::String(Arc::new(fact.to_owned()))));
        value::map([("id".to_owned(), id), ("started".to_owned(), value::instant(*at))].into_iter().chain(ending))
    }
}

/// Which outputs of a step an expression looks at.
enum Outputs<'a> {
    All,
    Some(BTreeSet<&'a str>),
}

impl Outputs<'_> {
    fn holds(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(name),
        }
    }
}

/// The outputs that are referred to, by step: what else a step gave does not count.
fn outputs_of(references: &[Reference]) -> BTreeMap<&str, Outputs<'_>> {
    let mut wanted: BTreeMap<&str, Outputs<'_>> = BTreeMap::new();
    for path in references.iter().map(|reference| reference.path.as_slice()).filter(|path| path[0] == "steps") {
        let Some(step) = path.get(1) else { continue };
        let of = wanted.entry(step).or_insert_with(|| Outputs::Some(BTreeSet::new()));
        match (path.get(3), of) {
            (Some(output), Outputs::Some(names)) => drop(names.insert(output)),
            (None, of) => *of = Outputs::All,
            (Some(_), Outputs::All) => {}
        }
    }
    wanted
}

/// The declared types of what `steps.<id>.outputs` has.
fn output_types(step: &Step) -> Cow<'_, BTreeMap<String, Type>> {
    match &step.kind {
        StepKind::Uses(invocation) if step.each.is_some() => {
            // Its own `undo` sees what one item told, everybody else the list.
            let field =
                |(name, ty): (&String, &Type)| RecordField { name: name.clone(), ty: ty.clone(), required: false };
            let item = Type::Record(invocation.outputs.iter().map(field).collect());
            let mut types = invocation.outputs.clone();
            types.insert("items".to_owned(), Type::List(Box::new(item)));
            Cow::Owned(types)
        }
        StepKind::Uses(invocation) => Cow::Borrowed(&invocation.outputs),
        StepKind::Manual { evidence, .. } => Cow::Borrowed(evidence),
        StepKind::Approve { .. } => Cow::Owned(BTreeMap::new()),
    }
}

fn spend(budget: &mut usize, value: &Value) -> Result<(), ExpressionError> {
    *budget = budget
        .checked_sub(value::weight(value))
        .ok_or_else(|| ExpressionError::new("the expression reads too much data; make the action return less"))?;
    Ok(())
}
