//! Every declared action exists, and the reaching ones are stopped by the fakes as they must be by the host.

use lifeboat_plugin::{
    Call, Effect, Failure, Plugin,
    fake::{Fake, ended, rows},
};
use plugin_hostile::Hostile;
use serde_json::json;

/// Actions that end a native process, never end, or take long.
const UNRUNNABLE: [&str; 7] = ["loop", "trap", "recurse", "eat-memory", "sleep-for-ever", "flood-log", "huge-answer"];

#[test]
fn every_declared_action_exists() {
    for action in <Hostile as Plugin<Fake>>::actions() {
        if UNRUNNABLE.contains(&action.name.as_str()) {
            continue;
        }
        let result = Hostile::run(&Call::example(&action.name, &json!({})), &Fake::default());
        let code = result.err().map(|failure| failure.code().to_owned());
        assert_ne!(code.as_deref(), Some("plugin-action"), "{}", action.name);
    }
}

#[test]
fn what_reaches_too_far_is_denied() {
    let cases = [
        ("write-in-read", json!({ "server": "primary", "sql": "DELETE FROM t" })),
        ("exfiltrate-path", json!({ "machine": "m", "path": "/etc/passwd" })),
        ("run-program", json!({ "machine": "m", "program": "sh", "arguments": [] })),
        ("run-program", json!({ "machine": "m", "program": "cp", "arguments": [] })),
        ("destroy-in-read", json!({ "machine": "m", "path": "/srv/work/x" })),
        ("post-elsewhere", json!({ "role": "oncall" })),
    ];
    for (action, parameters) in cases {
        let fake = Fake::default();
        fake.machine.add_folder("work", "/srv/work").unwrap();
        fake.machine.add_program("cp", Effect::Mutate, |_, _| ended(0, "", ""));
        fake.postgres.on("", |_| Ok(rows(&[], vec![])));
        fake.grant(Effect::Read);
        let failure = Hostile::run(&Call::example(action, &parameters), &fake).unwrap_err();
        assert!(matches!(failure, Failure::Denied(_)), "{action}: {failure:?}");
    }
}
