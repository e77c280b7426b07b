//! Takes a runbook out of its YAML. What does not fit the grammar has been reported before and is passed over here.

use jiff::SignedDuration;

use super::{
    grammar::{KINDS, SECTIONS},
    model::{At, Body, Call, Runbook, Step, Use},
};
use crate::{
    action::Effect,
    every::Every,
    failure::FailureKind,
    plan::{Clock, InputDeclaration, Objectives, OnFailure, Retry, Section, TargetDeclaration, Variant},
    types::{TargetKind, Type},
    yaml::{Entry, Node, Yaml},
};

/// Items in flight at once where nothing is said.
const PARALLEL: u32 = 8;

/// The action that a step with `drill` runs, with what stands under that key as its parameters.
const DRILL: &str = "drill/hold";

/// The runbook, as far as it can be understood.
pub(super) fn decode(root: &Node) -> Runbook<'_> {
    Runbook {
        id: root.text_of("id").unwrap_or_default().to_owned(),
        name: root.text_of("name").unwrap_or_default().to_owned(),
        objectives: root.get("objectives").map(objectives).unwrap_or_default(),
        every: root.text_of("every").and_then(Every::from_word),
        inputs: entries(root, "inputs").map(|entry| (name(entry), input(&entry.value))).collect(),
        targets: entries(root, "targets").filter_map(|entry| Some((name(entry), target(&entry.value)?))).collect(),
        steps: SECTIONS.iter().flat_map(|(key, section)| steps(root, key, *section)).collect(),
    }
}

fn entries<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Entry> {
    node.get(key).map(Node::entries).unwrap_or_default().iter()
}

fn name(entry: &Entry) -> At<&str> {
    At { value: entry.key.as_str(), span: entry.key_span }
}

fn text<'n>(node: &'n Node, key: &str) -> Option<At<&'n str>> {
    let node = node.get(key)?;
    Some(At { value: node.text()?, span: node.span })
}

fn duration(node: &Node, key: &str) -> Option<SignedDuration> {
    node.text_of(key)?.parse().ok()
}

fn objectives(node: &Node) -> Objectives {
    let clock = match node.text_of("clock") {
        Some("detect") => Clock::Detect,
        Some("declare") => Clock::Declare,
        _ => Clock::Onset,
    };
    Objectives {
        rto: duration(node, "rto"),
        rpo: duration(node, "rpo"),
        clock,
        restored_by: node.text_of("restored_by").map(str::to_owned),
        window_days: node.whole_of("window_days"),
    }
}

/// An input whose type is wrong counts as `json`, so that its uses are not reported as well.
fn input(node: &Node) -> InputDeclaration {
    InputDeclaration {
        ty: node.text_of("type").and_then(|text| text.parse().ok()).unwrap_or(Type::Json),
        description: node.text_of("description").unwrap_or_default().to_owned(),
        default: node.get("default").map(Node::to_json),
    }
}

fn target(node: &Node) -> Option<TargetDeclaration> {
    let kind = TargetKind::from_word(node.text_of("kind")?)?;
    let access = node.text_of("access").and_then(Effect::from_access).unwrap_or(kind.access());
    Some(TargetDeclaration { kind, access })
}

fn steps<'n>(root: &'n Node, key: &str, section: Section) -> impl Iterator<Item = Step<'n>> {
    let list = root.get(key).map(Node::items).unwrap_or_default();
    list.iter().filter_map(move |node| step(node, section))
}

fn step(node: &Node, section: Section) -> Option<Step<'_>> {
    Some(Step {
        section,
        variant: node.text_of("variant").and_then(Variant::from_word),
        id: text(node, "id").or_else(|| node.entry("id").is_none().then_some(At { value: "", span: node.span }))?,
        title: node.text_of("title").map(str::to_owned),
        body: body(node),
        needs: node.get("needs").map(|needs| needs.items().iter().filter_map(item).collect()),
        when: node.get("when"),
        each: node.get("for_each"),
        max_parallel: node.whole_of("max_parallel").unwrap_or(PARALLEL),
        allow_empty: matches!(node.get("allow_empty").map(|node| &node.value), Some(Yaml::Bool(true))),
        timeout: duration(node, "timeout").or_else(|| duration(node.get("timeout")?, "attempt")),
        time_limit: node.get("timeout").and_then(|timeout| duration(timeout, "step")),
        estimate: duration(node, "estimate"),
        retry: node.get("retry").map(retry).unwrap_or_default(),
        keys: node.entries(),
        undo: node.get("undo").and_then(action),
        on_failure: match node.text_of("on_failure") {
            Some("continue") => OnFailure::Continue,
            Some("undo") => OnFailure::Undo,
            _ => OnFailure::Stop,
        },
    })
}

fn item(node: &Node) -> Option<At<&str>> {
    Some(At { value: node.text()?, span: node.span })
}

fn body(node: &Node) -> Body<'_> {
    let mut kinds = KINDS.iter().filter_map(|kind| node.entry(kind));
    let (Some(kind), None) = (kinds.next(), kinds.next()) else { return Body::Unclear };
    match (kind.key.as_str(), &kind.value) {
        ("uses", _) => action(node).map_or(Body::Unclear, Body::Uses),
        ("runbook", _) => call(node).map_or(Body::Unclear, Body::Runbook),
        ("drill", drill) => {
            Body::Uses(Use { action: At { value: DRILL, span: kind.key_span }, with: Some(drill), has_grammar: true })
        }
        ("approve", approve) => Body::Approve {
            by: approve
                .get("by")
                .map(Node::items)
                .unwrap_or_default()
                .iter()
                .filter_map(Node::text)
                .map(str::to_owned)
                .collect(),
            message: approve.get("message"),
            four_eyes: matches!(approve.get("four_eyes").map(|node| &node.value), Some(Yaml::Bool(true))),
            expires: duration(approve, "expires"),
        },
        (_, manual) => Body::Manual {
            instruction: manual.get("instruction"),
            evidence: entries(manual, "evidence")
                .filter_map(|entry| Some((entry.key.as_str(), entry.value.text()?.parse().ok()?)))
                .collect(),
            verify: manual.get("verify").and_then(action),
        },
    }
}

fn call(node: &Node) -> Option<Call<'_>> {
    Some(Call { file: text(node, "runbook")?, inputs: node.get("inputs"), targets: node.get("targets") })
}

fn action(node: &Node) -> Option<Use<'_>> {
    Some(Use { action: text(node, "uses")?, with: node.get("with"), has_grammar: false })
}

fn retry(node: &Node) -> Retry {
    let standard = Retry::default();
    let attempts = node.whole_of("attempts").unwrap_or(1);
    let listed = |node: &Node| {
        let kind = |word: &str| FailureKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        node.items().iter().filter_map(|item| kind(item.text()?)).collect()
    };
    let backoff = duration(node, "backoff").unwrap_or(standard.backoff);
    Retry {
        attempts,
        backoff,
        // The first wait is never cut short by a limit that is not in the runbook.
        backoff_max: duration(node, "backoff_max").unwrap_or(standard.backoff_max.max(backoff)),
        on: node.get("on").map(listed).unwrap_or(standard.on),
    }
}
