//! `notify/send` against channels in memory.

use lifeboat_plugin::{
    Call, Effect, Failure, Outcome, Plugin, Reason,
    fake::{Fake, Http, Post},
    http::{Error, Format, Response},
};
use plugin_notify::Notify;
use serde_json::{Value, json};

fn fake(format: Format) -> Fake {
    let fake = Fake::default();
    fake.http.add_channel("oncall", format);
    fake
}

fn send(fake: &Fake, parameters: &Value) -> Result<Outcome, Failure> {
    Notify::run(&Call::example("send", parameters), fake)
}

fn only_post(http: &Http) -> Post {
    let posts = http.posts();
    assert_eq!(posts.len(), 1, "{posts:?}");
    posts[0].clone()
}

fn full() -> Value {
    json!({
        "channel": "oncall",
        "severity": "critical",
        "title": "DR-003: restoring *deleted* rows",
        "message": "Rows of <public.customers> were deleted & 13,324 can be put back.\nKeep the application running.",
    })
}

fn pretty(text: &str) -> String {
    let document: Value = serde_json::from_str(text).expect("what is posted is JSON");
    serde_json::to_string_pretty(&document).expect("JSON can be written")
}

#[test]
fn a_webhook_gets_every_field() {
    let fake = fake(Format::Webhook);
    let outcome = send(&fake, &full()).unwrap();
    let post = only_post(&fake.http);
    assert_eq!(post.id, "test/send", "a receiver drops duplicates by the key of the call");
    insta::assert_snapshot!(pretty(&post.body));
    assert_eq!(outcome.decode::<Value>().unwrap(), json!({ "status": 200, "attempts": 1 }));
    assert_eq!(outcome.summary, "`oncall` accepted the message (200)");
}

#[test]
fn a_webhook_gets_null_and_info_for_what_was_left_out() {
    let fake = fake(Format::Webhook);
    send(&fake, &json!({ "channel": "oncall", "message": "hello" })).unwrap();
    insta::assert_snapshot!(pretty(&only_post(&fake.http).body));
}

#[test]
fn slack_gets_one_escaped_text() {
    let fake = fake(Format::Slack);
    send(&fake, &full()).unwrap();
    insta::assert_snapshot!(pretty(&only_post(&fake.http).body));
}

#[test]
fn every_attempt_posts_under_the_same_id_and_is_counted() {
    let fake = fake(Format::Webhook);
    let call = Call { attempt: 3, ..Call::example("send", &full()) };
    let outcome = Notify::run(&call, &fake).unwrap();
    assert_eq!(only_post(&fake.http).id, call.key);
    assert_eq!(outcome.decode::<Value>().unwrap()["attempts"], 3);
}

#[test]
fn a_dry_run_says_what_it_would_send_and_sends_nothing() {
    let fake = fake(Format::Webhook);
    fake.grant(Effect::Read);
    let call = Call { dry_run: true, ..Call::example("send", &full()) };
    let outcome = Notify::run(&call, &fake).unwrap();
    assert_eq!(fake.http.posts(), []);
    assert_eq!(outcome.decode::<Value>().unwrap(), json!({ "status": 0, "attempts": 0 }));
    let lines = fake.runtime.lines();
    assert!(lines[0].message.contains("13,324 can be put back"), "{lines:?}");
}

#[test]
fn an_answer_decides_whether_it_is_tried_again() {
    let cases = [
        (204, None, "", "sent"),
        (429, Some(30), "", "transient notify-busy: `oncall` answered 429; it asks to wait 30 s"),
        (500, None, "oops\nsecond line", "transient notify-busy: `oncall` answered 500: oops"),
        (503, None, "", "transient notify-busy: `oncall` answered 503"),
        (408, None, "", "transient notify-busy: `oncall` answered 408"),
        (
            302,
            None,
            "",
            "permanent notify-redirected: `oncall` answered 302: redirects are not followed; bind its final address",
        ),
        (400, None, "invalid_payload", "permanent notify-refused: `oncall` answered 400: invalid_payload"),
        (404, None, "no_service", "permanent notify-refused: `oncall` answered 404: no_service"),
    ];
    for (status, retry_after, body, expected) in cases {
        let fake = fake(Format::Webhook);
        fake.http.answer(Ok(Response { status, body: body.to_owned(), retry_after }));
        assert_eq!(story(send(&fake, &full())), expected);
    }
}

#[test]
fn a_lost_connection_is_transient_and_a_refusal_is_not() {
    let reason = Reason::new("http-timeout", "no answer within 30 s");
    let cases = [
        (Error::Connection(reason.clone()), "transient http-timeout: no answer within 30 s"),
        (Error::Denied(reason.clone()), "denied http-timeout: no answer within 30 s"),
        (Error::Invalid(reason), "permanent http-timeout: no answer within 30 s"),
    ];
    for (error, expected) in cases {
        let fake = fake(Format::Slack);
        fake.http.answer(Err(error));
        assert_eq!(story(send(&fake, &full())), expected);
    }
}

#[test]
fn parameters_that_cannot_work_send_nothing() {
    let cases = [
        (json!({ "channel": "oncall", "message": " \n" }), "invalid_input notify-empty: the message is empty"),
        (
            json!({ "channel": "oncall", "message": "m", "severity": "loud" }),
            "invalid_input notify-severity: `loud` is not a severity: write `info`, `warning` or `critical`",
        ),
        (
            json!({ "channel": "oncall" }),
            "invalid_input plugin-parameters: parameters of `send`: missing field `message` at line 1 column 20",
        ),
        (
            json!({ "channel": "nobody", "message": "m" }),
            "denied host-refused-role: the call was not given the role `nobody`",
        ),
    ];
    for (parameters, expected) in cases {
        let fake = fake(Format::Webhook);
        assert_eq!(story(send(&fake, &parameters)), expected);
        assert_eq!(fake.http.posts(), []);
    }
}

#[test]
fn an_action_that_is_not_there_is_refused() {
    let failure = Notify::run(&Call::example("shout", &json!({})), &fake(Format::Webhook)).unwrap_err();
    assert_eq!(failure.code(), "plugin-action");
}

#[test]
fn the_declaration_names_every_parameter_that_is_decoded() {
    let actions = <Notify as Plugin<Fake>>::actions();
    insta::assert_snapshot!(format!("{actions:#?}"));
}

fn story(result: Result<Outcome, Failure>) -> String {
    let failure = match result {
        Ok(_) => return "sent".to_owned(),
        Err(failure) => failure,
    };
    let kind = match &failure {
        Failure::InvalidInput(_) => "invalid_input",
        Failure::Denied(_) => "denied",
        Failure::Transient(_) => "transient",
        Failure::Permanent(_) => "permanent",
        Failure::Interrupted(_) => "interrupted",
    };
    format!("{kind} {}: {}", failure.code(), failure.reason().message)
}
