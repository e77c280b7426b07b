//! Whether the objectives of a runbook can be met at all: by the times of its steps, by how often writes reach the archive, and by how
//! long backups are kept. What is added up is the least that a recovery costs; what nobody has said or measured counts as nothing.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::{
    bindings::{Bindings, Folder, Protection},
    diagnostic::{Code, Diagnostic, Findings, SourceFile, Span, codes},
    name::{RoleName, StepId},
    plan::{Plan, Section, Step, StepIndex, Variant},
    yaml::read,
};

/// The folder of a machine in which the actions look for the WAL archive.
const ARCHIVE: &str = "archive";
/// The folders of a machine without which nothing is restored.
const RESTORED_FROM: [&str; 2] = ["backups", ARCHIVE];

/// What a step took in earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// The median.
    pub length: SignedDuration,
    /// Of how many runs.
    pub runs: usize,
}

/// What the steps of a runbook took in earlier runs, as far as there were any.
pub type StepTimes = BTreeMap<StepId, StepTime>;

/// Reports each objective of the runbook in this file that cannot be met: by what its steps took or are expected to take, and by what
/// the bindings say of the archive and the backups.
pub fn check(file: &SourceFile, plan: &Plan, bindings: Option<&Bindings>, times: &StepTimes) -> Vec<Diagnostic> {
    let mut found: Vec<Finding> = Variant::ALL
        .into_iter()
        .filter(|_| plan.has_variants())
        .filter_map(|variant| too_slow(&plan.clone().of_variant(variant), times))
        .collect();
    if !plan.has_variants() {
        found.extend(too_slow(plan, times));
    }
    found.extend(bindings.and_then(|bindings| loses_too_much(plan, bindings)));
    found.extend(bindings.and_then(|bindings| kept_too_briefly(plan, bindings)));
    found.into_iter().map(|finding| finding.within(file)).collect()
}

/// An objective that cannot be met.
struct Finding {
    code: Code,
    /// Its key.
    key: &'static str,
    message: String,
    help: String,
}

impl Finding {
    fn within(self, file: &SourceFile) -> Diagnostic {
        let Self { code, key, message, help } = self;
        let (span, label) = (place(file, key), "cannot be met".to_owned());
        Diagnostic { code: code.id, severity: code.severity, message, span, label, help: Some(help) }
    }
}

/// Where the file says what the objective is.
fn place(file: &SourceFile, key: &str) -> Span {
    let root = read(&mut Findings::new(file));
    let node = root.as_ref().and_then(|root| root.get("objectives")?.get(key));
    node.map(|node| node.span).unwrap_or_default()
}

fn too_slow(plan: &Plan, times: &StepTimes) -> Option<Finding> {
    let rto = plan.objectives.rto?;
    let path = longest_path(plan, times);
    let length = path.iter().fold(SignedDuration::ZERO, |sum, (_, cost)| sum.saturating_add(cost.length));
    if length <= rto {
        return None;
    }
    let variant = plan.variant.map(|variant| format!(" of the variant `{}`", variant.as_str())).unwrap_or_default();
    let parts: Vec<String> = path.iter().map(|(step, cost)| format!("`{}` {}", step.id, cost.told())).collect();
    let mut help = parts.join(" + ");
    if parts.len() > 1 {
        help += &format!(" = {}", short(length));
    }
    if plan.objectives.restored_by.is_none() {
        help += "; if users are served before the last step, name the step in `restored_by`";
    }
    let message = format!("the steps{variant} take at least {}, and the RTO is {}", short(length), short(rto));
    Some(Finding { code: codes::RTO_TOO_SHORT, key: "rto", message, help })
}

/// What a step costs at least.
#[derive(Debug, Clone, Copy)]
struct Cost {
    length: SignedDuration,
    /// In how many runs it was measured; 0: its author expects it.
    runs: usize,
}

impl Cost {
    const NOTHING: Self = Self { length: SignedDuration::ZERO, runs: 0 };

    fn told(self) -> String {
        let length = short(self.length);
        match self.runs {
            0 => format!("{length} (estimate)"),
            1 => format!("{length} (1 earlier run)"),
            runs => format!("{length} (median of {runs} earlier runs)"),
        }
    }
}

/// The chain of steps that takes longest of those that lead to the step that restores, without those that cost nothing.
fn longest_path<'p>(plan: &'p Plan, times: &StepTimes) -> Vec<(&'p Step, Cost)> {
    let mut ends: Vec<(SignedDuration, Option<StepIndex>)> = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let before = step.needs.iter().copied().max_by_key(|need| ends[*need].0);
        let start = before.map_or(SignedDuration::ZERO, |before| ends[before].0);
        ends.push((start.saturating_add(cost(plan, step, times).length), before));
    }
    let restores = |place: &StepIndex| restores(plan, &plan.steps[*place]);
    let last = (0..plan.steps.len()).filter(restores).max_by_key(|place| ends[*place].0);
    let mut path: Vec<_> = std::iter::successors(last, |place| ends[*place].1)
        .map(|place| (&plan.steps[place], cost(plan, &plan.steps[place], times)))
        .filter(|(_, cost)| !cost.length.is_zero())
        .collect();
    path.reverse();
    path
}

/// Whether users are served when this step has ended, or one of its runbook where it calls one.
fn restores(plan: &Plan, step: &Step) -> bool {
    let Some(name) = &plan.objectives.restored_by else { return step.section == Section::Steps };
    let rest = step.id.as_str().strip_prefix(name.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A step that may be skipped costs nothing: the recovery without it must be possible, too.
fn cost(plan: &Plan, step: &Step, times: &StepTimes) -> Cost {
    if may_be_skipped(plan, step) {
        return Cost::NOTHING;
    }
    match times.get(&step.id) {
        Some(time) => Cost { length: time.length, runs: time.runs },
        None => Cost { length: step.estimate.unwrap_or_default(), runs: 0 },
    }
}

fn may_be_skipped(plan: &Plan, step: &Step) -> bool {
    let calls = std::iter::successors(step.within, |call| plan.called[*call].within);
    step.when.is_some() || calls.into_iter().any(|call| plan.called[call].when.is_some())
}

/// What is lost with a server of which nothing is left but its archive. Where a second server is bound, that one may have more.
fn loses_too_much(plan: &Plan, bindings: &Bindings) -> Option<Finding> {
    let rpo = plan.objectives.rpo?;
    let mut servers = protections(plan, bindings).filter_map(|(role, protection)| match protection {
        Protection::Archived(interval) => Some((role, interval)),
        _ => None,
    });
    let (Some((role, interval)), None) = (servers.next(), servers.next()) else { return None };
    let copied = |(role, folder): (&RoleName, &Folder)| (folder.copy_interval.unwrap_or_default(), role.clone());
    let copied = folders(plan, bindings, ARCHIVE).map(copied).min();
    let archived = interval.unwrap_or_default();
    let late = copied.as_ref().map_or(SignedDuration::ZERO, |(interval, _)| *interval);
    let lost = archived.saturating_add(late);
    if lost <= rpo {
        return None;
    }
    let mut parts = Vec::new();
    if !archived.is_zero() {
        parts.push(format!("`{role}` archives its writes every {}", short(archived)));
    }
    if let Some((interval, machine)) = copied.filter(|(interval, _)| !interval.is_zero()) {
        parts.push(format!("`{ARCHIVE}` of `{machine}` gets copies every {}", short(interval)));
    }
    let message =
        format!("if `{role}` is lost, up to {} of its writes are lost, and the RPO is {}", short(lost), short(rpo));
    Some(Finding { code: codes::RPO_TOO_SHORT, key: "rpo", message, help: parts.join(", and ") })
}

/// Where it is said of every machine how long it keeps its backups, or its archive, and that of none is long enough.
fn kept_too_briefly(plan: &Plan, bindings: &Bindings) -> Option<Finding> {
    let window = plan.objectives.window_days?;
    let longest = |name: &'static str| {
        let kept = folders(plan, bindings, name).map(|(role, folder)| Some((folder.retention_days?, role.clone())));
        let (days, role) = kept.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        Some((days, role, name))
    };
    let (days, role, name) = RESTORED_FROM.into_iter().filter_map(longest).min().filter(|(days, ..)| *days < window)?;
    let message =
        format!("it must be possible to recover to {window} days back, and `{name}` of `{role}` keeps {days} days");
    let help = "a recovery needs a base backup from before its target and all WAL since then".to_owned();
    Some(Finding { code: codes::WINDOW_TOO_LONG, key: "window_days", message, help })
}

/// What the bindings say of each role of the plan.
fn protections<'b>(plan: &'b Plan, bindings: &'b Bindings) -> impl Iterator<Item = (&'b RoleName, Protection<'b>)> {
    plan.targets.keys().filter_map(|role| Some((role, bindings.targets.get(role)?.system.protection())))
}

/// The folders of that name on the machines of the plan.
fn folders<'b>(
    plan: &'b Plan,
    bindings: &'b Bindings,
    name: &'b str,
) -> impl Iterator<Item = (&'b RoleName, &'b Folder)> {
    protections(plan, bindings).filter_map(move |(role, protection)| match protection {
        Protection::Kept(folders) => Some((role, folders.get(name)?)),
        _ => None,
    })
}

/// As a runbook writes it: `1h35m`.
fn short(length: SignedDuration) -> String {
    format!("{length:#}").replace(' ', "")
}
