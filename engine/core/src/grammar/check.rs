//! Holds a file against its grammar and reports everything that is wrong at once.

use jiff::SignedDuration;

use super::{Object, Shape};
use crate::{
    diagnostic::{Code, Findings, Span, closest, codes},
    name::{ActionName, check_name},
    secret::SecretRef,
    types::Type,
    yaml::{Entry, Node, Yaml},
};

/// Reports every difference between the value and the shape.
pub(crate) fn check(findings: &mut Findings<'_>, node: &Node, shape: &Shape) {
    match shape {
        Shape::Object(object) => check_object(findings, node, object, None),
        Shape::List(item) => match &node.value {
            Yaml::List(items) => items.iter().for_each(|node| check(findings, node, item)),
            _ => wrong_shape(findings, node, "a list"),
        },
        Shape::Names(value) => each_entry(findings, node, |findings, entry| {
            if let Err(error) = check_name(&entry.key) {
                let message = format!("`{}` cannot be used as a name", brief(&entry.key));
                findings.add(codes::BAD_NAME, entry.key_span, message, error.rule);
            }
            check(findings, &entry.value, value);
        }),
        Shape::Ports(value) => each_entry(findings, node, |findings, entry| {
            if entry.key.parse::<u16>().is_err() {
                let message = format!("`{}` is not a port", brief(&entry.key));
                findings.add(codes::BAD_ADDRESS, entry.key_span, message, "must be a number from 1 to 65535");
            }
            check(findings, &entry.value, value);
        }),
        Shape::DurationOr(object) => match &node.value {
            Yaml::Map(_) => check_object(findings, node, object, None),
            _ => check_scalar(findings, node, &Shape::Duration),
        },
        Shape::WordOr(words, object) => match &node.value {
            Yaml::Map(_) => check_object(findings, node, object, None),
            _ => check_word(findings, node, words, Some(object)),
        },
        Shape::ByKind(variants) => check_by_kind(findings, node, variants),
        Shape::Any => {}
        scalar => check_scalar(findings, node, scalar),
    }
}

fn each_entry<'n>(findings: &mut Findings<'_>, node: &'n Node, mut read: impl FnMut(&mut Findings<'_>, &'n Entry)) {
    match &node.value {
        Yaml::Map(entries) => entries.iter().for_each(|entry| read(findings, entry)),
        _ => wrong_shape(findings, node, "a mapping"),
    }
}

/// `tag` is a key that has been looked at already.
fn check_object(findings: &mut Findings<'_>, node: &Node, object: &Object, tag: Option<&str>) {
    let Yaml::Map(entries) = &node.value else {
        return wrong_shape(findings, node, &format!("{} as a mapping", object.what));
    };
    for entry in entries.iter().filter(|entry| Some(entry.key.as_str()) != tag) {
        match object.fields.iter().find(|field| field.key == entry.key) {
            Some(field) => check(findings, &entry.value, &field.shape),
            None => unknown_key(findings, entry, object),
        }
    }
    for field in object.fields.iter().filter(|field| field.required && node.entry(field.key).is_none()) {
        let message = format!("{} needs the key `{}`", object.what, field.key);
        let help = Some(format!("`{}`: {}", field.key, field.doc));
        findings.add_with(codes::MISSING_KEY, node.span, message, format!("`{}` is missing", field.key), help);
    }
    check_one_of(findings, node, object);
}

fn check_one_of(findings: &mut Findings<'_>, node: &Node, object: &Object) {
    let mut there = object.one_of.iter().filter_map(|key| node.entry(key));
    let names = || object.one_of.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match (object.one_of.is_empty(), there.next(), there.next()) {
        (true, ..) | (false, Some(_), None) => {}
        (false, None, _) => {
            let message = format!("{} needs one of {}", object.what, names());
            findings.add(codes::STEP_KIND, node.span, message, "does nothing");
        }
        (false, Some(first), Some(second)) => {
            let message = format!("{} can have only one of {}", object.what, names());
            let label = format!("`{}` is already given", first.key);
            findings.add(codes::STEP_KIND, second.key_span, message, label);
        }
    }
}

fn unknown_key(findings: &mut Findings<'_>, entry: &Entry, object: &Object) {
    let keys = || object.fields.iter().map(|field| field.key);
    let known = elsewhere(&entry.key).find(|known| keys().any(|key| key == *known));
    let help = match known.or_else(|| closest(&entry.key, keys())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its keys are {}", keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")),
    };
    let message = format!("{} has no key `{}`", object.what, brief(&entry.key));
    findings.add_with(codes::UNKNOWN_KEY, entry.key_span, message, "unknown key", Some(help));
}

/// Words that other languages have for a key of ours: those of GitHub Actions, Argo, Ansible, Airflow and GitLab.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("when", &["if", "only_if", "condition", "unless", "rules"]),
    ("needs", &["depends_on", "dependson", "depends", "dependencies", "after", "requires", "upstream"]),
    ("uses", &["run", "action", "module", "command", "script", "shell", "task", "template", "operator"]),
    ("with", &["args", "arguments", "params", "parameters", "vars", "env", "environment"]),
    ("for_each", &["with_items", "with_list", "withitems", "withparam", "loop", "foreach", "matrix", "strategy"]),
    ("max_parallel", &["parallelism", "throttle", "concurrency", "forks"]),
    ("retry", &["retries", "retrystrategy", "max_retries", "until", "max_attempts"]),
    ("timeout", &["timeout_minutes", "timeout_in_minutes", "activedeadlineseconds", "async", "deadline"]),
    (
        "on_failure",
        &["continue_on_error", "continueon", "ignore_errors", "allow_failure", "rescue", "on_error", "onerror"],
    ),
    ("undo", &["rollback", "revert", "compensate", "compensation"]),
    ("approve", &["approval", "suspend", "environment_approval", "gate"]),
    ("manual", &["pause", "hands"]),
    ("title", &["name", "display_name", "displayname"]),
    ("id", &["name", "step", "key"]),
    ("runbook", &["workflow", "include", "import_tasks", "include_tasks", "import_playbook", "templateref"]),
    ("lifeboat", &["version", "apiversion"]),
    ("steps", &["jobs", "tasks", "stages", "plays", "actions"]),
    ("inputs", &["parameters", "params", "vars", "variables", "on"]),
    ("targets", &["hosts", "inventory", "roles", "systems"]),
    ("finally", &["always", "onexit", "post", "after_script", "handlers"]),
    ("objectives", &["objective", "slo", "sla"]),
];

/// Our keys for a word of another language, as it may be written there: `dependsOn`, `timeout-minutes`.
fn elsewhere(key: &str) -> impl Iterator<Item = &'static str> {
    let key = key.to_ascii_lowercase().replace('-', "_");
    ELSEWHERE.iter().filter(move |(_, words)| words.contains(&key.as_str())).map(|(ours, _)| *ours)
}

fn check_by_kind(findings: &mut Findings<'_>, node: &Node, variants: &'static [(&'static str, &'static Object)]) {
    let kinds: Vec<&str> = variants.iter().map(|(kind, _)| *kind).collect();
    let Yaml::Map(_) = &node.value else { return wrong_shape(findings, node, "a mapping") };
    let Some(kind) = node.get("kind") else {
        let help = Some(format!("use one of {}", quoted(&kinds)));
        findings.add_with(codes::MISSING_KEY, node.span, "a target needs the key `kind`", "`kind` is missing", help);
        return;
    };
    match variants.iter().find(|(word, _)| kind.text() == Some(word)) {
        Some((_, object)) => check_object(findings, node, object, Some("kind")),
        None => wrong_word(findings, kind, &kinds),
    }
}

fn check_word(findings: &mut Findings<'_>, node: &Node, words: &[&str], or: Option<&Object>) {
    if node.text().is_some_and(|text| words.contains(&text)) {
        return;
    }
    match (&node.value, or) {
        (Yaml::Text(_), _) => wrong_word(findings, node, words),
        (_, Some(object)) => wrong_shape(findings, node, &format!("{} or {}", quoted(words), object.what)),
        (_, None) => wrong_shape(findings, node, &format!("one of {}", quoted(words))),
    }
}

fn wrong_word(findings: &mut Findings<'_>, node: &Node, words: &[&str]) {
    let text = node.text().unwrap_or_default();
    let help = closest(text, words.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    let message = format!("`{}` is not one of {}", brief(text), quoted(words));
    findings.add_with(codes::WRONG_WORD, node.span, message, "unknown value", help);
}

fn check_scalar(findings: &mut Findings<'_>, node: &Node, shape: &Shape) {
    match (shape, &node.value) {
        (Shape::Int(least, most), Yaml::Int(int)) => {
            if int < least || int > most {
                let message = format!("`{int}` is not in the range {least} to {most}");
                findings.add(codes::OUT_OF_RANGE, node.span, message, "out of range");
            }
        }
        (Shape::Version, Yaml::Int(1)) => {}
        (Shape::Version, _) => {
            let message = "this version of Lifeboat supports version 1 of the language only";
            findings.add(codes::VERSION, node.span, message, "write `lifeboat: 1`");
        }
        (Shape::Bool, Yaml::Bool(_)) => {}
        (Shape::Bool, _) => wrong_shape(findings, node, "`true` or `false`"),
        (Shape::Int(..), _) => wrong_shape(findings, node, "a whole number"),
        (Shape::Word(words), _) => check_word(findings, node, words, None),
        (Shape::Expression, Yaml::Bool(_)) => {}
        (_, Yaml::Text(text)) => check_text(findings, node.span, shape, text),
        (_, Yaml::Int(_) | Yaml::Float(_) | Yaml::Bool(_)) => {
            let found = node.described();
            let help = Some("put it in quotes".to_owned());
            findings.add_with(codes::WRONG_SHAPE, node.span, format!("expected a string, found {found}"), found, help);
        }
        _ => wrong_shape(findings, node, "a string"),
    }
}

fn check_text(findings: &mut Findings<'_>, span: Span, shape: &Shape, text: &str) {
    let short = brief(text);
    let mut wrong = |code: Code, message: String, label: &str| findings.add(code, span, message, label);
    match shape {
        Shape::Name => {
            if let Err(error) = check_name(text) {
                wrong(codes::BAD_NAME, format!("`{short}` cannot be used as a name"), error.rule);
            }
        }
        Shape::Action if text.contains('@') => {
            let label = "remove `@…`: an action has the version of its plugin";
            wrong(codes::UNKNOWN_ACTION, format!("`{short}` is not an action"), label);
        }
        Shape::Action if ActionName::new(text).is_err() => {
            wrong(codes::UNKNOWN_ACTION, format!("`{short}` is not an action"), "write `plugin/action`");
        }
        Shape::Duration | Shape::Period
            if !text.parse::<SignedDuration>().is_ok_and(|length| !length.is_negative()) =>
        {
            wrong(codes::BAD_DURATION, format!("`{short}` is not a duration"), "write `90s`, `5m` or `1h30m`");
        }
        Shape::Period if text.parse::<SignedDuration>().is_ok_and(|length| length.is_zero()) => {
            wrong(codes::OUT_OF_RANGE, format!("`{short}` is no time at all"), "must be longer than zero");
        }
        Shape::Type => {
            if let Err(error) = text.parse::<Type>() {
                wrong(codes::BAD_TYPE, format!("`{short}` is not a type"), &error.problem);
            }
        }
        Shape::Secret if SecretRef::try_from(text.to_owned()).is_err() => {
            // The text may be the secret itself: it is not repeated.
            let message = "a secret must be a reference, not plain text".to_owned();
            wrong(codes::PLAIN_SECRET, message, "write `env:NAME` or `file:/path`");
        }
        Shape::Path if !text.starts_with('/') => {
            wrong(codes::BAD_ADDRESS, format!("`{short}` is not an absolute path"), "must begin with `/`");
        }
        Shape::RestoreCommand => {
            if let Some(label) = restore_command_lacks(text) {
                wrong(codes::BAD_ADDRESS, format!("`{short}` is not a valid restore_command"), label);
            }
        }
        Shape::Url if !is_url(text) => {
            let label = "write `https://…`, or `env:NAME` or `file:/path` if the address is a secret";
            wrong(codes::BAD_ADDRESS, format!("`{short}` is not a URL"), label);
        }
        Shape::HostPort if !is_host_port(text) => {
            wrong(codes::BAD_ADDRESS, format!("`{short}` is not an address"), "write `host:port`");
        }
        _ => {}
    }
}

/// What keeps a text from being a command that fetches one file. `%r` is for commands that remove older files from the archive.
fn restore_command_lacks(text: &str) -> Option<&'static str> {
    let text = text.replace("%%", "");
    let holds = |mark: &str| text.contains(mark);
    if !holds("%f") || !holds("%p") {
        return Some("must contain `%f` (the name of the file) and `%p` (the path to write it to)");
    }
    let others = text.split('%').skip(1).any(|rest| !rest.starts_with(['f', 'p']));
    others.then_some("may contain `%f`, `%p` and `%%` only")
}

fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://") || SecretRef::try_from(text.to_owned()).is_ok()
}

fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn wrong_shape(findings: &mut Findings<'_>, node: &Node, wanted: &str) {
    let found = node.described();
    findings.add(codes::WRONG_SHAPE, node.span, format!("expected {wanted}, found {found}"), found);
}

/// Words for a message: `a`, `b`, `c`.
fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn brief(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}
