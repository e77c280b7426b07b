//! The order of the steps: what each one needs, and an order in which every need comes first.

use std::collections::BTreeMap;

use super::model::{Runbook, Step};
use crate::{
    diagnostic::{Findings, closest, codes},
    needs::{Ancestors, Circle, Needs},
    types::Type,
};

/// Steps by their place in the file.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The place of each step by its name; the first of two with one name.
    pub(super) places: BTreeMap<String, usize>,
    /// What each step needs.
    pub(super) needs: Needs,
    /// The places in an order in which every need comes first; where that leaves a choice, the author's order.
    /// Empty where there is a circle.
    pub(super) sequence: Vec<usize>,
    /// The type of an item, of each step that has a list.
    pub(super) items: BTreeMap<usize, Type>,
    /// `None` where there is a circle.
    ancestors: Option<Ancestors>,
}

impl Order {
    /// Whether `earlier` has always ended before `later` starts. With a circle that is undecidable, so everything counts as earlier.
    pub(super) fn is_before(&self, earlier: usize, later: usize) -> bool {
        self.ancestors.as_ref().is_none_or(|ancestors| ancestors.is_before(earlier, later))
    }
}

/// Reports steps of one name, unknown needs and circles.
pub(super) fn order(findings: &mut Findings<'_>, runbook: &Runbook<'_>) -> Order {
    let mut order = Order { places: places(findings, runbook), ..Order::default() };
    let steps = runbook.steps.iter().enumerate();
    let needs: Vec<Vec<usize>> = steps.map(|(place, step)| needs(findings, runbook, &order, place, step)).collect();
    order.needs = Needs::of(needs.iter().map(Vec::as_slice));
    match order.needs.sequence() {
        Ok(sequence) => {
            order.ancestors = Some(order.needs.ancestors(&sequence));
            order.sequence = sequence;
        }
        Err(circle) => report_circle(findings, runbook, &circle),
    }
    order
}

/// The places of what the step needs, sorted.
fn needs(
    findings: &mut Findings<'_>,
    runbook: &Runbook<'_>,
    order: &Order,
    place: usize,
    step: &Step<'_>,
) -> Vec<usize> {
    let mut needs = Vec::new();
    match &step.needs {
        // The first one of each section starts at once.
        None => needs.extend(place.checked_sub(1).filter(|before| runbook.steps[*before].section == step.section)),
        Some(names) => {
            for name in names {
                match order.places.get(name.value) {
                    Some(need) if runbook.steps[*need].section == step.section => needs.push(*need),
                    Some(_) => {
                        let message = format!("`{}` is in another part of the runbook", name.value);
                        let label = "handlers and steps cannot need each other";
                        findings.add(codes::UNKNOWN_NEED, name.span, message, label);
                    }
                    None => unknown_need(findings, order, name.value, name.span),
                }
            }
        }
    }
    needs.sort_unstable();
    needs.dedup();
    needs
}

fn places(findings: &mut Findings<'_>, runbook: &Runbook<'_>) -> BTreeMap<String, usize> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (place, step) in runbook.steps.iter().enumerate().filter(|(_, step)| !step.id.value.is_empty()) {
        if let Some(first) = places.get(step.id.value) {
            let line = runbook.steps[*first].id.span.line;
            let message = format!("the step `{}` already exists", step.id.value);
            findings.add(codes::DUPLICATE_STEP, step.id.span, message, format!("first defined in line {line}"));
        } else {
            places.insert(step.id.value.to_owned(), place);
        }
    }
    places
}

fn unknown_need(findings: &mut Findings<'_>, order: &Order, name: &str, span: crate::diagnostic::Span) {
    let help = closest(name, order.places.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
    findings.add_with(codes::UNKNOWN_NEED, span, format!("there is no step `{name}`"), "unknown step", help);
}

fn report_circle(findings: &mut Findings<'_>, runbook: &Runbook<'_>, circle: &Circle) {
    let Circle(steps) = circle;
    let names: Vec<_> = steps.iter().chain(steps.first()).map(|step| runbook.steps[*step].id.value).collect();
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    let Some(first) = steps.first() else { return };
    let message = format!("steps need each other in a circle: {}", names.join(" needs "));
    let help = "a step without `needs` needs the one before it; `needs: []` starts at once".to_owned();
    findings.add_with(codes::CYCLE, runbook.steps[*first].id.span, message, "would never start", Some(help));
}
