//! The order of the steps: what each one needs, and an order in which every need comes first.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use super::model::Runbook;
use crate::{
    diagnostic::{Findings, closest, codes},
    types::Type,
};

/// Steps by their place in the file.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The place of each step by its name; the first of two with one name.
    pub(super) places: BTreeMap<String, usize>,
    /// What each step needs, sorted.
    pub(super) needs: Vec<Vec<usize>>,
    /// The places in an order in which every need comes first; where that leaves a choice, the author's order.
    /// Empty where there is a circle.
    pub(super) sequence: Vec<usize>,
    /// The type of an item, of each step that has a list.
    pub(super) items: BTreeMap<usize, Type>,
    /// One row of bits a step: which steps have ended when it starts. Empty where there is a circle.
    ancestors: Vec<Vec<u64>>,
}

impl Order {
    /// Whether `earlier` has always ended before `later` starts. With a circle nobody knows, so everything counts as earlier.
    pub(super) fn is_before(&self, earlier: usize, later: usize) -> bool {
        self.ancestors.get(later).is_none_or(|bits| bits[earlier / 64] >> (earlier % 64) & 1 == 1)
    }
}

/// Reports steps of one name, unknown needs and circles.
pub(super) fn order(findings: &mut Findings<'_>, runbook: &Runbook<'_>) -> Order {
    let mut order = Order { places: places(findings, runbook), ..Order::default() };
    for (place, step) in runbook.steps.iter().enumerate() {
        let mut needs = Vec::new();
        match &step.needs {
            // The first one of each section starts at once.
            None => {
                needs.extend(place.checked_sub(1).filter(|before| runbook.steps[*before].section == step.section));
            }
            Some(names) => {
                for name in names {
                    match order.places.get(name.value) {
                        Some(need) if runbook.steps[*need].section == step.section => needs.push(*need),
                        Some(_) => {
                            let message = format!("`{}` stands in another part of the runbook", name.value);
                            let label = "handlers and the steps of the recovery do not need each other";
                            findings.add(codes::UNKNOWN_NEED, name.span, message, label);
                        }
                        None => unknown_need(findings, &order, name.value, name.span),
                    }
                }
            }
        }
        needs.sort_unstable();
        needs.dedup();
        order.needs.push(needs);
    }
    order.sequence = sequence(&order.needs);
    if order.sequence.len() < order.needs.len() {
        report_circle(findings, runbook, &order);
        order.sequence.clear();
    } else {
        order.ancestors = ancestors(&order);
    }
    order
}

fn places(findings: &mut Findings<'_>, runbook: &Runbook<'_>) -> BTreeMap<String, usize> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (place, step) in runbook.steps.iter().enumerate().filter(|(_, step)| !step.id.value.is_empty()) {
        if let Some(first) = places.get(step.id.value) {
            let line = runbook.steps[*first].id.span.line;
            let message = format!("there is a step `{}` already", step.id.value);
            findings.add(codes::DUPLICATE_STEP, step.id.span, message, format!("the first one is in line {line}"));
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

/// Kahn's algorithm with a heap, so that the choice among the free steps is always the first in the file.
fn sequence(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut followers = vec![Vec::new(); needs.len()];
    for (step, needs) in needs.iter().enumerate() {
        needs.iter().for_each(|need| followers[*need].push(step));
    }
    let mut free: BinaryHeap<Reverse<usize>> = (0..needs.len()).filter(|step| open[*step] == 0).map(Reverse).collect();
    let mut sequence = Vec::with_capacity(needs.len());
    while let Some(Reverse(step)) = free.pop() {
        sequence.push(step);
        for follower in &followers[step] {
            open[*follower] -= 1;
            if open[*follower] == 0 {
                free.push(Reverse(*follower));
            }
        }
    }
    sequence
}

fn ancestors(order: &Order) -> Vec<Vec<u64>> {
    let mut ancestors = vec![vec![0_u64; order.needs.len().div_ceil(64)]; order.needs.len()];
    for step in &order.sequence {
        let mut bits = std::mem::take(&mut ancestors[*step]);
        for need in &order.needs[*step] {
            bits.iter_mut().zip(&ancestors[*need]).for_each(|(mine, theirs)| *mine |= theirs);
            bits[need / 64] |= 1 << (need % 64);
        }
        ancestors[*step] = bits;
    }
    ancestors
}

/// Every step that is left over needs another one that is left over: following that, one comes round.
fn report_circle(findings: &mut Findings<'_>, runbook: &Runbook<'_>, order: &Order) {
    let mut is_left = vec![true; order.needs.len()];
    order.sequence.iter().for_each(|step| is_left[*step] = false);
    let left = |step: &usize| is_left[*step];
    let Some(mut step) = (0..order.needs.len()).find(left) else { return };
    let (mut path, mut seen) = (Vec::new(), vec![false; order.needs.len()]);
    while !std::mem::replace(&mut seen[step], true) {
        path.push(step);
        let Some(next) = order.needs[step].iter().copied().find(left) else { return };
        step = next;
    }
    let start = path.iter().position(|seen| *seen == step).unwrap_or(0);
    let mut names: Vec<_> = path[start..].iter().map(|step| format!("`{}`", runbook.steps[*step].id.value)).collect();
    names.extend(names.first().cloned());
    let message = format!("steps need each other in a circle: {}", names.join(" needs "));
    let help = "a step without `needs` needs the one before it; `needs: []` starts at once".to_owned();
    findings.add_with(codes::CYCLE, runbook.steps[step].id.span, message, "can never start", Some(help));
}
