//! Makes the plan of a runbook in which nothing is wrong. What it calls stands in the plan as if it had been written there: the
//! engine knows no calls, only steps with a path and the table of what names mean in them.

use std::collections::BTreeMap;

use super::{
    invocation::{Roles, invocation},
    library::{DEPTH_MAX, Library, UnitIndex},
    model::{At, Body, Call, Runbook, Step as Written},
    order::Order,
};
use crate::{
    action::Catalogue,
    diagnostic::Span,
    expression::{Expression, Template},
    name::{RoleName, StepId},
    plan::{
        CalledInput, CalledRunbook, Each, InputDeclaration, OnFailure, Plan, RunbookRef, Section, Step, StepIndex,
        StepKind, TargetDeclaration, Variant,
    },
    types::Type,
    yaml::{Entry, Node, Yaml},
};

/// Steps of a plan, those of called runbooks counted.
const STEPS_MAX: usize = 50_000;
/// Needs of all steps together: two steps that call a thousand parallel ones each make a million.
const NEEDS_MAX: usize = 2_000_000;

/// Bytes of all files that are called, each counted as often as it is called.
const BYTES_MAX: usize = 64 << 20;

/// A step's path also names its log file.
const PATH_BYTES_MAX: usize = 200;

/// The runbooks that are called make too much together; which place of the file itself does it.
#[derive(Debug)]
pub(super) struct TooLarge(pub(super) Span);

/// The plan.
pub(super) fn lower(library: &Library<'_>, orders: &[Order], catalogue: &Catalogue) -> Result<Option<Plan>, TooLarge> {
    let Some(runbook) = library.runbook(0) else { return Ok(None) };
    let mut lowering =
        Lowering { collection: library, orders, catalogue, steps: Vec::new(), called: Vec::new(), needs: 0, bytes: 0 };
    let site = Site {
        unit: 0,
        within: None,
        prefix: "",
        roles: None,
        needs: &[],
        on_failure: OnFailure::Stop,
        section: Section::Steps,
        variant: None,
        depth: 1,
    };
    lowering.unit(runbook, &site)?;
    let (steps, called) = (lowering.steps, lowering.called);
    let inputs = runbook.inputs.iter().map(|(name, input)| (name.value.to_owned(), input.clone())).collect();
    let target =
        |(name, target): &(At<&str>, TargetDeclaration)| Some((RoleName::new(name.value).ok()?, target.clone()));
    let targets = runbook.targets.iter().filter_map(target).collect();
    let objectives = runbook.objectives.clone();
    Ok(Some(Plan {
        runbook: reference(library, 0, runbook),
        objectives,
        every: runbook.every,
        inputs,
        targets,
        steps,
        called,
        variant: None,
    }))
}

fn reference(library: &Library<'_>, unit: UnitIndex, runbook: &Runbook<'_>) -> RunbookRef {
    RunbookRef { id: runbook.id.clone(), name: runbook.name.clone(), digest: library.digest(unit) }
}

/// Where the steps of a file go.
#[derive(Clone, Copy)]
struct Site<'s> {
    unit: UnitIndex,
    within: Option<usize>,
    /// Before the name of each step: `reports/`.
    prefix: &'s str,
    /// The plan's roles by the names that the file has for them; `None`: the same.
    roles: Option<&'s Roles>,
    /// What a step needs that needs nothing in its own file.
    needs: &'s [StepIndex],
    section: Section,
    variant: Option<Variant>,
    /// What takes the place of `stop`.
    on_failure: OnFailure,
    depth: usize,
}

struct Lowering<'l, 'n> {
    collection: &'l Library<'n>,
    orders: &'l [Order],
    catalogue: &'l Catalogue,
    steps: Vec<Step>,
    called: Vec<CalledRunbook>,
    needs: usize,
    bytes: usize,
}

impl<'n> Lowering<'_, 'n> {
    /// Adds the steps of a file; returns those that none of its others needs.
    fn unit(&mut self, runbook: &Runbook<'n>, site: &Site<'_>) -> Result<Vec<StepIndex>, TooLarge> {
        let order = &self.orders[site.unit];
        let mut ends: Vec<Vec<StepIndex>> = vec![Vec::new(); runbook.steps.len()];
        let mut last = vec![true; runbook.steps.len()];
        for place in &order.sequence {
            let step = &runbook.steps[*place];
            // The run has the handlers of the runbook that was started, and no others.
            let section = if site.depth == 1 { step.section } else { site.section };
            if step.section != Section::Steps && site.depth > 1 {
                continue;
            }
            let mut needs: Vec<StepIndex> =
                order.needs.of_step(*place).flat_map(|need| ends[need].iter().copied()).collect();
            if needs.is_empty() {
                needs = site.needs.to_vec();
            }
            needs.sort_unstable();
            needs.dedup();
            // A step of another variant leaves its needs to those behind it.
            self.needs += needs.len();
            order.needs.of_step(*place).for_each(|need| last[need] = false);
            let on_failure = if step.on_failure == OnFailure::Stop { site.on_failure } else { step.on_failure };
            if self.needs > NEEDS_MAX {
                return Err(TooLarge(step.id.span));
            }
            let Some(variant) = variant(site.variant, step.variant) else {
                ends[*place] = needs;
                continue;
            };
            let site = &Site { section, variant, ..*site };
            ends[*place] = match &step.body {
                Body::Runbook(call) => {
                    let added = self.call(step, call, &Site { needs: &needs, on_failure, ..*site });
                    // Only the outermost call is in the file that is compiled.
                    added.map_err(|inner| if site.depth == 1 { TooLarge(call.file.span) } else { inner })?
                }
                _ => self.add(step, order.items.get(place), needs, on_failure, site).into_iter().collect(),
            };
        }
        Ok(ends.into_iter().zip(last).filter(|(_, last)| *last).flat_map(|(ends, _)| ends).collect())
    }

    fn add(
        &mut self,
        step: &Written<'n>,
        item: Option<&Type>,
        needs: Vec<StepIndex>,
        on_failure: OnFailure,
        site: &Site<'_>,
    ) -> Option<StepIndex> {
        let own = site.section == Section::Steps;
        self.steps.push(Step {
            id: StepId::parse(format!("{}{}", site.prefix, step.id.value)).ok()?,
            title: step.title.clone(),
            needs,
            kind: kind(step, self.catalogue, site.roles)?,
            when: step.when.and_then(condition),
            timeout: step.timeout,
            time_limit: step.time_limit,
            estimate: step.estimate,
            retry: step.retry.clone(),
            // What is done at the end of a run is not undone, and its failure changes nothing.
            undo: step.undo.as_ref().filter(|_| own).and_then(|used| invocation(used, self.catalogue, site.roles)),
            on_failure: if own { on_failure } else { OnFailure::Stop },
            within: site.within,
            line: step.id.span.line,
            section: site.section,
            variant: site.variant,
            each: each(step, item),
        });
        Some(self.steps.len() - 1)
    }

    /// Adds the steps of a called runbook; `site` is that of the call, with what the step itself needs.
    fn call(&mut self, step: &Written<'n>, call: &Call<'n>, site: &Site<'_>) -> Result<Vec<StepIndex>, TooLarge> {
        let Some((unit, runbook)) = self.collection.called(site.unit, call) else { return Ok(Vec::new()) };
        let path = format!("{}{}", site.prefix, step.id.value);
        let Ok(id) = StepId::parse(path.as_str()) else { return Ok(Vec::new()) };
        let most = runbook.steps.len() + self.steps.len();
        // No step says more than its file does.
        self.bytes += self.collection.length(unit);
        let is_large = most > STEPS_MAX || self.bytes > BYTES_MAX;
        if path.len() + 65 > PATH_BYTES_MAX || site.depth >= DEPTH_MAX || is_large {
            return Err(TooLarge(call.file.span));
        }
        let roles = roles(call, site.roles);
        self.called.push(CalledRunbook {
            path: id,
            file: call.file.value.to_owned(),
            runbook: reference(self.collection, unit, runbook),
            within: site.within,
            inputs: inputs(call, runbook),
            targets: roles.clone(),
            when: step.when.and_then(condition),
            line: step.id.span.line,
        });
        let prefix = format!("{path}/");
        let (within, depth) = (Some(self.called.len() - 1), site.depth + 1);
        self.unit(runbook, &Site { unit, within, prefix: &prefix, roles: Some(&roles), depth, ..*site })
    }
}

/// In which variants only a step is done, where its call says so too; `None`: in none.
fn variant(call: Option<Variant>, own: Option<Variant>) -> Option<Option<Variant>> {
    match (call, own) {
        (Some(call), Some(own)) if call != own => None,
        (call, own) => Some(call.or(own)),
    }
}

/// The plan's roles by the names that the called runbook has for them.
fn roles(call: &Call<'_>, outer: Option<&Roles>) -> Roles {
    let entries = call.targets.map(Node::entries).unwrap_or_default();
    let role = |entry: &Entry| {
        let played = RoleName::new(entry.value.text()?).ok()?;
        let played = outer.and_then(|outer| outer.get(&played)).cloned().unwrap_or(played);
        Some((RoleName::new(entry.key.as_str()).ok()?, played))
    };
    entries.iter().filter_map(role).collect()
}

/// The inputs of a called runbook, in the words of the one that calls it.
fn inputs(call: &Call<'_>, called: &Runbook<'_>) -> BTreeMap<String, CalledInput> {
    let given = |name: &str| call.inputs.and_then(|inputs| inputs.get(name)).map(Node::to_json);
    let input = |(name, declared): &(At<&str>, InputDeclaration)| {
        let value = given(name.value).or_else(|| declared.default.clone()).unwrap_or_default();
        (name.value.to_owned(), CalledInput { ty: declared.ty.clone(), value: Template::new(value) })
    };
    called.inputs.iter().map(input).collect()
}

fn kind(step: &Written<'_>, catalogue: &Catalogue, roles: Option<&Roles>) -> Option<StepKind> {
    Some(match &step.body {
        Body::Uses(used) => StepKind::Uses(invocation(used, catalogue, roles)?),
        Body::Approve { by, message, four_eyes, expires } => {
            StepKind::Approve { by: by.clone(), message: template(*message), four_eyes: *four_eyes, expires: *expires }
        }
        Body::Manual { instruction, evidence, verify } => StepKind::Manual {
            instruction: template(*instruction),
            evidence: evidence.iter().map(|(name, ty)| ((*name).to_owned(), ty.clone())).collect(),
            verify: verify.as_ref().and_then(|used| invocation(used, catalogue, roles)),
        },
        Body::Runbook(_) | Body::Unclear => return None,
    })
}

fn each(step: &Written<'_>, item: Option<&Type>) -> Option<Each> {
    let over = step.each.and_then(condition)?;
    let (max_parallel, allow_empty) = (step.max_parallel, step.allow_empty);
    Some(Each { over, item: item.cloned().unwrap_or(Type::Json), max_parallel, allow_empty })
}

fn template(node: Option<&Node>) -> Template {
    Template::new(node.map(Node::to_json).unwrap_or_default())
}

fn condition(node: &Node) -> Option<Expression> {
    match &node.value {
        Yaml::Bool(yes) => Some(Expression::new(yes.to_string())),
        Yaml::Text(text) => {
            let text = text.trim();
            let inner = text.strip_prefix("${{").and_then(|text| text.strip_suffix("}}")).unwrap_or(text);
            Some(Expression::new(inner.trim()))
        }
        _ => None,
    }
}
